/**
 * The waits of one thread for one lock that do not block its event loop: one after the other, and all of them behind
 * one place in the lock's own set of waiters.
 */
import {
  clearTimeout,
  close,
  inWorker,
  onReady,
  pidfdOpen,
  setImmediate,
  setTimeout,
  tidOf,
} from '@multiprocessing/posix';
import { addWaiter, removeWaiter, type Waiter } from '../wait/hub.ts';
import { NOT_WAITING } from './turns.ts';

/** What such a wait needs of its lock (semlock.ts). @internal */
export interface WaitedFor {
  /** Undefined for a semaphore, which has none. */
  readonly owner: number | undefined;
  readonly turns: number;
  enter(place: number, begun: number, member?: number): number;
  leave(place: number): void;
  takeBeforeSleep(place: number): boolean;
  passOn(): boolean;
  lookAfter(place: number): boolean;
  listen(on: boolean): number;
}

interface Acquire {
  /** What `turns` was when it began to wait. */
  readonly begun: number;
  readonly resolve: (taken: boolean) => void;
  readonly reject: (error: unknown) => void;
  timer: NodeJS.Timeout | undefined;
}

/** In the place of a member: nobody rings this thread for the lock. */
const NOT_LISTENING = -1;
/** Milliseconds without a ring after which it looks whether the owner has died. */
const QUIET = 50;
/** The same from then on: a ring may not arrive, and where the kernel does not tell the end of the owner nobody does. */
const QUIET_LONGER = 500;
/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST = 0x7fffffff;

/** @internal */
export class AsyncAcquires implements Waiter {
  readonly #lock: WaitedFor;
  /** In the order in which they came. */
  readonly #acquires = new Set<Acquire>();
  #place = NOT_WAITING;
  #member = NOT_LISTENING;
  #quiet: NodeJS.Timeout | undefined;
  #stopWatch: (() => void) | undefined;
  #soon = false;

  constructor(lock: WaitedFor) {
    this.#lock = lock;
  }

  /**
   * @param timeout seconds, more than 0
   * @param resolve is told whether the lock was taken, in the very moment
   * @param reject is told of an OSError or RuntimeError that ends the wait
   */
  add(timeout: number, resolve: (taken: boolean) => void, reject: (error: unknown) => void): void {
    const acquire: Acquire = { begun: this.#lock.turns, resolve, reject, timer: undefined };
    if (timeout * 1000 <= LONGEST) {
      acquire.timer = setTimeout(() => this.#end(acquire, false), timeout * 1000);
    }
    this.#acquires.add(acquire);
    if (this.#acquires.size > 1) return;
    this.#orFail(() => {
      this.#member = this.#lock.listen(true);
      addWaiter(this);
      this.#look();
    });
  }

  /** An error in the middle of the event loop is that of those who wait. */
  #orFail(look: () => void): void {
    try {
      look();
    } catch (error) {
      const failed = [...this.#acquires];
      this.#acquires.clear();
      for (const { timer } of failed) clearTimeout(timer);
      if (this.#member !== NOT_LISTENING) this.#stop();
      for (const { reject } of failed) reject(error);
    }
  }

  /** The release was this thread's own. */
  soon(): void {
    if (this.#soon) return;
    this.#soon = true;
    setImmediate(() => {
      this.#soon = false;
      this.check();
    });
  }

  /** Takes it for those who wait, as often as it can be had. */
  check(): void {
    if (this.#acquires.size > 0) this.#orFail(() => this.#look());
  }

  #look(): void {
    do {
      this.#enter();
      if (!this.#lock.takeBeforeSleep(this.#place)) {
        this.#lock.passOn();
        this.#await();
        return;
      }
    } while (this.#next());
  }

  /** The place in the queue is that of the one who came first. */
  #enter(): void {
    const [first] = this.#acquires;
    if (first === undefined) return;
    this.#place = this.#lock.enter(this.#place, first.begun, this.#member);
  }

  #await(): void {
    this.#rest();
    this.#quiet = setTimeout(() => this.#orFail(() => this.#lookAfter()), QUIET);
  }

  /** The first of those who wait has it. @returns whether there are more */
  #next(): boolean {
    const [first] = this.#acquires;
    if (first !== undefined) this.#end(first, true);
    return this.#acquires.size > 0;
  }

  #end(acquire: Acquire, taken: boolean): void {
    this.#acquires.delete(acquire);
    clearTimeout(acquire.timer);
    if (this.#acquires.size === 0) this.#stop();
    acquire.resolve(taken);
  }

  #stop(): void {
    this.#rest();
    this.#lock.listen(false);
    this.#lock.leave(this.#place);
    this.#place = NOT_WAITING;
    this.#member = NOT_LISTENING;
    removeWaiter(this);
  }

  /** Nothing was heard for a while. From now on the kernel tells when the owner ends. */
  #lookAfter(): void {
    this.#rest();
    this.#enter();
    if (this.#lock.lookAfter(this.#place)) {
      if (this.#next()) this.#look();
      return;
    }
    const { owner } = this.#lock;
    if (owner === 0) {
      this.#await(); // somebody was faster, and has it now or had it already
      return;
    }
    const look = () => this.#orFail(() => this.#lookAfter());
    // In a worker that is being terminated the watch of an fd would end the process (posix/sockets/doorbell.ts).
    if (owner !== undefined && !inWorker) this.#stopWatch = whenEnded(owner, look);
    this.#quiet = setTimeout(look, QUIET_LONGER);
  }

  #rest(): void {
    clearTimeout(this.#quiet);
    this.#stopWatch?.();
    this.#stopWatch = undefined;
  }
}

/**
 * Watches the end of a process. Undefined for a thread that is none, or has ended this very moment, and where the kernel has no
 * pidfds or no fd is left.
 */
function whenEnded(owner: number, callback: () => void): (() => void) | undefined {
  try {
    const fd = pidfdOpen(tidOf(owner));
    try {
      return onReady(fd, callback);
    } finally {
      close(fd); // the watch is on a duplicate
    }
  } catch {
    return undefined;
  }
}
