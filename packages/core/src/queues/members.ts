/**
 * Which threads have a queue, in its shared memory, and how many tasks each of them has taken and not done.
 */
import { isAlive, myToken } from '@multiprocessing/posix';

const ENTRIES = 128;
const ENTRY_WORDS = 2;
/** Whether there was no room for somebody: then nobody can say any more that all are gone. */
const CROWDED = 0;
const FIRST = 2;

/** 32-bit words. @internal */
export const MEMBERS_WORDS = FIRST + ENTRIES * ENTRY_WORDS;

/** @internal */
export class QueueMembers {
  readonly #words: Int32Array;
  #mine = -1;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Notes that this thread has the queue. */
  enter(): void {
    const me = myToken();
    this.#mine = this.#find((token) => token === me) ?? this.#claim(me);
  }

  #find(is: (token: number, held: number) => boolean): number | undefined {
    for (let i = 0; i < ENTRIES; i++) {
      const entry = FIRST + i * ENTRY_WORDS;
      if (is(this.#words[entry] as number, this.#words[entry + 1] as number)) return entry;
    }
    return undefined;
  }

  #claim(me: number): number {
    for (;;) {
      const free =
        this.#find((token) => token === 0) ??
        this.#find((token, held) => held <= 0 && !isAlive(token));
      if (free === undefined) {
        Atomics.store(this.#words, CROWDED, 1);
        return -1;
      }
      const token = this.#words[free] as number;
      if (Atomics.compareExchange(this.#words, free, token, me) !== token) continue;
      Atomics.store(this.#words, free + 1, 0);
      return free;
    }
  }

  /** Whether another thread that has the queue lives, so far as can be known. */
  othersLive(): boolean {
    if (Atomics.load(this.#words, CROWDED) !== 0) return true;
    const me = myToken();
    return this.#find((token) => token !== 0 && token !== me && isAlive(token)) !== undefined;
  }

  /** This thread has taken a task, or done one. */
  hold(change: 1 | -1): void {
    if (this.#mine >= 0) Atomics.add(this.#words, this.#mine + 1, change);
  }

  /** How many tasks the living have in hand. */
  heldByLiving(): number {
    let count = 0;
    this.#find((token, held) => {
      if (token !== 0 && held > 0 && isAlive(token)) count += held;
      return false;
    });
    return count;
  }

  /** Takes out the dead who had tasks in hand. @returns their tokens, and how many tasks each had */
  takeDead(): { token: number; held: number }[] {
    const dead: { token: number; held: number }[] = [];
    for (let i = 0; i < ENTRIES; i++) {
      const entry = FIRST + i * ENTRY_WORDS;
      const token = Atomics.load(this.#words, entry);
      if (token === 0 || (this.#words[entry + 1] as number) <= 0 || isAlive(token)) continue;
      const held = Atomics.exchange(this.#words, entry + 1, 0);
      if (held > 0) dead.push({ token, held });
    }
    return dead;
  }
}
