/**
 * The first microseconds of a blocking wait, and the loads that such code is made of.
 */
import { availableParallelism } from 'node:os';

/**
 * On x64 a plain load does not change places with an atomic instruction before it, and plain stores become visible in
 * their order. They take a tenth of the time of Atomics.load and Atomics.store, which V8 calls.
 */
export const IS_STRONGLY_ORDERED = process.arch === 'x64';

/** Loads a word of shared memory behind whatever atomic operation came before. @internal */
export function load(words: Int32Array, index: number): number {
  return IS_STRONGLY_ORDERED ? (words[index] as number) : Atomics.load(words, index);
}

/** Looks before a sleep: together some ten microseconds, about what a sleep costs who sleeps and who wakes. */
const LOOKS = 250;
const PAUSE = 40;

const pause = new Int32Array(1);
let looks: number | undefined;

/**
 * Looks again and again, for a short time, and not at all where only one thread can run.
 * @param rarely looks as long, but less often: each look takes the memory away from who is about to change it
 * @returns whether it was done
 * @internal
 */
export function spin(done: () => boolean, rarely = 1): boolean {
  looks ??= availableParallelism() > 1 ? LOOKS : 0;
  for (let i = 0; i < looks; i += rarely) {
    if (done()) return true;
    for (let j = 0; j < PAUSE * rarely; j++) pause[0] = j;
  }
  return false;
}

/** Most waits that are not spun for after the last spin was in vain. */
const MOST_PASSED = 64;
/**
 * So many spins in a row may be in vain before waits are passed. Where two processes answer each other, one that had to
 * sleep for once makes the other one's spin vain, and would teach it to sleep as well.
 */
const CHANCES = 4;

/** Whether it is worth spinning before a wait that does not block: as long as it is not in vain for long. @internal */
export class SpinHope {
  readonly #patience: number;
  #inVain = 0;
  #pass = 0;
  #passed = 0;

  /** @param patience how many spins one is worth */
  constructor(patience = 1) {
    this.#patience = patience;
  }

  /** Spins, if there is hope. @returns whether it was done */
  spin(done: () => boolean, rarely = 1): boolean {
    if (this.#passed < this.#pass) {
      this.#passed++;
      return false;
    }
    this.#passed = 0;
    let hit = false;
    for (let i = 0; i < this.#patience && !hit; i++) hit = spin(done, rarely);
    this.#inVain = hit ? 0 : this.#inVain + 1;
    this.#pass = this.#inVain < CHANCES ? 0 : Math.min(this.#pass * 2 + 1, MOST_PASSED);
    return hit;
  }
}
