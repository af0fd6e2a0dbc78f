/**
 * The state of a barrier in shared memory. All but the waits themselves happens while the barrier's lock is held.
 *
 * A phase lasts from one release of all, or break, to the next. Who waits remembers the phase in which it came and
 * finds out from a ring of bits how that phase ended. Nobody has to leave before the next phase can begin, so that
 * one who was killed on its way out keeps nobody.
 */
import { ALL, futexWait, futexWake, isAlive, myToken, now } from '@multiprocessing/posix';
import { damaged } from '../base/errors.ts';
import { load, spin } from '../base/spin.ts';
import { BufferWrapper } from '../heap/heap.ts';
import { AsyncWaits } from '../wait/async_waits.ts';
import { MEMBER_SET_WORDS, MemberSet, MemberTable } from '../wait/hub.ts';

const PHASE = 0;
const BROKEN = 1;
const OUTCOMES = 2;
const OUTCOME_WORDS = 32;
const MEMBERS = OUTCOMES + OUTCOME_WORDS;
/** The tokens of those who have arrived, 0 where nobody has. */
const ARRIVED = MEMBERS + MEMBER_SET_WORDS;
/** Seconds after which a sleeper looks again, in case that who released it was killed before it woke it. */
const LOOK = 0.5;

/** @internal */
export interface PhasesState {
  memory: BufferWrapper;
  members: BufferWrapper;
}

/** @internal */
export class BarrierPhases {
  readonly #parties: number;
  readonly #memory: BufferWrapper;
  readonly #table: MemberTable;
  readonly #words: Int32Array;
  readonly #members: MemberSet;
  readonly #async: AsyncWaits;

  constructor(parties: number, state?: PhasesState) {
    this.#parties = parties;
    this.#memory = state?.memory ?? new BufferWrapper((ARRIVED + parties) * 4);
    this.#table = state === undefined ? MemberTable.current : new MemberTable(state.members);
    this.#words = new Int32Array(this.#memory.buffer);
    const members = new MemberSet(this.#words.subarray(MEMBERS, ARRIVED), this.#table);
    this.#members = members;
    this.#async = new AsyncWaits((on) => members.listen(on));
  }

  get state(): PhasesState {
    return { memory: this.#memory, members: this.#table.memory };
  }

  get broken(): boolean {
    return Atomics.load(this.#words, BROKEN) !== 0;
  }

  get phase(): number {
    return load(this.#words, PHASE);
  }

  get #arrived(): Int32Array {
    return this.#words.subarray(ARRIVED, ARRIVED + this.#parties);
  }

  /** How many have arrived. */
  get waiting(): number {
    let count = 0;
    for (const token of this.#arrived) if (token !== 0) count++;
    return count;
  }

  get address(): number {
    return this.#memory.address;
  }

  /**
   * Puts this thread among those who have arrived.
   * @returns its number in this phase, from 0
   * @throws RuntimeError when all have, and yet the phase is not over
   */
  arrive(): number {
    let index = this.#arrived.indexOf(0);
    if (index < 0) {
      this.#forgetDead();
      index = this.#arrived.indexOf(0);
    }
    if (index < 0) throw damaged('Barrier');
    Atomics.store(this.#arrived, index, myToken());
    return index;
  }

  /** Takes back an arrival. */
  leave(index: number): void {
    Atomics.store(this.#arrived, index, 0);
  }

  hasArrived(token: number): boolean {
    return this.#arrived.includes(token);
  }

  /** Whether all are there, and alive: one that has died is forgotten. */
  isComplete(): boolean {
    if (this.waiting < this.#parties) return false;
    this.#forgetDead();
    return this.waiting === this.#parties;
  }

  #forgetDead(): void {
    const me = myToken();
    this.#arrived.forEach((token, index) => {
      if (token !== me && !isAlive(token)) this.leave(index);
    });
  }

  /** Ends the phase: releases all, or throws in all. */
  end({ released, broken }: { released: boolean; broken: boolean }): void {
    const words = this.#words;
    const { phase } = this;
    const bit = 1 << (phase & 31);
    const word = OUTCOMES + ((phase >>> 5) % OUTCOME_WORDS);
    if (released) Atomics.or(words, word, bit);
    else Atomics.and(words, word, ~bit);
    this.#arrived.fill(0);
    Atomics.store(words, BROKEN, Number(broken));
    Atomics.add(words, PHASE, 1);
    futexWake(this.#memory.address + PHASE * 4, ALL);
    this.#members.ringAll(() => this.#async.soon());
  }

  /** How a phase ended. */
  wasReleased(phase: number): boolean {
    const word = OUTCOMES + ((phase >>> 5) % OUTCOME_WORDS);
    return (Atomics.load(this.#words, word) & (1 << (phase & 31))) !== 0;
  }

  /** Waits for the end of a phase. @param timeout seconds @returns false when the time was over first */
  wait(phase: number, timeout: number): Promise<boolean> {
    return this.#async.wait(() => this.phase !== phase, timeout);
  }

  /** The blocking twin of `wait`. */
  waitSync(phase: number, timeout: number): boolean {
    if (spin(() => this.phase !== phase)) return true;
    const deadline = now() + timeout * 1000;
    while (this.phase === phase) {
      const left = (deadline - now()) / 1000;
      if (left <= 0) return false;
      futexWait(this.#memory.address + PHASE * 4, phase, Math.min(left, LOOK));
    }
    return true;
  }
}
