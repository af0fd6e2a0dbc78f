/**
 * Counterpart of Modules/_multiprocessing/semaphore.c: a lock or semaphore on words in shared memory. The Python-visible
 * classes are in synchronize.ts. Deviations: D-040, D-041, D-042, D-043, D-121.
 *
 * Who finds it free takes it by one atomic instruction and gives it back by a store. All else is for those who do
 * not; docs/locks.md describes it:
 *
 * - STATE tells the holder whether anybody waits. Those who wait spin for some microseconds, then sleep on SEQ
 *   (futex(2)) or, asynchronously, hear their bell (wait/hub.ts).
 * - A release that finds sleepers wakes one and rings all bells. It hands nothing over: whoever comes first takes it,
 *   which is many times faster than a change of processes at each release. That ends when somebody has waited
 *   for many turns (turns.ts).
 * - Nothing is owed to a process that was woken and killed: each sleeper looks again after a quarter of a second.
 */
import {
  ALL,
  fenceAll,
  futexWait,
  futexWake,
  isAlive,
  isToken,
  myToken,
  now,
  self,
} from '@multiprocessing/posix';
import { AssertionError, damaged, type RuntimeError, ValueError } from '../base/errors.ts';
import { IS_STRONGLY_ORDERED, load, spin } from '../base/spin.ts';
import { BufferWrapper } from '../heap/heap.ts';
import { generation, MemberSet, MemberTable } from '../wait/hub.ts';
import { warnOfDeadOwner } from './dead_owner.ts';
import { AsyncAcquires } from './semlock_async.ts';
import {
  COUNT,
  IDLE,
  LISTENING,
  QUEUE,
  SEQ,
  SLEEPING,
  SPINNING,
  STATE,
  TURNS,
  WOKEN,
  WORD,
  WORDS,
} from './semlock_words.ts';
import { NOT_WAITING, WaitQueue } from './turns.ts';

/** Kinds, as in CPython: RECURSIVE_MUTEX, SEMAPHORE, and a lock. @internal */
export const RECURSIVE = 0;
export const SEMAPHORE = 1;
export const LOCK = 2;

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
  /** What warnings call it; undefined where nothing is half done when its owner dies. */
  name: string | undefined = 'a lock';
  /** What the error calls it that is thrown when its memory is damaged. */
  what = 'Lock';
  readonly #memory: BufferWrapper;
  readonly #table: MemberTable;
  readonly #queue: WaitQueue;
  readonly #listening: MemberSet;
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
    this.#queue = new WaitQueue(this.#words.subarray(QUEUE, LISTENING), () => this.#damaged());
    this.#listening = new MemberSet(this.#words.subarray(LISTENING), this.#table);
    this.#seqAddress = this.#memory.address + SEQ * 4;
    if (state === undefined && kind === SEMAPHORE) this.#words[WORD] = value;
    myToken(); // it needs an fd, which may be hard to get later
  }

  static rebuild(state: SemLockState): NativeSemLock {
    return new NativeSemLock(state.kind, 0, state.maxvalue, state);
  }

  get state(): SemLockState {
    const { kind, maxvalue } = this;
    return { kind, maxvalue, memory: this.#memory, members: this.#table.memory };
  }

  #damaged(): RuntimeError {
    return damaged(this.what);
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
    if (this.#takeAtOnce() || this.takeInTurn(NOT_WAITING)) return true;
    if (!block || timeout <= 0) return this.#takeFromTheDead(true);
    return new Promise((resolve, reject) => this.acquireThen(timeout, resolve, reject));
  }

  /**
   * The same, for what is done in the very moment in which it is had: between a promise's end and what waits for it,
   * this thread could come to want the lock that it has.
   * @param timeout seconds, more than 0
   * @param failed is told of the error that ends the wait
   */
  acquireThen(
    timeout: number,
    then: (taken: boolean) => void,
    failed: (error: unknown) => void,
  ): void {
    if (this.#generation !== generation()) {
      this.#generation = generation();
      this.#async = undefined; // it waits for this process's parent
    }
    this.#async ??= new AsyncAcquires(this);
    this.#async.add(timeout, then, failed);
  }

  /** The case for which all this is made: nobody has it, nobody waits. */
  #takeAtOnce(): boolean {
    const words = this.#words;
    if (this.kind === SEMAPHORE) return words[STATE] === IDLE && this.#takeOne();
    const me = self.token || myToken();
    if (this.kind === RECURSIVE && words[WORD] === me) {
      (words[COUNT] as number)++;
      return true;
    }
    if (words[STATE] !== IDLE || Atomics.compareExchange(words, WORD, 0, me) !== 0) return false;
    words[COUNT] = 1;
    return true;
  }

  /**
   * Gives it back; any process may do so with a lock or semaphore.
   * @throws ValueError when it is not taken, AssertionError for a recursive lock of somebody else, RuntimeError when its
   *   memory is damaged
   */
  release(): void {
    const words = this.#words;
    if (this.kind === SEMAPHORE) this.#putOne();
    else {
      if (this.kind === RECURSIVE) {
        if (words[WORD] !== (self.token || myToken())) {
          throw new AssertionError('attempt to release recursive lock not owned by thread');
        }
        const left = --(words[COUNT] as number);
        if (left !== 0) {
          if (left > 0) return;
          throw this.#damaged();
        }
      }
      if (this.#setFree() === 0) {
        throw new ValueError('semaphore or lock released too many times');
      }
    }
    if (load(words, STATE) >= SLEEPING) this.#wake();
  }

  /**
   * Gives a lock back. Between that and the look at STATE there has to be a fence. On x64 it is left to those who go to
   * sleep (takeBeforeSleep), and so half of the time that a lock takes is saved.
   * @returns what WORD was
   */
  #setFree(): number {
    const words = this.#words;
    if (!IS_STRONGLY_ORDERED || !self.fenced) return Atomics.exchange(words, WORD, 0);
    const owner = words[WORD] as number;
    words[WORD] = 0;
    return owner;
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
      if ((value - 1) >>> 0 >= this.maxvalue) {
        if (value === 0) return false;
        throw this.#damaged();
      }
      if (Atomics.compareExchange(words, WORD, value, value - 1) === value) return true;
    }
  }

  #putOne(): void {
    const words = this.#words;
    for (;;) {
      const value = words[WORD] as number;
      if (value >>> 0 >= this.maxvalue) {
        if (value !== this.maxvalue) throw this.#damaged();
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
    return (word === 0) !== (this.kind === SEMAPHORE);
  }

  get turns(): number {
    return Atomics.load(this.#words, TURNS);
  }

  /** Takes it, unless it is not free or somebody else has to go first. @param place in the queue, or NOT_WAITING */
  takeInTurn(place: number): boolean {
    if (!this.#isFree()) return false;
    const first = this.#queue.impatient(this.turns);
    if ((first >= 0 && first !== place) || !this.#takeOne()) return false;
    this.#hadTurn();
    return true;
  }

  #hadTurn(): void {
    Atomics.add(this.#words, TURNS, 1);
    // Others may still sleep, and the next release may have to wake another one than the last.
    Atomics.compareExchange(this.#words, STATE, WOKEN, SLEEPING);
    // One wake was all that several releases gave: it goes on to the next.
    if (this.kind === SEMAPHORE && this.#isFree()) this.#wake();
  }

  #acquireSlowly(block: boolean, timeout: number): boolean {
    if (this.takeInTurn(NOT_WAITING)) return true;
    if (!block || timeout <= 0) return this.#takeFromTheDead(true);
    const deadline = now() + timeout * 1000;
    const begun = this.turns;
    const place = { now: this.enter(NOT_WAITING, begun) };
    try {
      return spin(() => this.takeInTurn(place.now)) || this.#sleep(deadline, begun, place);
    } finally {
      this.leave(place.now);
    }
  }

  #sleep(deadline: number, begun: number, place: { now: number }): boolean {
    const mask = bitOf(myToken());
    let look = FIRST_LOOK;
    for (let passedOn = false; ; ) {
      place.now = this.enter(place.now, begun);
      const seq = Atomics.load(this.#words, SEQ);
      if (this.takeBeforeSleep(place.now)) return true;
      passedOn = !passedOn && this.passOn();
      if (passedOn) continue;
      const left = (deadline - now()) / 1000;
      if (left <= 0) return false;
      if (futexWait(this.#seqAddress, seq, Math.min(left, look), mask)) continue;
      if (this.lookAfter(place.now)) return true;
      look = NEXT_LOOK;
    }
  }

  /**
   * Takes a place in the queue, or keeps the one that it has.
   * @param begun what `turns` was when the wait began
   * @param member by which it is rung, if it waits asynchronously
   * @returns the place
   */
  enter(place: number, begun: number, member?: number): number {
    const entered = this.#queue.enter(place, { token: myToken(), since: begun, member });
    Atomics.compareExchange(this.#words, STATE, IDLE, SPINNING);
    return entered;
  }

  leave(place: number): void {
    this.#queue.leave(place, myToken());
    this.#calmDown(SPINNING);
  }

  /** Says that nobody sleeps, or that nobody waits at all. */
  #calmDown(from: number): void {
    const words = this.#words;
    const to = this.#queue.isEmpty() ? IDLE : SPINNING;
    if (to === from || Atomics.compareExchange(words, STATE, from, to) !== from) return;
    // Somebody may have come between the two.
    if (!this.#queue.isEmpty()) Atomics.compareExchange(words, STATE, IDLE, SPINNING);
  }

  /** The last look before a sleep: from now on a release wakes. */
  takeBeforeSleep(place: number): boolean {
    Atomics.store(this.#words, STATE, SLEEPING);
    if (IS_STRONGLY_ORDERED) fenceAll();
    return this.takeInTurn(place);
  }

  /**
   * When it is free and yet not for this thread: whoever has to go first may sleep, and this thread have been woken in its
   * place.
   */
  passOn(): boolean {
    if (!this.#isFree()) return false;
    this.#wake();
    return true;
  }

  /** Wakes who is to go next: one who sleeps, and all who wait asynchronously, unless one has to go first. */
  #wake(): void {
    const words = this.#words;
    if (Atomics.compareExchange(words, STATE, SLEEPING, WOKEN) !== SLEEPING) return;
    Atomics.add(words, SEQ, 1);
    const first = this.#queue.impatient(this.turns);
    if (first >= 0) {
      // It may be awake already, and even have had its turn: then the next release has to wake somebody.
      if (!this.#wakeAt(first)) Atomics.compareExchange(words, STATE, WOKEN, SLEEPING);
    } else if (!this.#wakeAny()) {
      // Nobody is there any more, or only such who spin: whoever was, has given up or died.
      this.#calmDown(WOKEN);
    }
  }

  #wakeAt(place: number): boolean {
    const member = this.#queue.memberAt(place);
    if (member !== undefined) return this.#table.ring(member, () => this.#async?.soon());
    return futexWake(this.#seqAddress, ALL, bitOf(this.#queue.tokenAt(place))) > 0;
  }

  #wakeAny(): boolean {
    const woken = futexWake(this.#seqAddress, 1);
    const rung = this.#listening.ringAll(() => this.#async?.soon());
    return woken + rung > 0;
  }

  /** Has releases ring this thread, or not any more. @returns by which member */
  listen(on: boolean): number {
    return this.#listening.listen(on);
  }

  //
  // When the owner has died
  //

  /** What a waiter does who has heard nothing for long: what it waits for may never come. */
  lookAfter(place: number): boolean {
    if (this.#takeFromTheDead(false)) return true;
    if (!this.#isFree()) return false;
    this.#queue.evict(this.turns, place);
    return this.takeInTurn(place);
  }

  /** @param seldom looks at most ten times a second, for those who do not wait but ask again and again */
  #takeFromTheDead(seldom: boolean): boolean {
    if (this.kind === SEMAPHORE) return false;
    if (seldom) {
      const time = now();
      if (time - this.#lastLook < 100) return false;
      this.#lastLook = time;
    }
    const words = this.#words;
    const owner = Atomics.load(words, WORD);
    if (owner === 0 || isAlive(owner)) return false;
    if (!isToken(owner)) throw this.#damaged();
    if (Atomics.compareExchange(words, WORD, owner, myToken()) !== owner) return false;
    words[COUNT] = 1;
    if (this.name !== undefined) warnOfDeadOwner(this.name, owner);
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
    if (count < 1) throw this.#damaged();
    this.#words[COUNT] = 1;
    this.release();
    return count;
  }

  /** After it was taken again, once: holds it as often as before. @internal */
  restoreCount(count: number): void {
    this.#words[COUNT] = (this.#words[COUNT] as number) + count - 1;
  }
}

/** By which bit a thread that sleeps can be woken: some others may have the same. */
function bitOf(token: number): number {
  return (1 << (token & 31)) >>> 0;
}
