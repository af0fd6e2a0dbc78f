/**
 * Tasks whose time is over. Its time begins when a worker begins it, which the worker writes down and nobody tells. So the parent
 * looks: a task that was not begun at a look begins later, and its time is not over before the next one; of one that was, the
 * end is known. What a worker has to import first is not of the task's time, but has a limit, too.
 */
import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';
import type { Cells } from './cells.ts';
import type { InFlight } from './in_flight.ts';
import type { Task } from './tasks.ts';

/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST = 0x7fffffff;

/** Milliseconds for what a worker has to import. */
const IMPORT = 30_000;

/** @internal */
export class Deadlines {
  readonly #inFlight: InFlight;
  readonly #cells: Cells;
  readonly #over: (task: Task) => void;
  #timer: NodeJS.Timeout | undefined;
  /** When it looks next, as now() tells the time. */
  next = Infinity;

  constructor(inFlight: InFlight, cells: Cells, over: (task: Task) => void) {
    this.#inFlight = inFlight;
    this.#cells = cells;
    this.#over = over;
  }

  /** A task is on its way. @param seconds that it may take */
  watch(seconds: number): void {
    if (seconds !== Infinity) this.#lookAt(now() + seconds * 1000);
  }

  #lookAt(time: number): void {
    if (time >= this.next) return;
    clearTimeout(this.#timer);
    this.next = time;
    this.#timer = setTimeout(() => this.look(), Math.min(Math.max(0, time - now()), LONGEST));
    this.#timer.unref(); // the answers that are waited for keep the event loop alive
  }

  look(): void {
    this.stop();
    const time = now();
    const late: Task[] = [];
    let next = Infinity;
    for (const task of this.#inFlight.all()) {
      if (task.timeout === Infinity) continue;
      const { cell } = task;
      const begun = this.#cells.isTaken(cell) ? this.#cells.begunAt(cell) : time;
      const length = task.timeout * 1000;
      const isPreparing = this.#cells.isPreparing(cell);
      const end = begun + length + (isPreparing ? IMPORT : 0);
      if (end <= time) late.push(task);
      else next = Math.min(next, isPreparing ? time + length : end);
    }
    if (next < Infinity) this.#lookAt(next);
    for (const task of late) this.#over(task);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.next = Infinity;
  }
}
