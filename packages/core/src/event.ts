/**
 * `Event` of multiprocessing/synchronize.py. CPython builds it from a condition and a semaphore; here it is two words of
 * shared memory, which nobody can be killed with a lock on. Deviations: D-043, D-045.
 */
import { inspect } from 'node:util';
import { ALL, futexWait, futexWake } from '@multiprocessing/posix';
import { checkTimeout } from './arguments.ts';
import { AsyncWaits } from './async_waits.ts';
import { BufferWrapper } from './heap.ts';
import type { SynchronizeOptions } from './locks.ts';
import { getStateSymbol, setStateSymbol } from './pickle_codes.ts';
import { nameExports } from './qualname.ts';
import { checkShareable } from './sharing.ts';
import { load, spin } from './spin.ts';
import { MEMBER_SET_WORDS, MemberSet, MemberTable } from './wait_hub.ts';

const FLAG = 0;
/** How often it was set: a wait that began before a set() ends, however soon a clear() follows. */
const SETS = 1;
const MEMBERS = 2;
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
    return Atomics.load(this._words, FLAG) !== 0;
  }

  /** Sets it, and wakes all who wait; Python's `set`. */
  set(): void {
    Atomics.store(this._words, FLAG, 1);
    Atomics.add(this._words, SETS, 1);
    futexWake(this._memory.address + SETS * 4, ALL);
    this._members.ringAll(() => this._waits.soon());
  }

  /** Takes it back; Python's `clear`. */
  clear(): void {
    Atomics.store(this._words, FLAG, 0);
  }

  /**
   * Waits until it is set; Python's `wait`.
   * @param timeout seconds; undefined waits for ever, 0 and less do not wait
   * @returns whether it is or was set
   * @throws TypeError or ValueError (NaN) for a bad timeout
   */
  async wait(timeout?: number): Promise<boolean> {
    checkTimeout(timeout);
    const words = this._words;
    const sets = Atomics.load(words, SETS);
    if (this.isSet()) return true;
    if (timeout !== undefined && timeout <= 0) return false;
    const done = () => this.isSet() || Atomics.load(words, SETS) !== sets;
    return this._waits.wait(done, timeout ?? Infinity);
  }

  /** The blocking twin of `wait`: sleeps in the kernel. */
  waitSync(timeout?: number): boolean {
    checkTimeout(timeout);
    const words = this._words;
    const sets = Atomics.load(words, SETS);
    if (this.isSet()) return true;
    const deadline = performance.now() + (timeout ?? Infinity) * 1000;
    const done = () => load(words, FLAG) !== 0 || load(words, SETS) !== sets;
    if (spin(done)) return true;
    for (;;) {
      const left = (deadline - performance.now()) / 1000;
      if (left <= 0) return false;
      futexWait(this._memory.address + SETS * 4, sets, Math.min(left, LOOK));
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

nameExports(import.meta.url, { Event });
