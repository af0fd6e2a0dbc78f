/**
 * Waits of one thread, without blocking its event loop, for what a look at shared memory tells.
 */
import {
  clearInterval,
  clearTimeout,
  setImmediate,
  setInterval,
  setTimeout,
} from '@multiprocessing/posix';
import { addWaiter, generation, removeWaiter, updateKeepAlive, type Waiter } from './hub.ts';

interface Wait {
  readonly done: () => boolean;
  readonly resolve: (done: boolean) => void;
  readonly reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
}

/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST = 0x7fffffff;

/** Milliseconds between looks that nobody has rung for. */
const LOOK = 500;

/** @internal */
export class AsyncWaits implements Waiter {
  /** In the order in which they came. */
  #waits = new Set<Wait>();
  #generation = generation();
  readonly #listen: (on: boolean) => void;
  #soon = false;
  #looks: NodeJS.Timeout | undefined;

  /** @param listen has this thread rung from the first wait on, until there is none */
  constructor(listen: (on: boolean) => void = () => {}) {
    this.#listen = listen;
  }

  /**
   * @param done looks whether the wait is over; what it throws ends it
   * @param timeout seconds, Infinity without limit
   * @returns false when the time was over first
   * @throws OSError or RuntimeError when this thread cannot be rung
   */
  wait(done: () => boolean, timeout: number): Promise<boolean> {
    if (this.#generation !== generation()) {
      this.#generation = generation();
      this.#waits = new Set();
    }
    return new Promise((resolve, reject) => {
      if (this.#waits.size === 0) this.#begin();
      const wait: Wait = { done, resolve, reject, timer: undefined };
      this.#waits.add(wait);
      if (this.#look(wait) || timeout * 1000 > LONGEST) return;
      wait.timer = setTimeout(() => {
        if (!this.#look(wait)) this.#end(wait, () => resolve(false));
      }, timeout * 1000);
    });
  }

  /** @returns whether the wait has ended */
  #look(wait: Wait): boolean {
    try {
      if (!wait.done()) return false;
      this.#end(wait, () => wait.resolve(true));
    } catch (error) {
      this.#end(wait, () => wait.reject(error));
    }
    return true;
  }

  /** In case that who changes what is waited for is killed before it rings, this looks now and then. */
  #begin(): void {
    this.#listen(true);
    addWaiter(this);
    this.#looks = setInterval(() => this.check(), LOOK);
    if (this.isUnref) this.#looks.unref();
  }

  isUnref = false;

  /** From now on the event loop does not go on for these waits. */
  unref(): void {
    this.keepAlive(false);
  }

  /** Whether the event loop goes on for these waits. */
  keepAlive(on: boolean): void {
    if (this.isUnref === !on) return;
    this.isUnref = !on;
    if (on) this.#looks?.ref();
    else this.#looks?.unref();
    updateKeepAlive();
  }

  check(): void {
    for (const wait of [...this.#waits]) this.#look(wait);
  }

  /** What is waited for was done by this thread itself. */
  soon(): void {
    if (this.#soon || this.#waits.size === 0) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      this.check();
    });
  }

  #end(wait: Wait, settle: () => void): void {
    this.#waits.delete(wait);
    clearTimeout(wait.timer);
    if (this.#waits.size === 0) {
      clearInterval(this.#looks);
      this.#listen(false);
      removeWaiter(this);
    }
    settle();
  }
}
