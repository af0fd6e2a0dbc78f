/**
 * When calls that need not wait let the event loop have its turn: one awaited after the other they would keep it to
 * themselves, for promises go before timers and I/O.
 */
import { now, setImmediate } from '@multiprocessing/posix';

/** Milliseconds that such calls may take together. */
const LONGEST_ROW = 4;
/** The clock is read once in so many calls. */
const CALLS = 64;

/** @internal */
export class LoopTurns {
  #calls = 0;
  #last = 0;

  /** To be asked once for each call. @returns whether this one has to let the event loop have its turn */
  due(): boolean {
    if (++this.#calls % CALLS !== 0) return false;
    const time = now();
    if (time - this.#last < LONGEST_ROW) return false;
    this.#last = time;
    return true;
  }

  /** Says that a call has waited in the event loop. */
  taken(): void {
    this.#calls = 0;
  }
}

/** One turn. @internal */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const settled = Promise.resolve();

/** Calls back behind the code that runs, and before the event loop goes on: what a program cannot replace. @internal */
export function behindThis(callback: () => void): void {
  void settled.then(callback);
}
