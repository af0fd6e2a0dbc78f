/**
 * Who waits for a condition, in shared memory: an entry for each thread, with how many waits it has and how many of
 * them have been notified. It changes only while the condition's lock is held, but that who was notified takes the
 * notification before.
 *
 * CPython counts sleepers and the woken in two semaphores; a notify() then waits for the woken to say so, and one that
 * was killed never does. Here a notification that nobody is there for goes to the next.
 */
import { ALL, futexWait, futexWake, isAlive, myToken, now } from '@multiprocessing/posix';
import { damaged, RuntimeError } from '../base/errors.ts';
import { load, spin } from '../base/spin.ts';
import { BufferWrapper } from '../heap/heap.ts';
import { AsyncWaits } from '../wait/async_waits.ts';
import { MemberTable } from '../wait/hub.ts';

/** Threads that can wait for one condition at the same time. */
const ENTRIES = 256;
/** Where the next notify() begins to look, so that all have their turn. */
const NEXT = 0;
const HEAD_WORDS = 4;
const ENTRY_WORDS = 4;
const TOKEN = 0;
const WAITING = 1;
const NOTIFIED = 2;
/** 1 + the thread's place in the member table, once it waits asynchronously. */
const PLACE = 3;
/** Waits that one thread can have at a time; what says more is damaged. */
const MOST_WAITS = 1 << 24;
/** Seconds after which a sleeper looks again, in case that who notified it was killed before it woke it. */
const LOOK = 0.5;

/** @internal */
export interface ConditionState {
  memory: BufferWrapper;
  members: BufferWrapper;
}

/** @internal */
export class ConditionWaits {
  readonly #memory: BufferWrapper;
  readonly #table: MemberTable;
  readonly #words: Int32Array;
  readonly #async = new AsyncWaits();

  constructor(state?: ConditionState) {
    this.#memory = state?.memory ?? new BufferWrapper((HEAD_WORDS + ENTRIES * ENTRY_WORDS) * 4);
    this.#table = state === undefined ? MemberTable.current : new MemberTable(state.members);
    this.#words = new Int32Array(this.#memory.buffer);
  }

  get state(): ConditionState {
    return { memory: this.#memory, members: this.#table.memory };
  }

  /** How many wait. */
  get count(): number {
    let count = 0;
    for (let i = 0; i < ENTRIES; i++) count += this.#get(this.#entry(i) + WAITING);
    return count;
  }

  #entry(i: number): number {
    return HEAD_WORDS + i * ENTRY_WORDS;
  }

  #get(word: number): number {
    return load(this.#words, word);
  }

  /** Begins a wait of this thread. @returns its entry @throws RuntimeError when too many threads wait */
  enter(): number {
    const entry = this.#find();
    Atomics.add(this.#words, entry + WAITING, 1);
    return entry;
  }

  #find(): number {
    const me = myToken();
    let free: number | undefined;
    for (let i = 0; i < ENTRIES; i++) {
      const entry = this.#entry(i);
      if (this.#get(entry + TOKEN) === me) return entry;
      const unused = this.#get(entry + WAITING) === 0 && this.#get(entry + NOTIFIED) === 0;
      if (unused) free ??= entry;
    }
    for (let i = 0; free === undefined && i < ENTRIES; i++) {
      if (!isAlive(this.#get(this.#entry(i) + TOKEN))) free = this.#entry(i);
    }
    if (free === undefined) {
      throw new RuntimeError(`more than ${ENTRIES} threads wait for one condition`);
    }
    this.#words.set([me, 0, 0, 0], free);
    return free;
  }

  /** Sleeps until a notification is there, and takes it. @param timeout seconds @returns whether it took one */
  sleep(entry: number, timeout: number): boolean {
    if (timeout > 0 && spin(() => this.#take(entry))) return true;
    const deadline = now() + timeout * 1000;
    const address = this.#memory.address + (entry + NOTIFIED) * 4;
    for (;;) {
      if (this.#take(entry)) return true;
      const left = (deadline - now()) / 1000;
      if (left <= 0) return false;
      futexWait(address, 0, Math.min(left, LOOK));
    }
  }

  /** The same without blocking the event loop. */
  wait(entry: number, timeout: number): Promise<boolean> {
    Atomics.store(this.#words, entry + PLACE, this.#table.joinWithBell() + 1);
    return this.#async.wait(() => this.#take(entry), timeout);
  }

  /** A number of waits, if it can be one. @throws RuntimeError */
  #count(word: number): number {
    const count = this.#get(word);
    if (count >>> 0 > MOST_WAITS) throw damaged('Condition');
    return count;
  }

  #take(entry: number): boolean {
    if (this.#count(entry + NOTIFIED) === 0) return false;
    Atomics.sub(this.#words, entry + NOTIFIED, 1);
    return true;
  }

  /** Ends a wait whose time is over. @returns whether a notification came after all */
  giveUp(entry: number): boolean {
    if (this.#take(entry)) return true;
    if (this.#count(entry + WAITING) === 0) throw damaged('Condition');
    Atomics.sub(this.#words, entry + WAITING, 1);
    return false;
  }

  /** Notifies up to n of those who wait, the threads in turn. */
  notify(n: number): void {
    const begin = this.#get(NEXT);
    if (begin >>> 0 >= ENTRIES) throw damaged('Condition');
    let left = n;
    for (let i = 0; i < ENTRIES && left > 0; i++) {
      const index = (begin + i) % ENTRIES;
      const entry = this.#entry(index);
      const count = Math.min(left, this.#count(entry + WAITING));
      if (count === 0 || !this.#reach(entry, count)) continue;
      left -= count;
      Atomics.store(this.#words, NEXT, (index + 1) % ENTRIES);
    }
  }

  /** @returns false when the thread is dead: then its entry is free */
  #reach(entry: number, count: number): boolean {
    const words = this.#words;
    Atomics.sub(words, entry + WAITING, count);
    Atomics.add(words, entry + NOTIFIED, count);
    const token = this.#get(entry + TOKEN);
    if (token === myToken()) {
      this.#async.soon();
      return true;
    }
    // Who sleeps or has a bell is alive; who is on its way to sleep will see it.
    if (futexWake(this.#memory.address + (entry + NOTIFIED) * 4, ALL) > 0) return true;
    const place = this.#get(entry + PLACE);
    if ((place !== 0 && this.#table.ring(place - 1, () => {})) || isAlive(token)) return true;
    words.set([0, 0, 0, 0], entry);
    return false;
  }
}
