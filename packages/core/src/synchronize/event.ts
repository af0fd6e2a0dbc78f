/**
 * `Event` of multiprocessing/synchronize.py. CPython builds it from a condition and a semaphore; here it is one word of
 * shared memory, which nobody can be killed with a lock on. Deviations: D-043, D-045.
 */
import { inspect } from 'node:util';
import { ALL, futexWait, futexWake, now } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';
import { nameExports } from '../base/names.ts';
import { load, spin } from '../base/spin.ts';
import { BufferWrapper } from '../heap/heap.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import { checkShareable } from '../process/sharing.ts';
import { AsyncWaits } from '../wait/async_waits.ts';
import { MEMBER_SET_WORDS, MemberSet, MemberTable } from '../wait/hub.ts';
import type { SynchronizeOptions } from './locks.ts';

/**
 * How often it was set or cleared: odd while it is set. A wait that began while it was not ends with the next change,
 * however soon a clear() follows.
 */
const CHANGES = 0;
const MEMBERS = 1;
/** Seconds after which a sleeper looks again, in case that who set it was killed before it woke anybody. */
const LOOK = 0.5;

interface EventState {
  memory: BufferWrapper;
  members: BufferWrapper;
}

/** A flag that processes wait for; Python's `multiprocessing.Event`. */
export class Event {
  /** @internal */ _ctx: SynchronizeOptions['ctx'];
  /** @internal */ _memory!: BufferWrapper;
  /** @internal */ _table!: MemberTable;
  /** @internal */ _words!: Int32Array;
  /** @internal */ _members!: MemberSet;
  /** @internal */ _waits!: AsyncWaits;

  constructor({ ctx }: SynchronizeOptions = {}) {
    this._ctx = ctx;
    this._share(new BufferWrapper((MEMBERS + MEMBER_SET_WORDS) * 4), MemberTable.current);
  }

  private _share(memory: BufferWrapper, table: MemberTable): void {
    this._memory = memory;
    this._table = table;
    this._words = new Int32Array(memory.buffer);
    const members = new MemberSet(this._words.subarray(MEMBERS), table);
    this._members = members;
    this._waits = new AsyncWaits((on) => members.listen(on));
  }

  /** Whether it is set; Python's `is_set`. */
  isSet(): boolean {
    return isOdd(load(this._words, CHANGES));
  }

  /** Sets it, and wakes all who wait; Python's `set`. */
  set(): void {
    if (!this._change(isOdd)) return;
    futexWake(this._memory.address, ALL);
    this._members.ringAll(() => this._waits.soon());
  }

  /** Takes it back; Python's `clear`. */
  clear(): void {
    this._change((changes) => !isOdd(changes));
  }

  /** @param isDone whether it is as wanted already @returns whether this changed it */
  private _change(isDone: (changes: number) => boolean): boolean {
    for (;;) {
      const changes = Atomics.load(this._words, CHANGES);
      if (isDone(changes)) return false;
      const next = (changes + 1) | 0;
      if (Atomics.compareExchange(this._words, CHANGES, changes, next) === changes) return true;
    }
  }

  /**
   * Waits until it is set; Python's `wait`.
   * @param timeout seconds; undefined waits for ever, 0 and less do not wait
   * @returns whether it is or was set
   * @throws TypeError or ValueError (NaN) for a bad timeout
   */
  async wait(timeout?: number): Promise<boolean> {
    checkTimeout(timeout);
    const changes = Atomics.load(this._words, CHANGES);
    if (isOdd(changes)) return true;
    if (timeout !== undefined && timeout <= 0) return false;
    return this._waits.wait(() => load(this._words, CHANGES) !== changes, timeout ?? Infinity);
  }

  /** The blocking twin of `wait`: sleeps in the kernel. */
  waitSync(timeout?: number): boolean {
    checkTimeout(timeout);
    const changes = Atomics.load(this._words, CHANGES);
    if (isOdd(changes)) return true;
    if (timeout !== undefined && timeout <= 0) return false;
    const deadline = now() + (timeout ?? Infinity) * 1000;
    const done = () => load(this._words, CHANGES) !== changes;
    if (spin(done)) return true;
    for (;;) {
      const left = (deadline - now()) / 1000;
      if (left <= 0) return false;
      futexWait(this._memory.address, changes, Math.min(left, LOOK));
      if (done()) return true;
    }
  }

  [getStateSymbol](): EventState {
    checkShareable(this, this._ctx);
    return { memory: this._memory, members: this._table.memory };
  }

  [setStateSymbol]({ memory, members }: EventState): void {
    this._ctx = undefined;
    this._share(memory, new MemberTable(members));
  }

  toString(): string {
    const address = this._memory.address.toString(16);
    return `<${this.constructor.name} at 0x${address} ${this.isSet() ? 'set' : 'unset'}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

function isOdd(n: number): boolean {
  return (n & 1) === 1;
}

nameExports(import.meta.url, { Event });
