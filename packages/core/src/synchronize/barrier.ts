/**
 * `Barrier` of multiprocessing/synchronize.py (in CPython most of it is threading.Barrier).
 * Deviations: D-042, D-043, D-047.
 */
import { inspect } from 'node:util';
import { tidOf } from '@multiprocessing/posix';
import { checkOptions, checkTimeout } from '../base/arguments.ts';
import { BrokenBarrierError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import { checkShareable } from '../process/sharing.ts';
import { BarrierPhases, type PhasesState } from './barrier_phases.ts';
import { Lock, limit, type SynchronizeOptions } from './locks.ts';

/** Options of a Barrier. */
export interface BarrierOptions extends SynchronizeOptions {
  /** Called by one of the parties when all have arrived, before any goes on. Asynchronous only for `wait`. */
  action?: (() => unknown) | undefined;
  /** Seconds; for each wait that is given none. */
  timeout?: number | undefined;
}

interface BarrierState {
  parties: number;
  action: (() => unknown) | undefined;
  timeout: number | undefined;
  lock: Lock;
  phases: PhasesState;
}

const MAX_PARTIES = 1 << 20;
/** Seconds after which somebody who has the lock, and has not arrived, has it for too long. */
const MOMENT = 0.5;

/** A point where a number of processes wait for each other, again and again; Python's `multiprocessing.Barrier`. */
export class Barrier {
  /** @internal */ _ctx: SynchronizeOptions['ctx'];
  /** @internal */ _parties: number;
  /** @internal */ _action: (() => unknown) | undefined;
  /** @internal */ _timeout: number | undefined;
  /** @internal */ _lock: Lock;
  /** @internal */ _phases: BarrierPhases;

  /**
   * @param parties how many wait for each other, from 1
   * @throws TypeError for a parties that is no number, an unknown option or one of the wrong type; ValueError for a
   *   parties that is no whole number from 1
   */
  constructor(parties: number, options: BarrierOptions = {}) {
    checkOptions(options, ['action', 'timeout', 'ctx'], 'Barrier');
    const { action, timeout, ctx } = options;
    if (typeof parties !== 'number') {
      throw typeError(`parties must be a whole number, not ${inspect(parties)}`);
    }
    if (!Number.isInteger(parties) || parties < 1 || parties > MAX_PARTIES) {
      throw new ValueError(
        `parties must be a whole number from 1 to ${MAX_PARTIES}, not ${parties}`,
      );
    }
    if (action !== undefined && typeof action !== 'function') {
      throw typeError(`action must be a function, not ${inspect(action)}`);
    }
    checkTimeout(timeout);
    this._ctx = ctx;
    this._parties = parties;
    this._action = action;
    this._timeout = timeout;
    this._lock = new Lock({ ctx });
    this._phases = new BarrierPhases(parties);
    this._nameLock();
  }

  /**
   * Waits until all parties have called it; Python's `wait`.
   * @param timeout seconds; the barrier's own, without; when it is over the barrier breaks
   * @returns a number from 0 to parties - 1, another one for each
   * @throws BrokenBarrierError when the barrier is or gets broken or is reset; what the action throws, in the
   *   party that called it; TypeError or ValueError (NaN) for a bad timeout; RuntimeError when its memory is damaged
   */
  async wait(timeout: number | undefined = this._timeout): Promise<number> {
    const seconds = limit(timeout);
    await this._acquire(seconds);
    let arrival: { index: number; phase: number };
    try {
      arrival = this._arrive();
      if (this._phases.isComplete()) {
        await this._action?.();
        this._phases.end({ released: true, broken: false });
        return arrival.index;
      }
    } catch (error) {
      this._breakWith(error);
      throw error;
    } finally {
      this._lock.release();
    }
    if (!(await this._phases.wait(arrival.phase, seconds))) {
      await this._acquire(0);
      this._timedOut(arrival.phase);
    }
    return this._leave(arrival);
  }

  /** The blocking twin of `wait`: sleeps in the kernel. */
  waitSync(timeout: number | undefined = this._timeout): number {
    const seconds = limit(timeout);
    this._acquireSync(seconds);
    let arrival: { index: number; phase: number };
    try {
      arrival = this._arrive();
      if (this._phases.isComplete()) {
        this._action?.();
        this._phases.end({ released: true, broken: false });
        return arrival.index;
      }
    } catch (error) {
      this._breakWith(error);
      throw error;
    } finally {
      this._lock.release();
    }
    if (!this._phases.waitSync(arrival.phase, seconds)) {
      this._acquireSync(0);
      this._timedOut(arrival.phase);
    }
    return this._leave(arrival);
  }

  private _nameLock(): void {
    this._lock._semlock.name = 'the lock of a Barrier';
    this._lock._semlock.what = 'Barrier';
  }

  /**
   * Takes the lock, which everybody has for a moment only, but who calls the action.
   * @param seconds that the wait may take; the moment comes on top
   */
  private async _acquire(seconds: number): Promise<void> {
    while (!(await this._lock.acquire(true, Math.max(seconds, MOMENT)))) this._checkOwner();
  }

  private _acquireSync(seconds: number): void {
    while (!this._lock.acquireSync(true, Math.max(seconds, MOMENT))) this._checkOwner();
  }

  private _checkOwner(): void {
    const { owner } = this._lock._semlock;
    if (!owner || this._phases.hasArrived(owner)) return;
    throw new BrokenBarrierError(`process ${tidOf(owner)} keeps the barrier from all others`);
  }

  private _arrive(): { index: number; phase: number } {
    if (this._phases.broken) throw new BrokenBarrierError('the barrier is broken: reset it');
    return { index: this._phases.arrive(), phase: this._phases.phase };
  }

  /** An action that throws breaks the barrier for the others. */
  private _breakWith(error: unknown): void {
    if (error instanceof BrokenBarrierError && this._phases.broken) return;
    this._phases.end({ released: false, broken: true });
  }

  /** With the lock held, which it gives back. */
  private _timedOut(phase: number): void {
    if (this._phases.phase === phase) this._phases.end({ released: false, broken: true });
    this._lock.release();
  }

  private _leave({ index, phase }: { index: number; phase: number }): number {
    if (this._phases.wasReleased(phase)) return index;
    throw new BrokenBarrierError('the barrier broke or was reset while this process waited');
  }

  /** Makes the barrier as new: those who wait get a BrokenBarrierError. Python's `reset`. */
  async reset(): Promise<void> {
    await this._lock.acquire();
    this._end({ broken: false });
  }

  /** The blocking twin of `reset`. */
  resetSync(): void {
    this._lock.acquireSync();
    this._end({ broken: false });
  }

  /** Breaks the barrier: those who wait, and all who come, get a BrokenBarrierError. Python's `abort`. */
  async abort(): Promise<void> {
    await this._lock.acquire();
    this._end({ broken: true });
  }

  /** The blocking twin of `abort`. */
  abortSync(): void {
    this._lock.acquireSync();
    this._end({ broken: true });
  }

  /** With the lock held, which it gives back. */
  private _end({ broken }: { broken: boolean }): void {
    this._phases.end({ released: false, broken });
    this._lock.release();
  }

  /** How many must call `wait`. */
  get parties(): number {
    return this._parties;
  }

  /** How many wait now; Python's `n_waiting`. */
  get nWaiting(): number {
    return this._phases.waiting;
  }

  /** Whether it is broken. */
  get broken(): boolean {
    return this._phases.broken;
  }

  [getStateSymbol](): BarrierState {
    checkShareable(this, this._ctx);
    const { _parties: parties, _action: action, _timeout: timeout, _lock: lock } = this;
    return { parties, action, timeout, lock, phases: this._phases.state };
  }

  [setStateSymbol]({ parties, action, timeout, lock, phases }: BarrierState): void {
    this._ctx = undefined;
    this._parties = parties;
    this._action = action;
    this._timeout = timeout;
    this._lock = lock;
    this._phases = new BarrierPhases(parties, phases);
    this._nameLock();
  }

  toString(): string {
    const state = this.broken ? 'broken' : `waiters=${this.nWaiting}/${this.parties}`;
    return `<${this.constructor.name} at 0x${this._phases.address.toString(16)}: ${state}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

nameExports(import.meta.url, { Barrier });
