/**
 * Who waits for a lock, and since when, in shared memory: what decides who may go next.
 *
 * As long as nobody has waited for many turns anybody may go, which is fast. After that only the one who came first
 * may. It takes its place out when it has gone; one who was killed is taken out by those whom it keeps.
 */
import { load } from '../base/spin.ts';

/** Threads that have a place at a lock. Those beyond it wait as well, but nobody lets them go first. */
const PLACES = 64;
/** Words of a place: a thread's token or 0, what TURNS was when it came, and 1 + the member that is rung, or 0. */
const PLACE_WORDS = 3;
/** Places that have ever been taken. */
const USED = 0;
const FIRST = 2;

/** 32-bit words that a queue takes. @internal */
export const QUEUE_WORDS = FIRST + PLACES * PLACE_WORDS;

/** Turns of others after which one who waits goes before all others. */
const PATIENCE = 64;

/** The place of a thread that does not wait. @internal */
export const NOT_WAITING = -1;
/** The place of one that waits, when all are taken. */
const NO_PLACE = -2;

interface Waiter {
  readonly token: number;
  /** What TURNS was when the wait began. */
  readonly since: number;
  /** Its place in the member table, if it is to be rung. */
  readonly member?: number | undefined;
}

/** @internal */
export class WaitQueue {
  readonly #words: Int32Array;
  readonly #damaged: () => Error;

  /** @param damaged makes the error for words that cannot be */
  constructor(words: Int32Array, damaged: () => Error) {
    this.#words = words;
    this.#damaged = damaged;
  }

  /**
   * Takes a place, or keeps the one that it has.
   * @param place from an earlier call, or NOT_WAITING
   * @returns the place
   */
  enter(place: number, waiter: Waiter): number {
    const words = this.#words;
    if (place >= 0 && words[place] === waiter.token) {
      this.#note(place, waiter);
      return place;
    }
    for (let i = 0; i < PLACES; i++) {
      const free = FIRST + i * PLACE_WORDS;
      if (words[free] !== 0) continue;
      // Noted when it is this thread's: before, another one could be writing there, too. What stood there until then can
      // mislead others, but not for long: this thread has still to look whether it can go.
      if (Atomics.compareExchange(words, free, 0, waiter.token) !== 0) continue;
      this.#note(free, waiter);
      for (let used = load(words, USED); used <= i; used = load(words, USED)) {
        Atomics.compareExchange(words, USED, used, i + 1);
      }
      return free;
    }
    return NO_PLACE;
  }

  #note(place: number, { since, member }: Waiter): void {
    this.#words[place + 1] = since;
    this.#words[place + 2] = member === undefined ? 0 : member + 1;
  }

  leave(place: number, token: number): void {
    if (place >= 0) Atomics.compareExchange(this.#words, place, token, 0);
  }

  tokenAt(place: number): number {
    return load(this.#words, place);
  }

  memberAt(place: number): number | undefined {
    const member = load(this.#words, place + 2);
    return member === 0 ? undefined : member - 1;
  }

  /** Never throws: who leaves has to come away. */
  isEmpty(): boolean {
    const words = this.#words;
    const used = load(words, USED);
    const end = FIRST + (used >>> 0 > PLACES ? PLACES : used) * PLACE_WORDS;
    for (let place = FIRST; place < end; place += PLACE_WORDS) {
      if (words[place] !== 0) return false;
    }
    return true;
  }

  /** The place of the one who came first, if it has lost its patience; -1 otherwise. @throws RuntimeError */
  impatient(turns: number): number {
    const words = this.#words;
    const used = load(words, USED);
    if (used >>> 0 > PLACES) throw this.#damaged();
    const end = FIRST + used * PLACE_WORDS;
    let longest = PATIENCE - 1;
    let found = -1;
    for (let place = FIRST; place < end; place += PLACE_WORDS) {
      if (words[place] === 0) continue;
      const waited = (turns - (words[place + 1] as number)) | 0;
      if (waited <= longest) continue;
      longest = waited;
      found = place;
    }
    return found;
  }

  /** Takes those out who should have gone and did not come. Who lives takes a place again at its next look. */
  evict(turns: number, own: number): void {
    for (let i = 0; i < PLACES; i++) {
      const place = this.impatient(turns);
      if (place < 0 || place === own) return;
      this.leave(place, this.tokenAt(place));
    }
  }
}
