/**
 * Counterpart of Modules/_multiprocessing/semaphore.c: a lock or semaphore on words in shared memory. The Python-visible
 * classes are in synchronize.ts. Deviations: D-040, D-041, D-042, D-043.
 *
 * Who finds it free takes it by one atomic instruction and gives it back by another. All else is for those who do
 * not; docs/locks.md describes it:
 *
 * - STATE tells the holder whether anybody waits. Those who wait spin for some microseconds, then sleep on SEQ
 *   (futex(2)) or, asynchronously, hear their bell (wait_hub.ts).
 * - A release that finds sleepers wakes one and rings all bells. It hands nothing over: whoever comes first takes it,
 *   which is many times faster than a change of processes at each release. SKIPS bounds that: after some turns
 *   those who just came have to wait until one of the waiting has had it.
 * - Nothing is owed to a process that was woken and killed: each sleeper looks again after a quarter of a second.
 */
import { futexWait, futexWake, isAlive, myToken, self } from '@multiprocessing/posix';
import { AssertionError, ValueError } from './errors.ts';
import { BufferWrapper } from './heap.ts';
import { AsyncAcquires } from './semlock_async.ts';
import { warnOfDeadOwner } from './semlock_warning.ts';
import { load, spin } from './spin.ts';
import { generation, MEMBER_SET_WORDS, MemberSet, MemberTable } from './wait_hub.ts';

/** Kinds, as in CPython: RECURSIVE_MUTEX, SEMAPHORE, and a lock. @internal */
export const RECURSIVE = 0;
export const SEMAPHORE = 1;
export const LOCK = 2;

/** Of a lock the owner's token or 0, of a semaphore its value. */
const WORD = 0;
const STATE = 1;
const SEQ = 2;
/** Turns that were taken out of turn since somebody who waited has had one. */
const SKIPS = 3;
/** Who waited so often in vain that all others have to let it go first: a token, or 0. */
const PRIORITY = 4;
/** The token of who waited and had it last. */
const LAST = 5;
/** How often the owner of a recursive lock holds it. */
const COUNT = 6;
/** All who wait, in whichever form. */
const WAITING = 8;
/** Those of them who want to be rung. */
const LISTENING = WAITING + MEMBER_SET_WORDS;
const WORDS = LISTENING + MEMBER_SET_WORDS;

const IDLE = 0;
const SPINNING = 1;
const SLEEPING = 2;
/** One has been woken and is on its way: another wake would be too many. */
const WOKEN = 3;

/** How many turns may go out of turn between two of those who wait, all of these together. */
const MAX_SKIPS = 64;
/** Seconds after which a sleeper looks whether the owner has died: the first time, and each time after. */
const FIRST_LOOK = 0.05;
const NEXT_LOOK = 0.25;

/** The value of a semaphore that has no limit; CPython's SEM_VALUE_MAX. @internal */
export const SEM_VALUE_MAX = 0x7fffffff;

/** What a SemLock is pickled as. @internal */
export interface SemLockState {
  kind: number;
  maxvalue: number;
  memory: BufferWrapper;
  members: BufferWrapper;
}

/** A lock or semaphore that processes share; CPython's `_multiprocessing.SemLock`. @internal */
export class NativeSemLock {
  readonly kind: number;
  readonly maxvalue: number;
  /** What warnings call it. */
  name = 'a lock';
  readonly #memory: BufferWrapper;
  readonly #table: MemberTable;
  readonly #waiting: MemberSet;
  readonly #listening: MemberSet;
  /** How many waits of this thread there are. */
  #waits = 0;
  #generation = generation();
  readonly #words: Int32Array;
  readonly #seqAddress: number;
  #async: AsyncAcquires | undefined;
  #lastLook = 0;

  constructor(kind: number, value: number, maxvalue: number, state?: SemLockState) {
    this.kind = kind;
    this.maxvalue = maxvalue;
    this.#table = state === undefined ? MemberTable.current : new MemberTable(state.members);
    this.#memory = state?.memory ?? new BufferWrapper(WORDS * 4);
    this.#words = new Int32Array(this.#memory.buffer, 0, WORDS);
    this.#waiting = new MemberSet(this.#words.subarray(WAITING, LISTENING), this.#table);
    this.#listening = new MemberSet(this.#words.subarray(LISTENING), this.#table);
    this.#seqAddress = this.#memory.address + SEQ * 4;
    if (state === undefined && kind === SEMAPHORE) this.#words[WORD] = value;
  }

  static rebuild(state: SemLockState): NativeSemLock {
    return new NativeSemLock(state.kind, 0, state.maxvalue, state);
  }

  get state(): SemLockState {
    const { kind, maxvalue } = this;
    return { kind, maxvalue, memory: this.#memory, members: this.#table.memory };
  }

  //
  // Taking and giving back
  //

  /**
   * Takes it, sleeping in the kernel for as long as somebody else has it.
   * @param timeout seconds, Infinity without limit
   * @returns whether it was taken
   */
  acquireSync(block: boolean, timeout: number): boolean {
    return this.#takeAtOnce() || this.#acquireSlowly(block, timeout);
  }

  /** The same without blocking the event loop. */
  acquire(block: boolean, timeout: number): Promise<boolean> | boolean {
    if (this.#takeAtOnce() || this.#takeOutOfTurn()) return true;
    if (!block || timeout <= 0) return this.#takeFromTheDead(true);
    this.#forgetParentsWaits();
    this.#async ??= new AsyncAcquires(this);
    return this.#async.add(timeout);
  }

  /** The case for which all this is made: nobody has it, nobody waits. */
  #takeAtOnce(): boolean {
    const words = this.#words;
    if (this.kind === SEMAPHORE) return words[STATE] === IDLE && this.#takeOne();
    const me = self.token || myToken();
    if (words[STATE] === IDLE && Atomics.compareExchange(words, WORD, 0, me) === 0) {
      words[COUNT] = 1;
      return true;
    }
    if (this.kind !== RECURSIVE || words[WORD] !== me) return false;
    (words[COUNT] as number)++;
    return true;
  }

  /**
   * Gives it back; any process may do so with a lock or semaphore.
   * @throws ValueError when it is not taken, AssertionError for a recursive lock of somebody else
   */
  release(): void {
    const words = this.#words;
    if (this.kind === SEMAPHORE) this.#putOne();
    else {
      if (this.kind === RECURSIVE) {
        if (words[WORD] !== (self.token || myToken())) {
          throw new AssertionError('attempt to release recursive lock not owned by thread');
        }
        if (--(words[COUNT] as number) > 0) return;
      }
      if (Atomics.exchange(words, WORD, 0) === 0) {
        throw new ValueError('semaphore or lock released too many times');
      }
    }
    if (load(words, STATE) >= SLEEPING) this.#wake();
  }

  /** Takes one of what is free, whoever waits. */
  #takeOne(): boolean {
    const words = this.#words;
    if (this.kind !== SEMAPHORE) {
      if (Atomics.compareExchange(words, WORD, 0, self.token || myToken()) !== 0) return false;
      words[COUNT] = 1;
      return true;
    }
    for (;;) {
      const value = words[WORD] as number; // a stale one fails in the next line
      if (value === 0) return false;
      if (Atomics.compareExchange(words, WORD, value, value - 1) === value) return true;
    }
  }

  #putOne(): void {
    const words = this.#words;
    for (;;) {
      const value = words[WORD] as number;
      if (value >= this.maxvalue) {
        throw new ValueError('semaphore or lock released too many times');
      }
      if (Atomics.compareExchange(words, WORD, value, value + 1) === value) return;
    }
  }

  //
  // When somebody else has it, or waits for it
  //

  #isFree(): boolean {
    const word = load(this.#words, WORD);
    return this.kind === SEMAPHORE ? word > 0 : word === 0;
  }

  /** Whether all who wait have had their turn often enough for somebody else to go first. */
  #mayGoFirst(): boolean {
    const words = this.#words;
    if (load(words, PRIORITY) !== 0) return false;
    const skips = (words[SKIPS] as number) + 1;
    return skips <= MAX_SKIPS && skips * this.#waiting.size <= MAX_SKIPS;
  }

  #takeOutOfTurn(): boolean {
    if (!this.#isFree() || !this.#mayGoFirst() || !this.#takeOne()) return false;
    Atomics.add(this.#words, SKIPS, 1);
    return true;
  }

  /** Whether this thread has had it so often that, waiting again, it lets others go first. */
  isOthersTurn(): boolean {
    const words = this.#words;
    return words[LAST] === myToken() && this.#waiting.size > 1 && !this.#mayGoFirst();
  }

  /** For those who wait: takes it unless another one is to go first. */
  takeInTurn(): boolean {
    const words = this.#words;
    if (!this.#isFree()) return false;
    const priority = Atomics.load(words, PRIORITY);
    if ((priority !== 0 && priority !== myToken()) || !this.#takeOne()) return false;
    this.#hadTurn();
    return true;
  }

  /** For those who have just begun to wait: those who sleep came before. */
  takeAsNewcomer(): boolean {
    return this.#waiting.size <= 1 ? this.takeInTurn() : this.#takeOutOfTurn();
  }

  #hadTurn(): void {
    const words = this.#words;
    const me = myToken();
    if (words[LAST] === me) Atomics.add(words, SKIPS, 1);
    else Atomics.store(words, SKIPS, 0);
    words[LAST] = me;
    Atomics.compareExchange(words, PRIORITY, me, 0);
    // Others may still sleep; those who spin say so again.
    if (Atomics.compareExchange(words, STATE, SPINNING, IDLE) === WOKEN) {
      Atomics.store(words, STATE, SLEEPING);
    }
    // One wake was all that several releases gave: it goes on to the next.
    if (this.kind === SEMAPHORE && this.#isFree()) this.#wake();
  }

  #acquireSlowly(block: boolean, timeout: number): boolean {
    if (this.#takeOutOfTurn()) return true;
    if (!block || timeout <= 0) return this.#takeFromTheDead(true);
    const deadline = performance.now() + timeout * 1000;
    this.#forgetParentsWaits();
    this.enterWait();
    try {
      return this.#spin() || this.#sleep(deadline);
    } finally {
      this.leaveWait();
    }
  }

  #spin(): boolean {
    const words = this.#words;
    return spin(() => {
      if ((words[STATE] as number) >= SLEEPING) return this.takeAsNewcomer();
      if (words[STATE] === IDLE) Atomics.compareExchange(words, STATE, IDLE, SPINNING);
      return this.takeInTurn();
    });
  }

  #sleep(deadline: number): boolean {
    const words = this.#words;
    let look = FIRST_LOOK;
    for (let hasSlept = false; ; hasSlept = true) {
      const seq = Atomics.load(words, SEQ);
      this.announce();
      if (hasSlept ? this.takeInTurn() : this.takeAsNewcomer()) return true;
      const left = (deadline - performance.now()) / 1000;
      if (left <= 0) return false;
      if (futexWait(this.#seqAddress, seq, Math.min(left, look))) {
        if (!this.#isFree()) this.insist();
      } else {
        if (this.lookAfter()) return true;
        look = NEXT_LOOK;
      }
    }
  }

  /** Before each last look: from now on a release wakes. */
  announce(): void {
    Atomics.store(this.#words, STATE, SLEEPING);
  }

  /** Woken, and somebody else was faster: at the next release nobody goes first. */
  insist(): void {
    Atomics.store(this.#words, SKIPS, MAX_SKIPS);
  }

  /** Of one who waited often in vain: at the next release nobody else goes at all. */
  insistMore(): void {
    Atomics.compareExchange(this.#words, PRIORITY, 0, myToken());
  }

  #forgetParentsWaits(): void {
    if (this.#generation === generation()) return;
    this.#generation = generation();
    this.#waits = 0;
    this.#async = undefined;
  }

  enterWait(): void {
    if (this.#waits++ > 0) return;
    const place = this.#table.join();
    if (place !== undefined) this.#waiting.add(place);
  }

  leaveWait(): void {
    if (--this.#waits > 0) return;
    const place = this.#table.join();
    if (place !== undefined) this.#waiting.remove(place);
    Atomics.compareExchange(this.#words, PRIORITY, myToken(), 0);
  }

  /** Wakes one who sleeps, and rings those who wait asynchronously. */
  #wake(): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, STATE, SLEEPING, WOKEN) !== SLEEPING) return;
    Atomics.add(words, SEQ, 1);
    const woken = futexWake(this.#seqAddress, 1);
    const rung = this.#listening.ringAll(() => this.#async?.soon());
    if (woken + rung > 0) return;
    // Nobody is there any more: whoever was, has given up or died.
    if (Atomics.compareExchange(words, STATE, WOKEN, IDLE) === WOKEN) words[SKIPS] = 0;
  }

  /** Has releases ring this thread, or not any more. */
  listen(on: boolean): void {
    this.#listening.listen(on);
  }

  //
  // When the owner has died
  //

  /** What a waiter does who has heard nothing for long: what it waits for may never come. */
  lookAfter(): boolean {
    if (this.#takeFromTheDead(false)) return true;
    if (!this.#isFree()) return false;
    // It is free, and whoever was to go first did not come.
    const words = this.#words;
    Atomics.store(words, PRIORITY, 0);
    this.#waiting.removeDead();
    return this.takeInTurn();
  }

  /** @param seldom looks at most ten times a second, for those who do not wait but ask again and again */
  #takeFromTheDead(seldom: boolean): boolean {
    if (this.kind === SEMAPHORE) return false;
    if (seldom) {
      const now = performance.now();
      if (now - this.#lastLook < 100) return false;
      this.#lastLook = now;
    }
    const words = this.#words;
    const owner = Atomics.load(words, WORD);
    if (owner === 0 || isAlive(owner)) return false;
    if (Atomics.compareExchange(words, WORD, owner, myToken()) !== owner) return false;
    words[COUNT] = 1;
    warnOfDeadOwner(this.name, owner);
    this.#hadTurn();
    return true;
  }

  //
  // What can be seen of it
  //

  /** The owner's token; 0 when nobody has it, undefined for a semaphore. */
  get owner(): number | undefined {
    return this.kind === SEMAPHORE ? undefined : Atomics.load(this.#words, WORD);
  }

  /** Whether the calling thread holds it; CPython's `_is_mine`. */
  isMine(): boolean {
    return this.owner === myToken();
  }

  /** How often the calling thread holds it; CPython's `_count`. */
  count(): number {
    return this.isMine() ? (this.#words[COUNT] as number) : 0;
  }

  /** How often it could be taken now; CPython's `_get_value`. */
  getValue(): number {
    const word = Atomics.load(this.#words, WORD);
    return this.kind === SEMAPHORE ? word : Number(word === 0);
  }

  /** Gives it back however often it is held. @returns for `acquireAgain` @internal */
  releaseAll(): number {
    const count = this.count();
    this.#words[COUNT] = 1;
    this.release();
    return count;
  }

  /** After it was taken again, once: holds it as often as before. @internal */
  restoreCount(count: number): void {
    this.#words[COUNT] = (this.#words[COUNT] as number) + count - 1;
  }
}
