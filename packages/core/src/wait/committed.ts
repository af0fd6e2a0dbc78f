/**
 * A few numbers in shared memory that change together or not at all, whenever the process that changes them is killed.
 * They stand there twice; which of the two counts, the lowest bit of a version tells.
 */

import { self } from '@multiprocessing/posix';
import { IS_STRONGLY_ORDERED } from '../base/spin.ts';

/** Bytes: the version in a cache line of its own, and two lines of numbers. @internal */
export const COMMITTED_BYTES = 192;
const FIELDS = 8;
const LINE = 64;

/** @internal */
export class Committed {
  readonly #version: Int32Array;
  /** The two sets of numbers. To be changed between `edit` and `commit` only, by who holds their lock. */
  readonly fields: Float64Array;

  /** @param offset bytes, a multiple of 64 */
  constructor(buffer: ArrayBuffer, offset: number) {
    this.#version = new Int32Array(buffer, offset, 1);
    this.fields = new Float64Array(buffer, offset + LINE, 2 * FIELDS);
  }

  /** Begins a change. @returns where in `fields` the set begins that will count after `commit` */
  edit(): number {
    const { fields } = this;
    const from = ((this.#version[0] as number) & 1) * FIELDS;
    const to = FIELDS - from;
    for (let i = 0; i < FIELDS; i++) fields[to + i] = fields[from + i] as number;
    return to;
  }

  /**
   * The moment in which all of it changes. On x64 others may see it a moment later: the fence that who waits for it needs is
   * left to those who wait (change_signal.ts), as with locks.
   */
  commit(): void {
    const next = ((this.#version[0] as number) + 1) | 0;
    if (IS_STRONGLY_ORDERED && self.fenced) this.#version[0] = next;
    else Atomics.store(this.#version, 0, next);
  }

  /** A number, for anybody. */
  read(field: number): number {
    for (;;) {
      const version = Atomics.load(this.#version, 0);
      const value = this.fields[(version & 1) * FIELDS + field] as number;
      // The set that counts is not written to before another one counts.
      if (Atomics.load(this.#version, 0) === version) return value;
    }
  }
}
