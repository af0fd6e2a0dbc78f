/**
 * `AsyncResult` and `MapResult` of multiprocessing/pool.py: what a call that does not wait returns.
 */
import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';
import { TimeoutError, ValueError } from '../base/errors.ts';
import type { Engine } from './engine.ts';
import { callSafely } from './progress.ts';

/** What is called with a result, or an error, once it is there. */
export interface Callbacks<T> {
  callback?: ((result: T) => void) | undefined;
  errorCallback?: ((error: unknown) => void) | undefined;
}

/** The longest timeout of a Node timer, in seconds. */
const LONGEST = 2 ** 31 / 1000 - 1;

/** A result that may not be there yet; Python's `multiprocessing.pool.AsyncResult`. */
export class AsyncResult<T = unknown> {
  readonly #engine: Engine;
  #outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  readonly #waiting = new Set<() => void>();
  readonly #callbacks: Callbacks<T>;
  /** As in CPython: the pool lives as long as somebody may wait for it. */
  protected readonly pool: object;

  /** @internal */
  constructor(pool: object, engine: Engine, callbacks: Callbacks<T> = {}) {
    this.pool = pool;
    this.#engine = engine;
    this.#callbacks = callbacks;
  }

  /** @internal */
  _set(value: T, failure: { readonly error: unknown } | undefined): void {
    if (this.#outcome !== undefined) return;
    const { callback, errorCallback } = this.#callbacks;
    if (failure === undefined) {
      this.#outcome = { value };
      if (callback !== undefined) callSafely(() => callback(value), 'callback');
    } else {
      const { error } = failure;
      this.#outcome = { error };
      if (errorCallback !== undefined) callSafely(() => errorCallback(error), 'errorCallback');
    }
    for (const tell of [...this.#waiting]) tell();
  }

  /** Whether it is there; Python's `ready`. */
  ready(): boolean {
    return this.#outcome !== undefined;
  }

  /** Whether it is no error; Python's `successful`. @throws ValueError while it is not there */
  successful(): boolean {
    if (this.#outcome === undefined) throw new ValueError(`${this.constructor.name} not ready`);
    return 'value' in this.#outcome;
  }

  /**
   * Waits until it is there; Python's `wait`.
   * @param timeout seconds; undefined waits for ever
   * @throws TypeError or ValueError (NaN) for a bad timeout
   */
  async wait(timeout?: number): Promise<void> {
    checkTimeout(timeout);
    if (this.#outcome !== undefined) return;
    await new Promise<void>((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const tell = () => {
        clearTimeout(timer);
        this.#waiting.delete(tell);
        resolve();
      };
      this.#waiting.add(tell);
      if (timeout !== undefined && timeout < LONGEST)
        timer = setTimeout(tell, Math.max(0, timeout * 1000));
    });
  }

  /** The blocking twin of `wait`: sleeps in the kernel. */
  waitSync(timeout?: number): void {
    checkTimeout(timeout);
    const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
    this.#engine.waitSync(() => this.#outcome !== undefined, deadline);
  }

  /**
   * Waits for it; Python's `get`.
   * @param timeout seconds; undefined waits for ever
   * @returns what the function returned
   * @throws what it threw; TimeoutError when it is not there in time, and it goes on then
   */
  async get(timeout?: number): Promise<T> {
    if (this.#outcome === undefined) await this.wait(timeout);
    return this.#got(timeout);
  }

  /** The blocking twin of `get`. */
  getSync(timeout?: number): T {
    if (this.#outcome === undefined) this.waitSync(timeout);
    return this.#got(timeout);
  }

  #got(timeout: number | undefined): T {
    const outcome = this.#outcome;
    if (outcome === undefined)
      throw new TimeoutError(`the result is not there after ${timeout} seconds`);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }
}

/** The results of a call for each of many items; Python's `multiprocessing.pool.MapResult`. */
export class MapResult<T = unknown> extends AsyncResult<T[]> {}
