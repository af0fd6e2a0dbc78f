/**
 * What the soak tests share: their count, a clock that ends them, seeded randomness, and a look at what a process
 * holds.
 */

import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export { untilGone } from '../../tests/support/processes.ts';

const name = basename(process.argv[1] ?? 'soak', '.ts');
const begin = performance.now();

/** The count on the command line, or the full one. */
export function countOr(full: number): number {
  const count = Number(process.argv[2] ?? full);
  if (!Number.isInteger(count) || count < 1)
    throw new Error(`${name}: not a count: ${process.argv[2]}`);
  return count;
}

/** Ends this program with exit code 1 if it is not done by then: a soak test that hangs has failed. */
export function limitTime(seconds: number): void {
  setTimeout(() => {
    console.error(`${name}: FAILED: not done after ${seconds} s`);
    process.exit(1);
  }, seconds * 1000).unref();
}

/** Ends this program with exit code 1 unless the condition holds. */
export function check(condition: unknown, message: string): asserts condition {
  if (condition) return;
  console.error(`${name}: FAILED: ${message}`);
  process.exit(1);
}

/** The last line that a soak test prints. */
export function done(figures: string): void {
  const seconds = (performance.now() - begin) / 1000;
  console.log(`${name}: ${figures}; ${seconds.toFixed(0)} s`);
}

/** Fails if the promise takes longer: what this guards against is a start or a join that never returns. */
export async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: not done after ${seconds} s`)),
      seconds * 1000,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    check(!/not done after/.test(String(error)), String(error));
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs f(0), f(1), ... f(count - 1), several at a time. */
export async function inParallel(
  count: number,
  atOnce: number,
  f: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await f(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

//
// Randomness
//

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run, printed: SOAK_SEED takes the one of another. */
export function printSeed(): number {
  const seed = Number(process.env.SOAK_SEED ?? Date.now() % 1_000_000);
  console.log(`${name}: SOAK_SEED=${seed}`);
  return seed;
}

//
// What processes hold
//

export interface Holdings {
  readonly fds: number;
  /** Bytes of memory that are the process's alone. */
  readonly memory: number;
  /** Bytes that this process's own heap holds after a garbage collection; undefined for another process. */
  readonly heap: number | undefined;
}

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

export function holdingsOf(pid: number): Holdings {
  const own = pid === process.pid;
  if (own) gc();
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const privates = text.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm);
  const kilobytes = [...privates].reduce((sum, [, kB]) => sum + Number(kB), 0);
  return {
    fds: readdirSync(`/proc/${pid}/fd`).length,
    memory: kilobytes * 1024,
    heap: own ? process.memoryUsage().heapUsed : undefined,
  };
}

/** The same of this process once the finalizers of what is garbage have run, which V8 has run in turns of their own. */
export async function holdingsAtRest(): Promise<Holdings> {
  let last = holdingsOf(process.pid);
  for (let same = 0; same < 5; ) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = holdingsOf(process.pid);
    same = now.fds < last.fds ? 0 : same + 1;
    last = now;
  }
  return last;
}

const MB = 2 ** 20;
/** V8 makes the young generation as large as it likes to, three times 16 MB. */
const MEMORY_SLACK = 64 * MB;
const HEAP_SLACK = 2 * MB;

/** Fails if a process holds more than before, a heap's moods excepted. Returns the figures in words. */
export function checkFlat(what: string, before: Holdings, now: Holdings): string {
  const megabytes = (a = 0, b = 0) => `${(a / MB).toFixed(1)} → ${(b / MB).toFixed(1)} MB`;
  const words = [
    `${what} ${before.fds} → ${now.fds} fds`,
    megabytes(before.memory, now.memory),
    ...(now.heap === undefined ? [] : [`of it heap ${megabytes(before.heap, now.heap)}`]),
  ].join(', ');
  check(now.fds <= before.fds, `fds leak: ${words}`);
  check(now.memory <= before.memory + MEMORY_SLACK, `memory leaks: ${words}`);
  check((now.heap ?? 0) <= (before.heap ?? 0) + HEAP_SLACK, `the heap leaks: ${words}`);
  return words;
}

/** The state of a process and its program, for messages. */
export function describeProcess(pid: number): string {
  try {
    const state = /^State:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return `${pid}, ${state}: ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
  } catch {
    return `${pid}, gone`;
  }
}

/** The children of a process that are there, zombies among them. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The processes, other than this, whose environment has this entry: they or their ancestor were started with it. */
export function processesWith(entry: string): number[] {
  return readdirSync('/proc')
    .filter((file) => /^\d+$/.test(file) && Number(file) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry);
      } catch {
        return false; // it has ended
      }
    })
    .map(Number);
}

/** The pid of the forkserver of this process. */
export function forkserverPid(): number {
  const registry = (process.getBuiltinModule('node:fs') as { [key: symbol]: unknown })[
    Symbol.for('multiprocessing.state')
  ];
  const server = (registry as Map<string, { _forkserverPid?: number }>).get('forkserver');
  check(server?._forkserverPid !== undefined, 'there is no forkserver');
  return server._forkserverPid;
}

//
// FIFOs
//

export interface Fifo {
  readonly path: string;
  /** Open for reading and writing. */
  readonly fd: number;
  close(): void;
}

export function makeFifo(): Fifo {
  const folder = mkdtempSync(join(tmpdir(), 'mp-soak-'));
  const path = join(folder, 'fifo');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, 'r+');
  const close = () => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  };
  return { path, fd, close };
}
