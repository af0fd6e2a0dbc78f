/**
 * threading.Condition, Event and Barrier, for the clients of a manager. Deviations: D-142.
 */
import { BrokenBarrierError, RuntimeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { type Caller, currentCaller, secondsOf, Waits } from './caller.ts';
import { LocalLock, LocalRLock } from './local_locks.ts';
import { referentOf } from './referent.ts';

/** Python's `threading.Condition`. @internal */
export class LocalCondition {
  readonly #lock: LocalLock | LocalRLock;
  readonly #waits = new Waits<true>();

  /** @param lock of the same manager; an RLock of its own, without @throws TypeError */
  constructor(lock?: unknown) {
    const given = referentOf(lock ?? new LocalRLock());
    if (!(given instanceof LocalLock) && !(given instanceof LocalRLock))
      throw new TypeError('lock must be a Lock or RLock of the same manager');
    this.#lock = given;
  }

  acquire(blocking?: unknown, timeout?: unknown): boolean | Promise<boolean> {
    return this.#lock.acquire(blocking, timeout);
  }

  release(): void {
    this.#lock.release();
  }

  locked(): boolean {
    return this.#lock.locked();
  }

  /** @throws RuntimeError without the lock */
  async wait(timeout?: unknown): Promise<boolean> {
    const caller = currentCaller();
    const seconds = secondsOf(timeout);
    if (!this.#lock.isOwned()) throw new RuntimeError('cannot wait on un-acquired lock');
    const count = this.#lock.saveState();
    const woken = await this.#waits.wait(caller, seconds);
    await this.#lock.restoreState(caller, count);
    return woken === true;
  }

  /** @throws RuntimeError without the lock */
  notify(n: unknown = 1): void {
    if (!this.#lock.isOwned()) throw new RuntimeError('cannot notify on un-acquired lock');
    for (let i = 0; i < (n as number) && this.#waits.wake(true); i++);
  }

  notify_all(): void {
    this.notify(this.#waits.size);
  }

  __repr__(): string {
    return `<Condition(${this.#lock.__repr__()}, ${this.#waits.size})>`;
  }
}

/** Python's `threading.Event`. @internal */
export class LocalEvent {
  #isSet = false;
  readonly #waits = new Waits<true>();

  is_set(): boolean {
    return this.#isSet;
  }

  set(): void {
    this.#isSet = true;
    this.#waits.wakeAll(true);
  }

  clear(): void {
    this.#isSet = false;
  }

  wait(timeout?: unknown): boolean | Promise<boolean> {
    const seconds = secondsOf(timeout);
    if (this.#isSet) return true;
    return this.#waits.wait(currentCaller(), seconds).then((woken) => woken === true);
  }

  __repr__(): string {
    return `<threading.Event: ${this.#isSet ? 'set' : 'unset'}>`;
  }
}

/** How a wait at a barrier ends: with a place, or broken. */
type Passed = number | 'broken';

/** Python's `threading.Barrier`. @internal */
export class LocalBarrier {
  readonly parties: number;
  readonly #action: (() => unknown) | undefined;
  readonly #timeout: number | undefined;
  #waits = new Waits<Passed>();
  #broken = false;

  /** @throws ValueError, TypeError */
  constructor(parties: number, action?: unknown, timeout?: unknown) {
    if (!Number.isInteger(parties) || parties < 1) throw new ValueError('parties must be >= 1');
    this.parties = parties;
    this.#action = (action ?? undefined) as (() => unknown) | undefined;
    this.#timeout = secondsOf(timeout);
  }

  get n_waiting(): number {
    return this.#waits.size;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** @throws BrokenBarrierError */
  async wait(timeout?: unknown): Promise<number> {
    const caller: Caller = currentCaller();
    const seconds = secondsOf(timeout) ?? this.#timeout;
    if (this.#broken) throw broken();
    const place = this.#waits.size;
    if (place + 1 === this.parties) return this.#open(place);
    const waits = this.#waits;
    const passed = await waits.wait(caller, seconds, (isGone) => {
      if (!isGone) this.abort();
    });
    if (typeof passed !== 'number') throw broken();
    return passed;
  }

  #open(place: number): number {
    const waits = this.#waits;
    try {
      this.#action?.();
    } catch (error) {
      this.abort();
      throw error;
    }
    this.#waits = new Waits();
    for (let i = 0; waits.wake(i); i++);
    return place;
  }

  /** Has all who wait, and all who come, fail. */
  abort(): void {
    this.#broken = true;
    this.#breakAll();
  }

  /** Has all who wait fail, and those wait who come. */
  reset(): void {
    this.#broken = false;
    this.#breakAll();
  }

  #breakAll(): void {
    const waits = this.#waits;
    this.#waits = new Waits();
    waits.wakeAll('broken');
  }

  __repr__(): string {
    const state = this.#broken ? 'broken' : `waiters=${this.n_waiting}/${this.parties}`;
    return `<threading.Barrier: ${state}>`;
  }
}

function broken(): BrokenBarrierError {
  return new BrokenBarrierError('the barrier is broken: reset() makes it whole');
}

nameExports(import.meta.url, { LocalCondition, LocalEvent, LocalBarrier });
