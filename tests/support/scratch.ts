/**
 * What a test makes for itself and its children: a directory, channels and gates. All is gone after the
 * test, before the check for leftovers (hooks run last in, first out).
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as mp from 'multiprocessing';
import { wait } from 'multiprocessing/connection';
import { afterEach } from 'vitest';

let directory: string | undefined;
let counter = 0;
const openFifos = new Set<Fifo>();

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') await endChildren();
  for (const fifo of openFifos) fifo.close();
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  directory = undefined;
});

/** A test that failed must not fail those after it. */
async function endChildren(): Promise<void> {
  for (const child of mp.activeChildren()) {
    child.kill();
    await child.join(10);
  }
}

/** The path of a file, not made yet, in the test's own directory. */
export function scratchFile(name = 'file'): string {
  directory ??= mkdtempSync(join(tmpdir(), 'mp-test-'));
  return join(directory, `${name}-${counter++}`);
}

/** The lines of a text file; none if it is not there. */
export function linesOf(path: string): string[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split('\n').filter(Boolean);
}

class Fifo {
  readonly path: string;
  /** Open for both directions: it never is at its end, and opening it never blocks. */
  protected readonly fd: number;

  constructor(name: string) {
    this.path = scratchFile(name);
    execFileSync('mkfifo', [this.path]);
    this.fd = openSync(this.path, constants.O_RDWR | constants.O_NONBLOCK);
    openFifos.add(this);
  }

  close(): void {
    if (openFifos.delete(this)) closeSync(this.fd);
  }
}

/** Where children report: `report(channel.path, value)`. */
export class Channel extends Fifo {
  #text = '';

  constructor() {
    super('channel');
  }

  /** The next report, waited for. */
  async next(): Promise<unknown> {
    for (;;) {
      const end = this.#text.indexOf('\n');
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        return JSON.parse(line);
      }
      if (!this.#read()) {
        const ready = await wait([this.fd], 30);
        if (ready.length === 0) throw new Error('no report within 30 s');
      }
    }
  }

  /** The next n reports. */
  async take(n: number): Promise<unknown[]> {
    const values: unknown[] = [];
    while (values.length < n) values.push(await this.next());
    return values;
  }

  /** What has been reported so far: of children that have ended, everything. */
  all(): unknown[] {
    while (this.#read());
    const lines = this.#text.split('\n').filter(Boolean);
    this.#text = '';
    return lines.map((line) => JSON.parse(line) as unknown);
  }

  #read(): boolean {
    const bytes = Buffer.alloc(65536);
    try {
      const count = readSync(this.fd, bytes);
      this.#text += bytes.toString('utf8', 0, count);
      return count > 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
      throw error;
    }
  }
}

/** Where children wait: `passGate(gate.path)`. */
export class Gate extends Fifo {
  constructor() {
    super('gate');
  }

  /** Lets n children pass, also those that come later. */
  open(n = 1): void {
    writeSync(this.fd, Buffer.alloc(n));
  }
}
