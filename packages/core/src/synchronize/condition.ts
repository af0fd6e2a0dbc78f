/**
 * `Condition` of multiprocessing/synchronize.py. Deviations: D-042, D-043, D-046.
 */

import { inspect } from 'node:util';
import { now } from '@multiprocessing/posix';
import { assert, typeError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import { checkShareable } from '../process/sharing.ts';
import { type ConditionState, ConditionWaits } from './condition_waits.ts';
import { Lock, limit, RLock, type SynchronizeOptions } from './locks.ts';

/** A place to wait until another process says that something has changed; Python's `multiprocessing.Condition`. */
export class Condition {
  /** @internal */ _lock: Lock | RLock;
  /** @internal */ _ctx: SynchronizeOptions['ctx'];
  /** @internal */ _waits: ConditionWaits;

  /**
   * @param lock a Lock or RLock; a new RLock, without
   * @throws TypeError for anything else
   */
  constructor(lock?: Lock | RLock, { ctx }: SynchronizeOptions = {}) {
    if (lock !== undefined && !(lock instanceof Lock) && !(lock instanceof RLock)) {
      throw typeError(`lock must be a Lock or an RLock, not ${inspect(lock)}`);
    }
    this._lock = lock ?? new RLock({ ctx });
    this._ctx = ctx;
    this._waits = new ConditionWaits();
  }

  /** Takes the lock; see `Lock.acquire`. */
  acquire(block = true, timeout?: number): Promise<boolean> {
    return this._lock.acquire(block, timeout);
  }

  /** The blocking twin of `acquire`. */
  acquireSync(block = true, timeout?: number): boolean {
    return this._lock.acquireSync(block, timeout);
  }

  /** Gives the lock back. */
  release(): void {
    this._lock.release();
  }

  /** Whether the lock is taken; Python's `locked` (3.14). */
  locked(): boolean {
    return this._lock.locked();
  }

  /** Takes the lock until the end of the block: `await using _ = await condition.guard()`. */
  guard(): Promise<AsyncDisposable & Disposable> {
    return this._lock.guard();
  }

  /** The blocking twin of `guard`: `using _ = condition.guardSync()`. */
  guardSync(): Disposable {
    return this._lock.guardSync();
  }

  /**
   * Gives the lock back, waits until it is notified, and takes the lock again; Python's `wait`.
   * @param timeout seconds; undefined waits for ever, negative counts as 0
   * @returns false when the time was over first
   * @throws AssertionError unless the calling thread has the lock; TypeError or ValueError (NaN) for a bad timeout;
   *   RuntimeError when its memory is damaged
   */
  async wait(timeout?: number): Promise<boolean> {
    const seconds = this._checkWait(timeout);
    const entry = this._waits.enter();
    const count = this._lock._semlock.releaseAll();
    let notified = false;
    try {
      notified = await this._waits.wait(entry, seconds);
    } finally {
      await this._lock._semlock.acquire(true, Infinity);
      this._lock._semlock.restoreCount(count);
    }
    return notified || this._waits.giveUp(entry);
  }

  /** The blocking twin of `wait`: sleeps in the kernel. */
  waitSync(timeout?: number): boolean {
    const seconds = this._checkWait(timeout);
    const entry = this._waits.enter();
    const count = this._lock._semlock.releaseAll();
    let notified = false;
    try {
      notified = this._waits.sleep(entry, seconds);
    } finally {
      this._lock._semlock.acquireSync(true, Infinity);
      this._lock._semlock.restoreCount(count);
    }
    return notified || this._waits.giveUp(entry);
  }

  private _checkWait(timeout: number | undefined): number {
    assert(this._lock._semlock.isMine(), 'must acquire() condition before using wait()');
    return limit(timeout);
  }

  /**
   * Waits until a predicate holds; it is called with the lock held. Python's `wait_for`.
   * @param predicate may be asynchronous
   * @param timeout seconds; undefined waits for ever
   * @returns the predicate's last value
   * @throws as `wait`
   */
  async waitFor<T>(predicate: () => T | Promise<T>, timeout?: number): Promise<T> {
    const deadline = now() + limit(timeout) * 1000;
    for (;;) {
      const result = await predicate();
      const left = (deadline - now()) / 1000;
      if (result || left <= 0) return result;
      await this.wait(left === Infinity ? undefined : left);
    }
  }

  /** The blocking twin of `waitFor`. @param predicate synchronous */
  waitForSync<T>(predicate: () => T, timeout?: number): T {
    const deadline = now() + limit(timeout) * 1000;
    for (;;) {
      const result = predicate();
      const left = (deadline - now()) / 1000;
      if (result || left <= 0) return result;
      this.waitSync(left === Infinity ? undefined : left);
    }
  }

  /**
   * Wakes up to n of those who wait; Python's `notify`.
   * @throws AssertionError unless the calling thread has the lock; TypeError unless n is a whole number
   */
  notify(n = 1): void {
    assert(this._lock._semlock.isMine(), 'lock is not owned');
    if (!Number.isInteger(n) && n !== Infinity) {
      throw typeError(`n must be a whole number, not ${inspect(n)}`);
    }
    this._waits.notify(n);
  }

  /** Wakes all who wait; Python's `notify_all`. @throws AssertionError unless the calling thread has the lock */
  notifyAll(): void {
    this.notify(Infinity);
  }

  [getStateSymbol](): { lock: Lock | RLock; waits: ConditionState } {
    checkShareable(this, this._ctx);
    return { lock: this._lock, waits: this._waits.state };
  }

  [setStateSymbol]({ lock, waits }: { lock: Lock | RLock; waits: ConditionState }): void {
    this._lock = lock;
    this._ctx = undefined;
    this._waits = new ConditionWaits(waits);
  }

  toString(): string {
    return `<${this.constructor.name}(${this._lock}, ${this._waits.count})>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

nameExports(import.meta.url, { Condition });
