/**
 * Whether it is worth looking again and again for what may come within microseconds: as long as that mostly comes. Where several
 * processes ask one manager it mostly does not, and the looks would take the processor away from who is to answer.
 */
import { spin } from '../base/spin.ts';

/** How much the last time counts. */
const WEIGHT = 1 / 8;
/** It has to come so often. */
const ENOUGH = 0.5;
/** Once in so many times it is tried all the same, */
const TRY = 32;
/** and this is what one hit is worth then: the other side may have begun to be quick. */
const AGAIN = 0.8;
/** How much longer such a try lasts. */
const PATIENCE = 3;
/** As each look asks the kernel, there are fewer. */
const RARELY = 5;

/** @internal */
export class SpinOdds {
  #odds = 1;
  #passed = 0;

  /** @returns whether it was done */
  spin(done: () => boolean): boolean {
    const isTry = this.#odds < ENOUGH;
    if (isTry && ++this.#passed < TRY) return false;
    this.#passed = 0;
    let hit = spin(done, RARELY);
    // The other side has slept, too, and wakes up slowly.
    for (let i = 0; isTry && !hit && i < PATIENCE; i++) hit = spin(done, RARELY);
    if (isTry && hit) this.#odds = AGAIN;
    else this.#odds += (Number(hit) - this.#odds) * WEIGHT;
    return hit;
  }
}
