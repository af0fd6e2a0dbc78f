/**
 * The last turn of a target: what it has left for the end of the turn (ticks, microtasks) still runs, so that a rejection that
 * nobody handles and a warning are told, and nothing after it.
 */
import { calledByChildren, nextTick, setImmediate } from '@multiprocessing/posix';

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
export function afterTurn<A extends unknown[], T>(
  then: (...args: A) => T | PromiseLike<T>,
  ...args: A
): Promise<T> {
  // No arrow function: each child would compile it.
  return new Promise(nextTick.bind(process, tick, then, args) as Executor<T>);
}

let rehearsed: Promise<void> | undefined;

/** Has V8 compile, in the process that forks, what its children need of Node for their last turn; done once. @internal */
export function rehearseTurn(): Promise<void> {
  if (rehearsed === undefined) {
    setImmediate(endTurn); // with nothing to do
    rehearsed = afterTurn(nothing);
  }
  return rehearsed;
}

function nothing(): void {}

type Executor<T> = ConstructorParameters<typeof Promise<T>>[0];

function tick(
  then: (...args: unknown[]) => unknown,
  args: unknown[],
  resolve: (value: unknown) => void,
  reject: (error: unknown) => void,
): void {
  try {
    endTurn();
    resolve(then(...args));
  } catch (error) {
    reject(error);
  }
}

calledByChildren(endTurn, afterTurn, tick);
