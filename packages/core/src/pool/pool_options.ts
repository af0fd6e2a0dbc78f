/**
 * What a pool and its calls take besides functions and items.
 */
import type { CallOptions } from './jobs.ts';
import type { OnWorkerDeath } from './tasks.ts';

/** Options of a Pool. */
export interface PoolOptions {
  /** Runs first in each worker, with `initargs`. */
  initializer?: ((...args: never[]) => unknown) | undefined;
  initargs?: readonly unknown[] | undefined;
  /** Tasks (chunks of items count as one) after which a worker makes way for a new one; undefined: none. */
  maxtasksperchild?: number | undefined;
  /** Seconds for each task, where its call says nothing else. */
  taskTimeout?: number | undefined;
  /** Bytes of resident memory after which a worker makes way for a new one, behind its task. */
  maxMemory?: number | undefined;
  /** Asynchronous tasks that a worker has in hand at once; 1, without. */
  concurrency?: number | undefined;
  /** Seconds between the abort of a task's signal and SIGKILL; 0, without. */
  killTimeout?: number | undefined;
  /** What becomes of the task of a worker that dies: `fail-task`, without. */
  onWorkerDeath?: OnWorkerDeath | undefined;
  /** Added to the nice value of workers. */
  niceIncrement?: number | undefined;
}

/** Options of `map` and `starmap`. */
export interface MapOptions extends CallOptions {
  /** Items that go to a worker at once; a fourth of what each worker gets in all, without. */
  chunksize?: number | undefined;
}

/** Options of `imap` and `imapUnordered`. */
export interface ImapCallOptions extends CallOptions {
  /** Items that go to a worker at once; 1, without. */
  chunksize?: number | undefined;
  /** Items that are taken from the iterable before their results are wanted, at most. Python's `buffersize` (3.16). */
  buffersize?: number | undefined;
}
