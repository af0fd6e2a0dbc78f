/**
 * What a thread goes on doing for others while it sleeps in poll(2) or in a read or write of a stream.
 *
 * CPython has threads for that; here a call that blocks stops the event loop, and somebody who waits for this very
 * process would wait for ever.
 */
import { calledByChildren } from '../ffi/compiled.ts';

/** Something that is asked for through fds, and answers without waiting. */
export interface Background {
  /** Readable when there is something to do. */
  fds(): readonly number[];
  /** Seconds after which there will be other fds; 0 when these are all. */
  rest(): number;
  /** Does it. Throws nothing. */
  serve(): void;
}

let background: Background | undefined;

/** Has something served while this thread blocks; undefined ends that. */
export function setBackground(what: Background | undefined): void {
  background = what;
}

calledByChildren(setBackground);

/** @internal */
export function getBackground(): Background | undefined {
  return background;
}
