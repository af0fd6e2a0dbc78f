/**
 * How far a call of a pool is.
 */
import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';

/** What `onProgress` is told. */
export interface Progress {
  /** Items that are done, failed ones among them. */
  readonly done: number;
  readonly failed: number;
  /** How many there are; undefined while the iterable has not said. */
  readonly total: number | undefined;
  /** Items that workers have in hand. */
  readonly running: number;
  /** Seconds since the call. */
  readonly elapsed: number;
  /** Seconds that the rest is going to take at this rate; undefined while nothing is done or the total is not known. */
  readonly eta: number | undefined;
  /** What tasks have said by `currentTask().reportProgress` since the last time, the last of each, by the place of its item. */
  readonly reports: ReadonlyMap<number, unknown>;
}

/** Milliseconds between two calls at least. */
const STEP = 100;

/** @internal */
export class ProgressMeter {
  readonly #tell: (progress: Progress) => void;
  readonly #count: () => { total: number | undefined; running: number };
  readonly #begun = now();
  #last = 0;
  #timer: NodeJS.Timeout | undefined;
  #reports = new Map<number, unknown>();
  done = 0;
  failed = 0;

  constructor(
    tell: (progress: Progress) => void,
    count: () => { total: number | undefined; running: number },
  ) {
    this.#tell = tell;
    this.#count = count;
  }

  /** Some items are done. */
  add(done: number, failed: number): void {
    this.done += done;
    this.failed += failed;
    this.#soon();
  }

  report(index: number, value: unknown): void {
    this.#reports.set(index, value);
    this.#soon();
  }

  #soon(): void {
    if (this.#timer !== undefined) return;
    const wait = this.#last + STEP - now();
    if (wait <= 0) this.#say();
    else this.#timer = setTimeout(() => this.#say(), wait);
  }

  /** All is done. */
  end(): void {
    this.#say();
  }

  #say(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#last = now();
    const { total, running } = this.#count();
    const { done, failed } = this;
    const elapsed = (this.#last - this.#begun) / 1000;
    const eta = total === undefined || done === 0 ? undefined : (elapsed / done) * (total - done);
    const reports = this.#reports;
    this.#reports = new Map();
    callSafely(
      () => this.#tell({ done, failed, total, running, elapsed, eta, reports }),
      'onProgress',
    );
  }
}

/** Calls a callback of the program's: what it throws must not become anybody's result. @internal */
export function callSafely(callback: () => void, what: string): void {
  try {
    callback();
  } catch (error) {
    const warning = new Error(`${what} of a pool's call has thrown`, { cause: error });
    warning.name = 'PoolCallbackWarning';
    process.emitWarning(warning);
  }
}
