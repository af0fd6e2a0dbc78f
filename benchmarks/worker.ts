/**
 * A program that measures on request: a line of words to its stdin, a line of numbers from its stdout.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export class Worker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: readonly [file: string, ...args: string[]]) {
    const [file, ...args] = command;
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async ask(...words: (string | number)[]): Promise<number[]> {
    this.#child.stdin?.write(`${words.join('\t')}\n`);
    const { value, done } = await this.#lines.next();
    if (done)
      throw new Error(`${this.#child.spawnfile} ended while it measured ${words.join(' ')}`);
    return value.split(' ').map(Number);
  }

  /** Ends it, whatever it does. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Lets the program end. */
  async end(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}
