/**
 * How a child reports an error that nobody catches. Node prints it only after the 'exit' event, when a
 * child that leaves by `_exit` is gone already.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';

let heading: string | undefined;

/**
 * Reports an uncaught error under this heading and ends the process with exit code 1, unless the program
 * has an 'uncaughtException' listener of its own.
 * @param text the line above the stack, such as `Process Process-1:`
 */
export function reportUncaught(text: string): void {
  if (heading === undefined) process.on('uncaughtException', report);
  heading = text;
}

function report(error: unknown): void {
  if (process.listenerCount('uncaughtException') > 1) return;
  writeStderr(`${heading}\n${inspect(error)}\n`);
  process.exit(1);
}

/** Writes to stderr at once; a broken stderr is nobody's error. */
export function writeStderr(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // closed, or nobody reads it
  }
}
