/**
 * How many tasks were done, and how long they waited and ran.
 */
import { now } from '@multiprocessing/posix';
import type { WorkerStats } from './crew.ts';

/** How many values there were up to each bound; the last count is of those above all bounds. */
export interface Histogram {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Upper bounds of the buckets, seconds. */
  readonly bounds: readonly number[];
  readonly counts: readonly number[];
}

/** What a pool has done. */
export interface PoolStats {
  readonly workers: readonly WorkerStats[];
  /** Tasks (chunks) that are on their way or in hand. */
  readonly pending: number;
  /** Those of them that workers have begun. */
  readonly running: number;
  readonly done: number;
  readonly failed: number;
  /** Workers that others have come in place of, by why: `done` (their number of tasks, their memory), `lost`, `timeout`, `cancel`. */
  readonly replaced: Readonly<Record<string, number>>;
  /** Seconds from the call to the begin in a worker, and from there to the answer. */
  readonly wait: Histogram;
  readonly run: Histogram;
}

/** Seconds: ten microseconds to about three hours, each three times the one before, roughly. */
const BOUNDS = Array.from({ length: 20 }, (_, i) => 1e-5 * 3 ** i);

class Recorder {
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  add(seconds: number): void {
    const value = Math.max(0, seconds);
    this.#count++;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    let bucket = 0;
    while (bucket < BOUNDS.length && value > (BOUNDS[bucket] as number)) bucket++;
    (this.#counts[bucket] as number)++;
  }

  histogram(): Histogram {
    const count = this.#count;
    return {
      count,
      sum: this.#sum,
      min: count > 0 ? this.#min : 0,
      max: this.#max,
      mean: count > 0 ? this.#sum / count : 0,
      bounds: BOUNDS,
      counts: [...this.#counts],
    };
  }
}

/** What has become of the tasks of an engine. @internal */
export class Tally {
  readonly #waited = new Recorder();
  readonly #ran = new Recorder();
  #done = 0;
  #failed = 0;

  /** @param madeAt and when a worker has begun it, as now() tells the time */
  answered(madeAt: number, begun: number, failed: boolean): void {
    this.#waited.add((begun - madeAt) / 1000);
    this.#ran.add((now() - begun) / 1000);
    if (failed) this.#failed++;
    else this.#done++;
  }

  /** A task has failed without an answer. */
  lost(): void {
    this.#failed++;
  }

  counts(): Pick<PoolStats, 'done' | 'failed' | 'wait' | 'run'> {
    return {
      done: this.#done,
      failed: this.#failed,
      wait: this.#waited.histogram(),
      run: this.#ran.histogram(),
    };
  }
}
