/**
 * The last turn of a target: what it has left for the end of the turn (ticks, microtasks) still runs, so that a rejection that
 * nobody handles and a warning are told, and nothing after it.
 */
import { calledByChildren } from '@multiprocessing/posix';

const internals = process as unknown as { _tickCallback: () => void };

/**
 * Runs all ticks and microtasks, and then tells the rejections that nobody handles. Not from within a microtask, where none
 * of the others would run.
 * @internal
 */
export function endTurn(): void {
  internals._tickCallback();
}

/** The same from anywhere, and then something else before the event loop goes on. @internal */
export function afterTurn<T>(then: () => T | PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    process.nextTick(() => {
      try {
        endTurn();
        resolve(then());
      } catch (error) {
        reject(error as Error);
      }
    });
  });
}

calledByChildren(endTurn, afterTurn);
