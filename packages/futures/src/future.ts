/**
 * `Future` of concurrent/futures/_base.py: a result that may not be there yet.
 */
import { inspect, types } from 'node:util';
import { checkTimeout } from '@multiprocessing/core/base/arguments';
import { RuntimeError, TimeoutError } from '@multiprocessing/core/base/errors';
import { nameExports } from '@multiprocessing/core/base/names';
import { CancelledError } from '@multiprocessing/core/pool/errors';
import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';

/** A future is not in the state that a call needs; Python's `concurrent.futures.InvalidStateError`. */
export class InvalidStateError extends RuntimeError {
  override name = 'InvalidStateError';
  override readonly code = 'ERR_MP_INVALID_STATE';
}

nameExports(import.meta.url, { InvalidStateError });

/** What runs a future's call. @internal */
export interface FutureHost {
  /** Takes the call back, unless it runs. */
  cancel(): boolean;
  isRunning(): boolean;
  /** Sleeps in the kernel until something is so. @param deadline as now() tells the time */
  waitSync(done: () => boolean, deadline: number): boolean;
}

type State = 'PENDING' | 'RUNNING' | 'CANCELLED' | 'FINISHED';
type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** The longest timeout of a Node timer, in seconds. */
const LONGEST = 2 ** 31 / 1000 - 1;

/**
 * The result of a call that an executor makes; Python's `concurrent.futures.Future`. It can be awaited: `await future` is
 * `await future.result()`.
 */
export class Future<T = unknown> implements PromiseLike<T> {
  #state: State = 'PENDING';
  #outcome: Outcome<T> | undefined;
  readonly #callbacks = new Set<{ readonly call: (future: Future<T>) => unknown }>();
  /** @internal */
  _host: FutureHost | undefined;

  /** Takes the call back, if it does not run yet; Python's `cancel`. @returns whether it is cancelled */
  cancel(): boolean {
    if (this.#state === 'CANCELLED') return true;
    if (this.#state !== 'PENDING') return false;
    if (this._host !== undefined && !this._host.cancel()) return false;
    this._cancelled();
    return true;
  }

  /** Whether it was cancelled; Python's `cancelled`. */
  cancelled(): boolean {
    return this.#state === 'CANCELLED';
  }

  /** Whether a worker runs it; Python's `running`. */
  running(): boolean {
    if (this.#state === 'PENDING') return this._host?.isRunning() ?? false;
    return this.#state === 'RUNNING';
  }

  /** Whether it is cancelled or has a result or an exception; Python's `done`. */
  done(): boolean {
    return this.#state === 'CANCELLED' || this.#state === 'FINISHED';
  }

  /**
   * Waits for the result; Python's `result`.
   * @param timeout seconds; undefined waits for ever
   * @throws what the call has thrown; CancelledError; TimeoutError when it is not there in time
   */
  async result(timeout?: number): Promise<T> {
    if (!this.done()) await this.#wait(timeout);
    return this.#got(timeout);
  }

  /** The blocking twin of `result`: sleeps in the kernel. @throws RuntimeError for one that no executor has */
  resultSync(timeout?: number): T {
    if (!this.done()) this.#waitSync(timeout);
    return this.#got(timeout);
  }

  /** Waits for what the call has thrown; Python's `exception`. @returns undefined when it has thrown nothing @throws as `result` */
  async exception(timeout?: number): Promise<unknown> {
    if (!this.done()) await this.#wait(timeout);
    return this.#exception(timeout);
  }

  /** The blocking twin of `exception`. */
  exceptionSync(timeout?: number): unknown {
    if (!this.done()) this.#waitSync(timeout);
    return this.#exception(timeout);
  }

  #got(timeout: number | undefined): T {
    const outcome = this.#settled(timeout);
    if ('error' in outcome) throw outcome.error;
    return outcome.value;
  }

  #exception(timeout: number | undefined): unknown {
    const outcome = this.#settled(timeout);
    return 'error' in outcome ? outcome.error : undefined;
  }

  #settled(timeout: number | undefined): Outcome<T> {
    if (this.#state === 'CANCELLED') throw new CancelledError('the future was cancelled');
    if (this.#outcome === undefined)
      throw new TimeoutError(`the result is not there after ${timeout} seconds`);
    return this.#outcome;
  }

  #wait(timeout: number | undefined): Promise<void> {
    checkTimeout(timeout);
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const forget = this._whenDone(() => {
        clearTimeout(timer);
        resolve();
      });
      if (timeout === undefined || timeout >= LONGEST) return;
      const late = () => {
        forget();
        resolve();
      };
      timer = setTimeout(late, Math.max(0, timeout * 1000));
    });
  }

  #waitSync(timeout: number | undefined): void {
    checkTimeout(timeout);
    if (this._host === undefined)
      throw new RuntimeError('nobody could set this future while the thread is blocked: await it');
    const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
    this._host.waitSync(() => this.done(), deadline);
  }

  /**
   * Has a function called with this future once it is done, at once if it is; Python's `add_done_callback`. What it throws
   * is reported as a warning.
   */
  addDoneCallback(callback: (future: Future<T>) => unknown): void {
    this._whenDone(callback);
  }

  /** The same. @returns what takes the callback back @internal */
  _whenDone(call: (future: Future<T>) => unknown): () => void {
    const entry = { call };
    if (this.done()) this.#call(call);
    else this.#callbacks.add(entry);
    return () => this.#callbacks.delete(entry);
  }

  #call(callback: (future: Future<T>) => unknown): void {
    try {
      const result = callback(this);
      if (types.isPromise(result)) result.then(undefined, warnOfCallback);
    } catch (error) {
      warnOfCallback(error);
    }
  }

  #finish(): void {
    this._host = undefined;
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const { call } of callbacks) this.#call(call);
  }

  /** @internal */
  _cancelled(): void {
    if (this.done()) return;
    this.#state = 'CANCELLED';
    this.#finish();
  }

  /**
   * For executors: the call begins now, unless it was cancelled; Python's `set_running_or_notify_cancel`.
   * @returns whether it may run
   * @throws InvalidStateError when it has begun before
   */
  setRunningOrNotifyCancel(): boolean {
    if (this.#state === 'CANCELLED') return false;
    if (this.#state !== 'PENDING') throw this.#invalid();
    this.#state = 'RUNNING';
    return true;
  }

  /** For executors and tests: what the call has returned; Python's `set_result`. @throws InvalidStateError when it is done */
  setResult(value: T): void {
    if (this.done()) throw this.#invalid();
    this.#outcome = { value };
    this.#state = 'FINISHED';
    this.#finish();
  }

  /** For executors and tests: what the call has thrown; Python's `set_exception`. @throws InvalidStateError when it is done */
  setException(error: unknown): void {
    if (this.done()) throw this.#invalid();
    this.#outcome = { error };
    this.#state = 'FINISHED';
    this.#finish();
  }

  #invalid(): InvalidStateError {
    return new InvalidStateError(`${this.#state}: ${this}`);
  }

  /** `await future`. */
  // biome-ignore lint/suspicious/noThenProperty: a future is awaited as Python's asyncio.wrap_future(future) is
  then<R = T, E = never>(
    onResult?: ((value: T) => R | PromiseLike<R>) | null,
    onError?: ((error: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    return this.result().then(onResult, onError);
  }

  toString(): string {
    const state = this.#state === 'PENDING' && this.running() ? 'RUNNING' : this.#state;
    const outcome = this.#outcome;
    if (outcome === undefined) return `<Future state=${state.toLowerCase()}>`;
    const [verb, value] =
      'error' in outcome ? ['raised', outcome.error] : ['returned', outcome.value];
    return `<Future state=finished ${verb} ${nameOfType(value)}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

function warnOfCallback(error: unknown): void {
  const warning = new Error('a callback of a future has thrown', { cause: error });
  warning.name = 'FutureCallbackWarning';
  process.emitWarning(warning);
}

function nameOfType(value: unknown): string {
  if (value instanceof Error) return value.name;
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
  return value.constructor?.name ?? 'object';
}
