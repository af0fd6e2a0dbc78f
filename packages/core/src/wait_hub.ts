/**
 * How a thread waits for other processes without blocking its event loop: its bell, and the table in shared memory in
 * which those who wake others find it.
 *
 * CPython has no counterpart: its waits block a thread each.
 */
import { atFork, Doorbell, isAlive, myToken, Ringer } from '@multiprocessing/posix';
import { NotImplementedError, RuntimeError } from './errors.ts';
import { BufferWrapper } from './heap.ts';
import { load } from './spin.ts';
import { processWide } from './state.ts';

/** How many threads can wait asynchronously for the locks of one program at the same time. */
const MEMBERS = 1024;
/** Words of a member: its thread's token, its bell's id. */
const MEMBER_WORDS = 2;

/** 32-bit words that a set of members takes. @internal */
export const MEMBER_SET_WORDS = MEMBERS / 32;

/** Something that waits: it looks at the memory itself whenever the bell has rung. @internal */
export interface Waiter {
  check(): void;
}

const hub = processWide('waitHub', () => ({
  /** Everything that waits in this thread. */
  waiters: new Set<Waiter>(),
  bell: undefined as Doorbell | undefined,
  ringer: undefined as Ringer | undefined,
  /** The tables that this thread stands in, and its place there, by the table's address. */
  places: new Map<number, number>(),
  /** The table for what this process makes. */
  table: undefined as MemberTable | undefined,
}));

// A forked child is another thread, and what its parent waits for is not its own.
atFork(() => {
  hub.waiters = new Set();
  hub.bell = undefined;
  hub.places = new Map();
});

function heard(): void {
  for (const waiter of [...hub.waiters]) waiter.check();
}

/** Has the waiter looked after at each ring, and keeps the event loop alive. @internal */
export function addWaiter(waiter: Waiter): void {
  hub.waiters.add(waiter);
  if (hub.waiters.size === 1) bell().keepAlive(true);
}

/** @internal */
export function removeWaiter(waiter: Waiter): void {
  if (hub.waiters.delete(waiter) && hub.waiters.size === 0) hub.bell?.keepAlive(false);
}

function bell(): Doorbell {
  hub.bell ??= new Doorbell(heard);
  return hub.bell;
}

/** The threads that share locks, in shared memory. All that one process makes refers to one table. @internal */
export class MemberTable {
  readonly memory: BufferWrapper;
  readonly #words: Int32Array;

  /** @throws NotImplementedError where there are no futexes */
  constructor(memory = new BufferWrapper(MEMBERS * MEMBER_WORDS * 4)) {
    if (process.platform !== 'linux') {
      throw new NotImplementedError('locks between processes need Linux: futex(2)');
    }
    this.memory = memory;
    this.#words = new Int32Array(memory.buffer);
  }

  static get current(): MemberTable {
    hub.table ??= new MemberTable();
    return hub.table;
  }

  /** This thread's place. @throws RuntimeError when the table is full */
  join(): number {
    const known = hub.places.get(this.memory.address);
    if (known !== undefined) return known;
    const place = this.#claim((token) => token === 0) ?? this.#claim((token) => !isAlive(token));
    if (place === undefined) {
      throw new RuntimeError(`more than ${MEMBERS} threads wait asynchronously for shared locks`);
    }
    Atomics.store(this.#words, place * MEMBER_WORDS + 1, bell().id);
    hub.places.set(this.memory.address, place);
    return place;
  }

  #claim(isFree: (token: number) => boolean): number | undefined {
    for (let place = 0; place < MEMBERS; place++) {
      const word = place * MEMBER_WORDS;
      const token = Atomics.load(this.#words, word);
      if (!isFree(token)) continue;
      if (Atomics.compareExchange(this.#words, word, token, myToken()) === token) return place;
    }
    return undefined;
  }

  /** Rings the bell of a member. @returns false when there is nobody */
  ring(place: number): boolean {
    const id = Atomics.load(this.#words, place * MEMBER_WORDS + 1);
    if (id === 0) return false;
    hub.ringer ??= new Ringer();
    return hub.ringer.ring(id);
  }
}

/** A set of members in shared memory: those who wait for one thing. @internal */
export class MemberSet {
  readonly #words: Int32Array;
  readonly #table: MemberTable;

  /** @param words MEMBER_SET_WORDS of them */
  constructor(words: Int32Array, table: MemberTable) {
    this.#words = words;
    this.#table = table;
  }

  /** Puts this thread into the set. */
  enter(): void {
    const place = this.#table.join();
    Atomics.or(this.#words, place >>> 5, 1 << (place & 31));
  }

  /** Takes this thread out. */
  leave(): void {
    this.#remove(this.#table.join());
  }

  #remove(place: number): void {
    Atomics.and(this.#words, place >>> 5, ~(1 << (place & 31)));
  }

  /**
   * Rings all members, and forgets those that are gone.
   * @param own called in place of a ring to this thread itself
   * @returns how many there are
   */
  ringAll(own: () => void): number {
    let count = 0;
    for (let i = 0; i < MEMBER_SET_WORDS; i++) {
      for (let bits = load(this.#words, i); bits !== 0; bits &= bits - 1) {
        const place = i * 32 + 31 - Math.clz32(bits & -bits);
        if (this.#reach(place, own)) count++;
        else this.#remove(place);
      }
    }
    return count;
  }

  #reach(place: number, own: () => void): boolean {
    if (hub.places.get(this.#table.memory.address) !== place) return this.#table.ring(place);
    own();
    return true;
  }
}
