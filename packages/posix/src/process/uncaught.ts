/**
 * How a child reports an error that nobody catches. Node prints it only after the 'exit' event, when a
 * child that leaves by `_exit` is gone already.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { POLLOUT, poll } from '../fds/fd.ts';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';

const state = { heading: 'Uncaught error:', listening: false };

/**
 * Reports an uncaught error under this heading and ends the process with exit code 1, unless the program
 * has an 'uncaughtException' listener of its own.
 * @param text the line above the stack, such as `Process Process-1:`
 */
export function reportUncaught(text: string): void {
  state.heading = text;
  if (state.listening) return;
  state.listening = true;
  process.on('uncaughtException', (error) => {
    if (process.listenerCount('uncaughtException') === 1) dieOfUncaught(error);
  });
}

/** Has a forked child report without a listener: its `process.emit` sees to it. @internal */
export function reportUncaughtByEmit(): void {
  state.listening = true;
}

/** @internal */
export function dieOfUncaught(error: unknown): never {
  writeStderr(`${state.heading}\n${inspect(error)}\n`);
  process.exit(1);
}

/** Writes to stderr at once; a broken stderr is nobody's error. */
export function writeStderr(text: string): void {
  let rest: Uint8Array = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(2, rest));
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') return; // closed, or nobody reads it
      poll([2], undefined, POLLOUT); // somebody made it non-blocking, and it is full
    }
  }
}

calledByChildren(reportUncaught, reportUncaughtByEmit);
writtenByChildren(state);
