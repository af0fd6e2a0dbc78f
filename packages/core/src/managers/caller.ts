/**
 * Who calls a method of a shared object: the connection that the call came by. What a client holds goes back when that ends.
 */
import { clearTimeout, setTimeout } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';

/** A client of a manager, as its objects see it. @internal */
export interface Caller {
  /** What it calls itself. */
  readonly name: string;
  readonly isGone: boolean;
  /** Called once, when it ends. */
  readonly atEnd: Set<() => void>;
}

/** The manager's own process, which calls methods as well. */
const nobody: Caller = { name: 'manager', isGone: false, atEnd: new Set() };

let current: Caller = nobody;

/** Who makes the call that runs now; to be asked before the method waits for anything. @internal */
export function currentCaller(): Caller {
  return current;
}

/** @internal */
export function calledBy<T>(caller: Caller, call: () => T): T {
  const before = current;
  current = caller;
  try {
    return call();
  } finally {
    current = before;
  }
}

/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST = 0x7fffffff;

interface Wait<T> {
  readonly caller: Caller;
  readonly resolve: (value: T | undefined) => void;
  readonly leave: () => void;
  timer: NodeJS.Timeout | undefined;
}

/** Calls that wait, in the order in which they came. Who ends meanwhile does not wait any more. @internal */
export class Waits<T> {
  readonly #waits = new Set<Wait<T>>();

  get size(): number {
    return this.#waits.size;
  }

  /**
   * @param timeout seconds; undefined waits for ever
   * @param left called when the wait ends without a value
   * @returns undefined when the time is over; never settles when the caller ends
   */
  wait(
    caller: Caller,
    timeout: number | undefined,
    left: (isGone: boolean) => void = () => {},
  ): Promise<T | undefined> {
    return new Promise((resolve) => {
      const leave = () => {
        this.#remove(wait);
        left(true);
      };
      const wait: Wait<T> = { caller, resolve, leave, timer: undefined };
      if (caller.isGone) {
        left(true);
        return;
      }
      this.#waits.add(wait);
      caller.atEnd.add(leave);
      if (timeout === undefined || timeout * 1000 > LONGEST) return;
      wait.timer = setTimeout(() => {
        this.#remove(wait);
        left(false);
        resolve(undefined);
      }, timeout * 1000);
    });
  }

  #remove(wait: Wait<T>): void {
    this.#waits.delete(wait);
    wait.caller.atEnd.delete(wait.leave);
    clearTimeout(wait.timer);
  }

  /** Who waits for longest. */
  get first(): Caller | undefined {
    for (const { caller } of this.#waits) return caller;
    return undefined;
  }

  /** Ends the longest wait. @returns whether there was one */
  wake(value: T): boolean {
    for (const wait of this.#waits) {
      this.#remove(wait);
      wait.resolve(value);
      return true;
    }
    return false;
  }

  wakeAll(value: T): void {
    while (this.wake(value));
  }
}

/** A timeout as Python's None or a number: undefined is none. @throws TypeError, ValueError @internal */
export function secondsOf(timeout: unknown): number | undefined {
  const seconds = timeout === null ? undefined : (timeout as number | undefined);
  checkTimeout(seconds);
  return seconds === undefined ? undefined : Math.max(seconds, 0);
}
