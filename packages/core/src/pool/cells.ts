/**
 * Which task is whose: a table in shared memory with a cell for each task that is on its way to a worker or in its hands.
 *
 * The word of a cell changes by compare-and-swap alone. So a task has one taker, whoever is killed when; who kills a worker takes
 * the task from it first, and either that comes before the answer or it comes too late; and whose task was lost with a
 * worker is written in its cell.
 */
import { fromSharedClock, roundup, toSharedClock } from '@multiprocessing/posix';
import { BufferWrapper } from '../heap/heap.ts';

/** Tasks that may be on their way or in hand at the same time. */
export const CELLS = 4096;

/** What the word of a cell says. Above these bits stands the worker that has the task, counted from 1; 0: none. */
const FREE = 0;
/** It may be taken. */
const READY = 1;
/** A worker has it. */
const TAKEN = 2;
/** Its worker has its answer ready. */
const ANSWERED = 3;
/** Nobody wants it any more. */
const CANCELLED = 4;
const STATE_BITS = 3;
const STATE = (1 << STATE_BITS) - 1;

function wordOf(state: number, worker: number): number {
  return state | ((worker + 1) << STATE_BITS);
}

/** Bytes: a word for each, and when it was begun. */
const WORDS_AT = 64;
const BEGUN_AT = WORDS_AT + CELLS * 4;
const WORKERS_AT = roundup(BEGUN_AT + CELLS * 8, 64);
/** Numbers of a worker, in a cache line of its own. */
const WORKER_FIELDS = 8;

/** What a worker writes down of itself. */
export const TASKS = 0;
/** Seconds that it was at work, and from its start to its first look for a task. */
export const BUSY = 1;
export const STARTED_IN = 2;
/** Its resident memory when it last looked, bytes. */
export const RSS = 3;
/** When it was ready, on the clock that all processes share. */
export const READY_AT = 4;
/** How many timers, sockets and the like its event loop still has, when it last had nothing to do. */
export const LEFT_BEHIND = 6;
/** Whether it has ended as it should. */
export const LEFT = 5;
/** Its pid, which it knows before its parent is told. */
export const PID = 7;

/** Words at the beginning: whether no task will come any more, how many workers are too many. */
const CLOSING = 0;
const SURPLUS = 1;
/** The worker that looks for tasks all the time, counted from 1; 0: none. */
const SPINNER = 2;

/** @internal */
export class Cells {
  readonly memory: BufferWrapper;
  readonly #head: Int32Array;
  readonly #words: Int32Array;
  readonly #begun: Float64Array;
  readonly #workers: Float64Array;

  /** @param workers places for those who take tasks */
  constructor(workers: number, memory?: BufferWrapper) {
    this.memory = memory ?? new BufferWrapper(WORKERS_AT + workers * WORKER_FIELDS * 8);
    const { buffer } = this.memory;
    this.#head = new Int32Array(buffer, 0, WORDS_AT / 4);
    this.#words = new Int32Array(buffer, WORDS_AT, CELLS);
    this.#begun = new Float64Array(buffer, BEGUN_AT, CELLS);
    this.#workers = new Float64Array(buffer, WORKERS_AT, workers * WORKER_FIELDS);
  }

  get isClosing(): boolean {
    return Atomics.load(this.#head, CLOSING) !== 0;
  }

  /** Says whether workers end when there is nothing to take. */
  setClosing(): void {
    Atomics.store(this.#head, CLOSING, 1);
  }

  /** Has so many workers end as soon as they have nothing in hand. */
  retire(count: number): void {
    Atomics.add(this.#head, SURPLUS, count);
  }

  /** Whether there are some. */
  get hasSurplus(): boolean {
    return Atomics.load(this.#head, SURPLUS) > 0;
  }

  /** Whether the worker that asks is one of them. */
  isSurplus(): boolean {
    for (;;) {
      const count = Atomics.load(this.#head, SURPLUS);
      if (count <= 0) return false;
      if (Atomics.compareExchange(this.#head, SURPLUS, count, count - 1) === count) return true;
    }
  }

  /** Takes that back. */
  keepAll(): void {
    Atomics.store(this.#head, SURPLUS, 0);
  }

  /** Has this worker be the one that looks for tasks all the time. @returns false when another one does */
  beginSpin(worker: number): boolean {
    return Atomics.compareExchange(this.#head, SPINNER, 0, worker + 1) === 0;
  }

  /** To be called before a last look: who gives a task meanwhile sees that nobody spins. */
  endSpin(worker: number): void {
    Atomics.compareExchange(this.#head, SPINNER, worker + 1, 0);
  }

  //
  // For who gives the tasks
  //

  /** Whether a worker looks all the time, and so sees what was given before this call. */
  hasSpinner(): boolean {
    return Atomics.or(this.#head, SPINNER, 0) !== 0; // no load, but a fence between the task and the look
  }

  /** Makes a task one that may be taken. */
  offer(cell: number): void {
    this.#begun[cell] = 0;
    Atomics.store(this.#words, cell, READY);
  }

  /** Takes a task back that no worker has yet. @returns whether that is so */
  withdraw(cell: number): boolean {
    return Atomics.compareExchange(this.#words, cell, READY, CANCELLED) === READY;
  }

  /** Takes a task back. @returns the worker that has it, -1 if none has, undefined when its answer is on its way */
  cancel(cell: number): number | undefined {
    for (;;) {
      const word = Atomics.load(this.#words, cell);
      const state = word & STATE;
      if (state !== READY && state !== TAKEN) return undefined;
      const cancelled = CANCELLED | (word & ~STATE);
      if (Atomics.compareExchange(this.#words, cell, word, cancelled) === word)
        return (word >>> STATE_BITS) - 1;
    }
  }

  /** The worker that has or had the task; -1 when none had. */
  workerOf(cell: number): number {
    return (Atomics.load(this.#words, cell) >>> STATE_BITS) - 1;
  }

  /** Whether a worker has the task in hand. */
  isTaken(cell: number): boolean {
    return (Atomics.load(this.#words, cell) & STATE) === TAKEN;
  }

  /** When a worker has begun it, as now() tells the time; 0 if none has. */
  begunAt(cell: number): number {
    const begun = Math.abs(this.#begun[cell] as number);
    return begun === 0 ? 0 : fromSharedClock(begun);
  }

  /** Whether what it needs is being imported: then its time has not begun. */
  isPreparing(cell: number): boolean {
    return (this.#begun[cell] as number) < 0;
  }

  free(cell: number): void {
    Atomics.store(this.#words, cell, FREE);
  }

  //
  // For workers
  //

  /** To be called by one worker at a time. @param time as now() tells it @returns whether it is this worker's now */
  take(cell: number, worker: number, time: number): boolean {
    this.#begun[cell] = toSharedClock(time);
    const mine = wordOf(TAKEN, worker);
    return Atomics.compareExchange(this.#words, cell, READY, mine) === READY;
  }

  /** What the task needs is being imported. */
  prepare(cell: number): void {
    this.#begun[cell] = -Math.abs(this.#begun[cell] as number);
  }

  /** It is there. @param time as now() tells it */
  begin(cell: number, time: number): void {
    this.#begun[cell] = toSharedClock(time);
  }

  /** Before an answer is sent. @returns false when nobody wants it any more */
  answer(cell: number, worker: number): boolean {
    const mine = wordOf(TAKEN, worker);
    const answered = wordOf(ANSWERED, worker);
    return Atomics.compareExchange(this.#words, cell, mine, answered) === mine;
  }

  /** Whether a task was taken back from its worker. */
  isCancelled(cell: number): boolean {
    return (Atomics.load(this.#words, cell) & STATE) === CANCELLED;
  }

  /** The numbers of a worker. */
  fieldsOf(worker: number): Float64Array {
    return this.#workers.subarray(worker * WORKER_FIELDS, (worker + 1) * WORKER_FIELDS);
  }
}
