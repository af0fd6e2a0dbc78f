/**
 * The locks that a manager has for others: threading.Lock, RLock, Semaphore and BoundedSemaphore. Their owners are clients, and what
 * one of them holds goes to the next when it ends. Deviations: D-142.
 */

import { inspect } from 'node:util';
import { checkBlock } from '../base/arguments.ts';
import { RuntimeError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { type Caller, currentCaller, secondsOf, Waits } from './caller.ts';

/** @returns undefined not to wait, else the seconds, Infinity without end @throws ValueError, TypeError */
function patience(blocking: unknown, timeout: unknown): number | undefined {
  checkBlock(blocking);
  if (!blocking) {
    if (timeout !== undefined && timeout !== null && timeout !== -1)
      throw new ValueError("can't specify a timeout for a non-blocking call");
    return undefined;
  }
  if (timeout === -1) return Infinity;
  return secondsOf(timeout) ?? Infinity;
}

/** What of it a client holds. */
interface Hold {
  count: number;
  readonly atEnd: () => void;
}

/** Something that so many can hold at a time. */
abstract class Held {
  protected free: number;
  readonly #holds = new Map<Caller, Hold>();
  readonly #waits = new Waits<true>();

  /** Whether what a client holds goes to the next when it ends: of a semaphore nobody is the owner. */
  readonly #goesBack: boolean;

  constructor(free: number, goesBack: boolean) {
    this.free = free;
    this.#goesBack = goesBack;
  }

  /** Waits for one of them; Python's `acquire`. */
  acquire(blocking: unknown = true, timeout?: unknown): boolean | Promise<boolean> {
    const seconds = patience(blocking, timeout);
    return this.take(currentCaller(), seconds);
  }

  /** @internal */
  take(caller: Caller, seconds: number | undefined): boolean | Promise<boolean> {
    if (this.free > 0) {
      this.free--;
      this.#hold(caller);
      return true;
    }
    if (seconds === undefined || seconds === 0) return false;
    return this.#waits.wait(caller, seconds).then((got) => got === true);
  }

  #hold(caller: Caller): void {
    if (!this.#goesBack) return;
    const held = this.#holds.get(caller);
    if (held !== undefined) {
      held.count++;
      return;
    }
    const atEnd = () => {
      const { count = 0 } = this.#holds.get(caller) ?? {};
      this.#holds.delete(caller);
      this.add(count);
    };
    this.#holds.set(caller, { count: 1, atEnd });
    caller.atEnd.add(atEnd);
  }

  /** Notes that one is given back: the caller's, if it has one, else somebody's. */
  protected letGo(caller: Caller): void {
    const [first] = this.#holds.keys();
    const holder = this.#holds.has(caller) ? caller : first;
    if (holder === undefined) return;
    const held = this.#holds.get(holder) as Hold;
    if (--held.count > 0) return;
    this.#holds.delete(holder);
    holder.atEnd.delete(held.atEnd);
  }

  /** Gives so many to those who wait, or back. */
  protected add(count: number): void {
    for (let i = 0; i < count; i++) {
      const { first } = this.#waits;
      if (first === undefined) this.free++;
      else {
        this.#hold(first);
        this.#waits.wake(true);
      }
    }
  }
}

/** Python's `threading.Lock`: whoever likes may release it. @internal */
export class LocalLock extends Held {
  constructor() {
    super(1, true);
  }

  /** @throws RuntimeError when nobody has it */
  release(): void {
    if (this.free > 0) throw new RuntimeError('release unlocked lock');
    this.letGo(currentCaller());
    this.add(1);
  }

  locked(): boolean {
    return this.free === 0;
  }

  /** @internal */
  isOwned(): boolean {
    return this.locked();
  }

  /** @internal */
  saveState(): number {
    this.release();
    return 1;
  }

  /** @internal */
  async restoreState(caller: Caller): Promise<void> {
    await this.take(caller, Infinity);
  }

  __repr__(): string {
    return `<${this.locked() ? 'locked' : 'unlocked'} lock object>`;
  }
}

/** Python's `threading.RLock`: its owner, a client, can take it again. @internal */
export class LocalRLock {
  readonly #lock = new LocalLock();
  #owner: Caller | undefined;
  #count = 0;
  readonly #atEnd = () => this.#leave();

  acquire(blocking: unknown = true, timeout?: unknown): boolean | Promise<boolean> {
    const seconds = patience(blocking, timeout);
    const caller = currentCaller();
    if (this.#owner === caller) {
      this.#count++;
      return true;
    }
    const got = this.#lock.take(caller, seconds);
    if (got === true) this.#enter(caller);
    if (typeof got === 'boolean') return got;
    return got.then((yes) => {
      if (yes) this.#enter(caller);
      return yes;
    });
  }

  #enter(caller: Caller): void {
    this.#owner = caller;
    this.#count = 1;
    caller.atEnd.add(this.#atEnd);
  }

  #leave(): void {
    this.#owner?.atEnd.delete(this.#atEnd);
    this.#owner = undefined;
    this.#count = 0;
  }

  /** @throws RuntimeError for who does not own it */
  release(): void {
    if (!this.isOwned()) throw new RuntimeError('cannot release un-acquired lock');
    if (--this.#count > 0) return;
    this.#leave();
    this.#lock.release();
  }

  locked(): boolean {
    return this.#owner !== undefined;
  }

  /** @internal */
  isOwned(): boolean {
    return this.#owner === currentCaller();
  }

  /** @internal */
  saveState(): number {
    const count = this.#count;
    this.#leave();
    this.#lock.release();
    return count;
  }

  /** @internal */
  async restoreState(caller: Caller, count: number): Promise<void> {
    await this.#lock.take(caller, Infinity);
    this.#enter(caller);
    this.#count = count;
  }

  __repr__(): string {
    const state = this.locked() ? 'locked' : 'unlocked';
    return `<${state} RLock object owner=${this.#owner?.name ?? 0} count=${this.#count}>`;
  }
}

/** Python's `threading.Semaphore`. @internal */
export class LocalSemaphore extends Held {
  /** @throws TypeError, ValueError */
  constructor(value = 1) {
    if (!Number.isInteger(value))
      throw typeError(`value must be a whole number, not ${inspect(value)}`);
    if (value < 0) throw new ValueError('semaphore initial value must be >= 0');
    super(value, false);
  }

  release(n = 1): void {
    if (!(n >= 1)) throw new ValueError('n must be one or more');
    this.add(n);
  }

  locked(): boolean {
    return this.free === 0;
  }

  __repr__(): string {
    return `<threading.Semaphore: value=${this.free}>`;
  }
}

/** Python's `threading.BoundedSemaphore`. @internal */
export class LocalBoundedSemaphore extends LocalSemaphore {
  readonly #most: number;

  constructor(value = 1) {
    super(value);
    this.#most = value;
  }

  /** @throws ValueError for more than there were */
  override release(n = 1): void {
    if (this.free + n > this.#most) throw new ValueError('Semaphore released too many times');
    super.release(n);
  }

  override __repr__(): string {
    return `<threading.BoundedSemaphore: value=${this.free}/${this.#most}>`;
  }
}

nameExports(import.meta.url, { LocalLock, LocalRLock, LocalSemaphore, LocalBoundedSemaphore });
