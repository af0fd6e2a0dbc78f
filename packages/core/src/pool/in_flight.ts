/**
 * The tasks that are on their way to workers or in their hands: each in a cell of the table that the workers see (cells.ts).
 */
import type { Pickled } from '../pickle/message.ts';
import { CELLS } from './cells.ts';
import type { WorkerPort } from './port.ts';
import type { Task } from './tasks.ts';

/** Tasks that wait in the channel at most, so that no worker waits for the parent's turn. @internal */
export const AHEAD = 1024;
/** Bytes of their messages: what the ring of a channel holds well. One task may be larger. */
const BYTES_AHEAD = 1 << 17;
/** How many bytes beside a message count as one of it: those go through a larger memory. */
const LIGHTER = 256;

/** @internal */
export class InFlight {
  readonly #port: WorkerPort;
  readonly #tasks = new Array<Task | undefined>(CELLS).fill(undefined);
  readonly #free = Array.from({ length: CELLS }, (_, i) => CELLS - 1 - i);
  /** Cells of tasks that were taken back while they were in the channel, with the number up to which it has to be emptied. */
  readonly #stale: [puts: number, cell: number][] = [];
  /** Bytes of each task in the channel, by its number. */
  readonly #sizes = new Float64Array(AHEAD);
  #puts = 0;
  #gets = 0;
  #bytes = 0;
  #count = 0;

  constructor(port: WorkerPort) {
    this.#port = port;
  }

  /** How many are not answered. */
  get count(): number {
    return this.#count;
  }

  at(cell: number): Task | undefined {
    return this.#tasks[cell];
  }

  all(): Task[] {
    return this.#tasks.filter((task) => task !== undefined);
  }

  /** Looks how far workers have come. */
  update(): void {
    const { gets } = this.#port.tasks._channel;
    for (; this.#gets < gets; this.#gets++)
      this.#bytes -= this.#sizes[this.#gets % AHEAD] as number;
    while (this.#stale.length > 0 && (this.#stale[0] as [number, number])[0] <= gets)
      this.#freeCell((this.#stale.shift() as [number, number])[1]);
  }

  /** Whether another one would be of use to the workers. */
  get hasRoom(): boolean {
    if (this.#free.length === 0) return false;
    const ahead = this.#puts - this.#gets;
    return ahead === 0 || (ahead < AHEAD && this.#bytes < BYTES_AHEAD);
  }

  /** Sends a task on its way. @throws OSError; then it is not */
  put(task: Task, message: Pickled): void {
    const cell = this.#free.pop() as number;
    const channel = this.#port.tasks._channel;
    this.#port.cells.offer(cell);
    channel.putLock.acquireSync(true, Infinity);
    try {
      channel.put(message, cell);
    } catch (error) {
      this.#freeCell(cell);
      throw error;
    } finally {
      channel.putLock.release();
    }
    let size = message.length;
    for (const { length } of message.beside) size += length / LIGHTER;
    this.#sizes[this.#puts++ % AHEAD] = size;
    this.#bytes += size;
    this.#tasks[cell] = task;
    task.cell = cell;
    this.#count++;
  }

  /** A task is answered, or lost. */
  clear(task: Task): void {
    const { cell } = task;
    this.#forget(task);
    this.#freeCell(cell);
  }

  #forget(task: Task): void {
    this.#tasks[task.cell] = undefined;
    task.cell = -1;
    this.#count--;
  }

  #freeCell(cell: number): void {
    this.#port.cells.free(cell);
    this.#free.push(cell);
  }

  /** Takes a task back. @returns the worker that has it, -1 if none has, undefined when it has its answer */
  cancel(task: Task): number | undefined {
    const { cell } = task;
    if (cell < 0) return undefined;
    const worker = this.#port.cells.cancel(cell);
    if (worker === undefined) return undefined;
    this.#forget(task);
    // One that a worker has is free when that has ended.
    if (worker < 0) this.#stale.push([this.#puts, cell]);
    return worker;
  }

  /** Takes a task back, unless a worker has it. @returns whether that is so */
  withdraw(task: Task): boolean {
    const { cell } = task;
    if (cell < 0 || !this.#port.cells.withdraw(cell)) return false;
    this.#forget(task);
    this.#stale.push([this.#puts, cell]);
    return true;
  }

  /** A worker has ended. @returns the tasks that it had */
  takeFrom(worker: number): Task[] {
    const { cells } = this.#port;
    const lost: Task[] = [];
    for (let cell = 0; cell < CELLS; cell++) {
      if (cells.workerOf(cell) !== worker) continue;
      const task = this.#tasks[cell];
      if (task !== undefined) lost.push(task);
      else this.#freeCell(cell); // it was taken back
    }
    for (const task of lost) this.clear(task);
    return lost;
  }
}
