/**
 * How a thread waits for other processes without blocking its event loop: its bell, and the table in shared memory in
 * which those who wake others find it.
 *
 * CPython has no counterpart: its waits block a thread each.
 *
 *     async_waits.ts    waits of one thread for what a look at shared memory tells
 *     change_signal.ts  "look again": how others learn of a change
 *     committed.ts      numbers that change together or not at all
 *     loop_turns.ts     when a row of calls lets the event loop have its turn
 */
import {
  atFork,
  type Doorbell,
  isAlive,
  makeDoorbell,
  myToken,
  Ringer,
} from '@multiprocessing/posix';
import { NotImplementedError, RuntimeError } from '../base/errors.ts';
import { load } from '../base/spin.ts';
import { processWide } from '../base/state.ts';
import { BufferWrapper } from '../heap/heap.ts';

/** How many threads can wait asynchronously for the locks of one program at the same time. */
const MEMBERS = 1024;
/** Words of a member: its thread's token, its bell's id. */
const MEMBER_WORDS = 2;

/** 32-bit words that a set of members takes: a bit for each, and before them a bit for each word that is not 0. @internal */
export const MEMBER_SET_WORDS = 1 + MEMBERS / 32;

/** Something that waits: it looks at the memory itself whenever the bell has rung. @internal */
export interface Waiter {
  check(): void;
  /** Whether the event loop goes on for it; it does, unless this says no. */
  readonly isUnref?: boolean;
}

const hub = processWide('waitHub', () => ({
  /** Another number in each forked child: what waited before is its parent's. */
  generation: 0,
  /** Everything that waits in this thread. */
  waiters: new Set<Waiter>(),
  bell: undefined as Doorbell | undefined,
  /** Whether the bell keeps the event loop alive. */
  keepsAlive: false,
  ringer: undefined as Ringer | undefined,
  /** The tables that this thread stands in, and its place there, by the table's address. */
  places: new Map<number, number>(),
  /** The table for what this process makes. */
  table: undefined as MemberTable | undefined,
}));

// A forked child is another thread, and what its parent waits for is not its own.
atFork(() => {
  hub.generation++;
  hub.waiters = new Set();
  hub.bell = undefined;
  hub.keepsAlive = false;
  hub.places = new Map();
});

/** Tells a forked child from the process whose objects it has. @internal */
export function generation(): number {
  return hub.generation;
}

function heard(): void {
  for (const waiter of [...hub.waiters]) waiter.check();
}

/** Has the waiter looked after at each ring, and keeps the event loop alive. @internal */
export function addWaiter(waiter: Waiter): void {
  hub.waiters.add(waiter);
  updateKeepAlive();
}

/** @internal */
export function removeWaiter(waiter: Waiter): void {
  if (hub.waiters.delete(waiter)) updateKeepAlive();
}

/** To be called when a waiter's `isUnref` has changed. @internal */
export function updateKeepAlive(): void {
  let keep = false;
  for (const waiter of hub.waiters) {
    if (waiter.isUnref === true) continue;
    keep = true;
    break;
  }
  if (keep === hub.keepsAlive) return;
  hub.keepsAlive = keep;
  bell().keepAlive(keep);
}

function bell(): Doorbell {
  hub.bell ??= makeDoorbell(heard);
  return hub.bell;
}

/** Has what this thread is woken by now, and not when there may be no fd left for it. @throws OSError @internal */
export function prepareWaits(): void {
  bell();
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

  /** This thread's place; undefined when the table is full. */
  join(): number | undefined {
    const known = hub.places.get(this.memory.address);
    if (known !== undefined) return known;
    const place = this.#claim((token) => token === 0) ?? this.#claim((token) => !isAlive(token));
    if (place !== undefined) {
      Atomics.store(this.#words, place * MEMBER_WORDS + 1, 0);
      hub.places.set(this.memory.address, place);
    }
    return place;
  }

  /** This thread's place, with a bell at it. @throws RuntimeError when the table is full */
  joinWithBell(): number {
    const place = this.join();
    if (place === undefined) {
      throw new RuntimeError(`more than ${MEMBERS} threads wait for locks of one program`);
    }
    Atomics.store(this.#words, place * MEMBER_WORDS + 1, bell().id);
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

  /**
   * Rings the bell of a member.
   * @param own called in place of a ring to this thread itself
   * @returns false when there is nobody, and where nobody can be
   */
  ring(place: number, own: () => void): boolean {
    if (place >>> 0 >= MEMBERS) return false;
    if (hub.places.get(this.memory.address) === place) {
      own();
      return true;
    }
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

  /** Puts a member into the set. */
  add(place: number): void {
    Atomics.or(this.#words, 1 + (place >>> 5), 1 << (place & 31));
    Atomics.or(this.#words, 0, 1 << (place >>> 5));
  }

  /** Takes a member out. */
  remove(place: number): void {
    const word = place >>> 5;
    Atomics.and(this.#words, 1 + word, ~(1 << (place & 31)));
    if (Atomics.load(this.#words, 1 + word) !== 0) return;
    Atomics.and(this.#words, 0, ~(1 << word));
    // Another member may have come between the two looks.
    if (Atomics.load(this.#words, 1 + word) !== 0) Atomics.or(this.#words, 0, 1 << word);
  }

  /** The places of all members. */
  #places(): number[] {
    const places: number[] = [];
    for (let used = load(this.#words, 0); used !== 0; used &= used - 1) {
      const word = 31 - Math.clz32(used & -used);
      for (let bits = load(this.#words, 1 + word); bits !== 0; bits &= bits - 1) {
        places.push(word * 32 + 31 - Math.clz32(bits & -bits));
      }
    }
    return places;
  }

  /**
   * Rings all members, and forgets those that are gone.
   * @param own called in place of a ring to this thread itself
   * @returns how many there are
   */
  ringAll(own: () => void): number {
    return this.ringSome(Infinity, own);
  }

  /** The same with so many members at most. */
  ringSome(most: number, own: () => void): number {
    if (load(this.#words, 0) === 0) return 0;
    let count = 0;
    for (const place of this.#places()) {
      if (count >= most) break;
      if (this.#table.ring(place, own)) count++;
      else this.remove(place);
    }
    return count;
  }

  /** Has this thread rung, or not any more. @returns its place @throws RuntimeError when the table is full */
  listen(on: boolean): number {
    const place = this.#table.joinWithBell();
    if (on) this.add(place);
    else this.remove(place);
    return place;
  }
}
