/**
 * Counterpart of multiprocessing/pool.py: processes that run a function for many items. Deviations: D-129 (workers that die), D-130
 * (items that fail), D-131 (iterables), D-132 (functions), D-133 (workers that cannot begin), D-134 (how many), D-135 (callbacks),
 * D-136 (the end).
 *
 * A call goes to the engine, which gives its tasks to whichever worker takes them. The parent has no thread for it, and a task whose
 * worker dies fails, in place of the pool.
 *
 *     answer_message.ts  what a worker sends for what has become of a task
 *     answers.ts       what workers answer, on its way to who waits for it
 *     backlog.ts       tasks that no worker can see yet
 *     calls.ts         functions and arguments on their way: by name, or by value
 *     cells.ts         which task is whose: compare-and-swap in shared memory
 *     crew.ts          the workers: their start, their end, who comes in their place
 *     current_task.ts  what a task can ask and say
 *     deadlines.ts     tasks whose time is over
 *     engine.ts        gives tasks to workers and takes their answers
 *     errors.ts        what goes wrong
 *     functions.ts     functions, pickled once, in a file that all workers have
 *     imap.ts          IMapIterator: results one by one
 *     in_flight.ts     the tasks on their way and in hand
 *     jobs.ts          what calls are made of
 *     loop_resources.ts  what tasks have left in the event loop of a worker
 *     options.ts       looks at what is given
 *     pool_options.ts  what a pool and its calls take besides functions and items
 *     pool_engine.ts   the engine of a pool, with the processes of a context
 *     port.ts          what a worker is given at its start
 *     progress.ts      onProgress
 *     results.ts       AsyncResult, MapResult
 *     run_task.ts      a task, from its function to its results
 *     stats.ts         how long tasks waited and ran
 *     task_in_hand.ts  a task that a worker has in hand
 *     tasks.ts         what an engine works with
 *     worker.ts        the life of a worker
 */
import { inspect } from 'node:util';
import { processCpuCount } from '../base/cpus.ts';
import { NotImplementedError, typeError, ValueError } from '../base/errors.ts';
import { enterRoom } from '../base/late_rooms.ts';
import { nameExports } from '../base/names.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { info } from '../util/util.ts';
import type { Engine } from './engine.ts';
import { BrokenProcessPool } from './errors.ts';
import { IMapIterator, IMapUnorderedIterator, ImapJob, type ImapOptions } from './imap.ts';
import { ApplyJob, type CallOptions, type JobOptions, MapJob } from './jobs.ts';
import { checkCount, checkFunction, checkOptions, checkOwner, checkSeconds } from './options.ts';
import { defaultPoolContext, type PoolContext, poolEngine } from './pool_engine.ts';
import type { ImapCallOptions, MapOptions, PoolOptions } from './pool_options.ts';
import { CALL } from './port.ts';
import { AsyncResult, type Callbacks, MapResult } from './results.ts';
import type { PoolStats } from './stats.ts';

export { TimeoutError } from '../base/errors.ts';
export { CurrentTask, currentTask, type Signal } from './current_task.ts';
export {
  BrokenExecutor,
  BrokenProcessPool,
  CancelledError,
  MaybeEncodingError,
  RemoteTraceback,
  type TaskInfo,
  WorkerLostError,
} from './errors.ts';
export { IMapIterator, IMapUnorderedIterator } from './imap.ts';
export type { CallOptions } from './jobs.ts';
export type { PoolContext } from './pool_engine.ts';
export type { ImapCallOptions, MapOptions, PoolOptions } from './pool_options.ts';
export type { Progress } from './progress.ts';
export { AsyncResult, AsyncResult as ApplyResult, type Callbacks, MapResult } from './results.ts';
export type { Histogram, PoolStats } from './stats.ts';
export type { OnWorkerDeath } from './tasks.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a function takes is checked where it is called
type Fn = (...args: any[]) => unknown;
type Items<T> = Iterable<T> | AsyncIterable<T>;

const RUN = 'RUN';
const CLOSE = 'CLOSE';
const TERMINATE = 'TERMINATE';

/** Processes that run functions; Python's `multiprocessing.pool.Pool`. */
export class Pool {
  readonly #engine: Engine;
  #state: typeof RUN | typeof CLOSE | typeof TERMINATE = RUN;
  readonly #processes: number;
  readonly #taskTimeout: number;
  readonly #forget: () => void;
  readonly #pid = process.pid;

  /**
   * @param processes how many; as many as this process may use processors, without
   * @param options see PoolOptions
   * @param ctx the context that makes the processes; the default one, without
   * @throws ValueError, TypeError for what cannot be; nothing is started then
   */
  constructor(
    processes?: number,
    options: PoolOptions = {},
    ctx: PoolContext = defaultPoolContext(),
  ) {
    if (processes !== undefined && typeof processes !== 'number')
      throw typeError(`processes must be a number, not ${inspect(processes)}`);
    if (processes !== undefined && !(processes >= 1))
      throw new ValueError('Number of processes must be at least 1');
    if (processes !== undefined && !Number.isInteger(processes))
      throw new ValueError(`processes must be a whole number, not ${processes}`);
    checkOptions(options);
    this.#processes = processes ?? processCpuCount();
    this.#taskTimeout = options.taskTimeout ?? Infinity;
    const { engine, forget } = poolEngine(this, this.#processes, options, ctx);
    this.#engine = engine;
    this.#forget = forget;
  }

  //
  // One call
  //

  /**
   * Calls a function in a worker; Python's `apply`.
   * @param kwds is handed to it as one last object argument, unless empty
   * @throws what the function throws; WorkerLostError, TimeoutError, CancelledError, MaybeEncodingError
   */
  apply<F extends Fn>(
    func: F,
    args: readonly unknown[] = [],
    kwds: object = {},
    options: CallOptions = {},
  ): Promise<Awaited<ReturnType<F>>> {
    return attempt(() => this.applyAsync(func, args, kwds, options).get());
  }

  /** The blocking twin of `apply`. */
  applySync<F extends Fn>(
    func: F,
    args: readonly unknown[] = [],
    kwds: object = {},
    options: CallOptions = {},
  ): Awaited<ReturnType<F>> {
    return this.applyAsync(func, args, kwds, options).getSync();
  }

  /** The same without waiting; Python's `apply_async`. @throws ValueError when the pool is closed, PicklingError for the function */
  applyAsync<F extends Fn>(
    func: F,
    args: readonly unknown[] = [],
    kwds: object = {},
    options: CallOptions & Callbacks<Awaited<ReturnType<F>>> = {},
  ): AsyncResult<Awaited<ReturnType<F>>> {
    const job = this.#begin(func, CALL.APPLY, options);
    const result = new AsyncResult<Awaited<ReturnType<F>>>(this, this.#engine, options);
    const tail = Object.keys(kwds).length > 0 ? [kwds] : [];
    this.#engine.add(
      new ApplyJob(this.#engine, job, [...args, ...tail], ([value], error) =>
        result._set(value as Awaited<ReturnType<F>>, error),
      ),
    );
    return result;
  }

  //
  // A call for each of many items
  //

  /**
   * Calls a function for each item; Python's `map`. All of them are done when it ends, whatever some of them throw.
   * @returns what the calls returned, in the order of the items
   * @throws what the first of them, in this order, has thrown that threw
   */
  map<T, R>(
    func: (item: T) => R,
    iterable: Items<T>,
    options: MapOptions = {},
  ): Promise<Awaited<R>[]> {
    return this.#mapped(func, iterable, CALL.MAP, options);
  }

  /** The blocking twin of `map`. */
  mapSync<T, R>(
    func: (item: T) => R,
    iterable: Iterable<T>,
    options: MapOptions = {},
  ): Awaited<R>[] {
    return this.mapAsync(func, iterable, options).getSync();
  }

  /** The same without waiting; Python's `map_async`. */
  mapAsync<T, R>(
    func: (item: T) => R,
    iterable: Iterable<T>,
    options: MapOptions & Callbacks<Awaited<R>[]> = {},
  ): MapResult<Awaited<R>> {
    return this.#map(func, listOf(iterable), CALL.MAP, options);
  }

  /** As `map`, with items that are lists of arguments; Python's `starmap`. */
  starmap<A extends readonly unknown[], R>(
    func: (...args: A) => R,
    iterable: Items<A>,
    options: MapOptions = {},
  ): Promise<Awaited<R>[]> {
    return this.#mapped(func as Fn, iterable, CALL.STARMAP, options) as Promise<Awaited<R>[]>;
  }

  /** The blocking twin of `starmap`. */
  starmapSync<A extends readonly unknown[], R>(
    func: (...args: A) => R,
    iterable: Iterable<A>,
    options: MapOptions = {},
  ): Awaited<R>[] {
    return this.starmapAsync(func, iterable, options).getSync();
  }

  /** The same without waiting; Python's `starmap_async`. */
  starmapAsync<A extends readonly unknown[], R>(
    func: (...args: A) => R,
    iterable: Iterable<A>,
    options: MapOptions & Callbacks<Awaited<R>[]> = {},
  ): MapResult<Awaited<R>> {
    return this.#map(func as Fn, listOf(iterable), CALL.STARMAP, options) as MapResult<Awaited<R>>;
  }

  async #mapped<R>(
    func: (item: never) => R,
    iterable: Items<unknown>,
    kind: number,
    options: MapOptions,
  ): Promise<Awaited<R>[]> {
    this.#checkRunning();
    const isAsync = typeof iterable === 'object' && Symbol.asyncIterator in iterable;
    const items = isAsync ? await listOfAsync(iterable) : listOf(iterable as Iterable<unknown>);
    return this.#map<R>(func as Fn, items, kind, options).get();
  }

  #map<R>(
    func: Fn,
    items: readonly unknown[],
    kind: number,
    options: MapOptions & Callbacks<Awaited<R>[]>,
  ): MapResult<Awaited<R>> {
    const job = this.#begin(func, kind, options, options.chunksize);
    const result = new MapResult<Awaited<R>>(this, this.#engine, options);
    const { length } = items;
    // As CPython: each worker gets four chunks.
    const chunksize = options.chunksize ?? Math.max(1, Math.ceil(length / (4 * this.#processes)));
    if (length === 0) {
      this.#engine.endCall(job.call);
      result._set([], undefined);
      return result;
    }
    const done = (values: readonly unknown[], error: { readonly error: unknown } | undefined) =>
      result._set(values as Awaited<R>[], error);
    this.#engine.add(new MapJob(this.#engine, job, items, chunksize, done));
    return result;
  }

  /**
   * Calls a function for each item, and gives the results one by one, in the order of the items; Python's `imap`. The iterable may be
   * endless, or asynchronous: items are taken from it when there is room for them.
   */
  imap<T, R>(
    func: (item: T) => R,
    iterable: Items<T>,
    options: ImapCallOptions = {},
  ): IMapIterator<Awaited<R>> {
    return new IMapIterator<Awaited<R>>(this, this.#imap(func as Fn, iterable, true, options));
  }

  /** The same, with results as they come; Python's `imap_unordered`. */
  imapUnordered<T, R>(
    func: (item: T) => R,
    iterable: Items<T>,
    options: ImapCallOptions = {},
  ): IMapUnorderedIterator<Awaited<R>> {
    return new IMapUnorderedIterator<Awaited<R>>(
      this,
      this.#imap(func as Fn, iterable, false, options),
    );
  }

  #imap(func: Fn, iterable: Items<unknown>, ordered: boolean, options: ImapCallOptions): ImapJob {
    checkIterable(iterable, true);
    const { chunksize = 1, buffersize } = options;
    checkCount('buffersize', buffersize);
    const job: ImapOptions = {
      ...this.#begin(func, CALL.MAP, options, chunksize),
      chunksize,
      buffersize,
      ordered,
    };
    const source = new ImapJob(this.#engine, job, iterable);
    this.#engine.add(source);
    return source;
  }

  /** Looks at what every call has, and has its function ready. */
  #begin(func: Fn, kind: number, options: CallOptions, chunksize?: number): JobOptions {
    this.#checkRunning();
    checkFunction('func', func);
    checkCount('chunksize', chunksize);
    const { timeout = this.#taskTimeout, signal, onProgress } = options;
    checkSeconds('timeout', timeout);
    if (onProgress !== undefined) checkFunction('onProgress', onProgress);
    if (signal !== undefined && !(signal instanceof AbortSignal))
      throw typeError(`signal must be an AbortSignal, not ${inspect(signal)}`);
    return { call: this.#engine.beginCall(func), kind, timeout, signal, onProgress };
  }

  #checkRunning(): void {
    checkOwner(this.#pid);
    if (this.#engine.broken !== undefined) {
      throw new BrokenProcessPool('the pool can do nothing any more: see its cause', {
        cause: this.#engine.broken,
      });
    }
    if (this.#state !== RUN) throw new ValueError('Pool not running');
  }

  //
  // The end
  //

  /** No more calls: workers end when all is done; Python's `close`. */
  close(): void {
    if (this.#state !== RUN) return;
    this.#state = CLOSE;
    this.#engine.close();
  }

  /** Ends all workers at once; what is not done fails with a CancelledError. Python's `terminate`. */
  terminate(): void {
    if (this.#state === TERMINATE) return;
    this.#state = TERMINATE;
    info('terminating pool');
    this.#engine.terminate();
  }

  /** Waits until all workers have ended; Python's `join`. @throws ValueError before `close` and `terminate` */
  async join(): Promise<void> {
    this.#checkStopped();
    await this.#engine.join();
    this.#forget();
  }

  /** The blocking twin of `join`. */
  joinSync(): void {
    this.#checkStopped();
    this.#engine.joinSync();
    this.#forget();
  }

  #checkStopped(): void {
    if (this.#state === RUN && this.#engine.broken === undefined)
      throw new ValueError('Pool is still running');
  }

  /** What workers have done, and how long tasks waited and ran. No counterpart in Python. */
  stats(): PoolStats {
    return this.#engine.stats();
  }

  /** `using pool = ...`: terminates, as leaving Python's `with` does. */
  [Symbol.dispose](): void {
    this.terminate();
  }

  /** The same, and waits until the workers are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.terminate();
    await this.join();
  }

  [reduceSymbol](): never {
    throw new NotImplementedError(
      'pool objects cannot be passed between processes or pickled: give the other process what it needs, or a queue',
    );
  }

  toString(): string {
    return `<multiprocessing.pool.Pool state=${this.#state} pool_size=${this.#processes}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** What a function throws before it returns a promise is a rejection. */
function attempt<T>(code: () => Promise<T>): Promise<T> {
  try {
    return code();
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

function checkIterable(iterable: unknown, mayBeAsync: boolean): void {
  const object = Object(iterable) as object;
  if (Symbol.iterator in object || (mayBeAsync && Symbol.asyncIterator in object)) return;
  throw typeError(`iterable must be one, not ${inspect(iterable)}`);
}

function listOf<T>(iterable: Iterable<T>): readonly T[] {
  checkIterable(iterable, false);
  return Array.isArray(iterable) ? (iterable as T[]).slice() : Array.from(iterable);
}

async function listOfAsync<T>(iterable: Items<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

nameExports(import.meta.url, { Pool });

enterRoom('pool', { Pool });
