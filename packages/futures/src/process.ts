/**
 * Counterpart of concurrent/futures/process.py: an executor over the workers of a pool. Deviations: D-137, D-138.
 */
import { inspect } from 'node:util';
import { BaseContext, contextOf, poolContextOf } from '@multiprocessing/contexts';
import { checkTimeout } from '@multiprocessing/core/base/arguments';
import { processCpuCount } from '@multiprocessing/core/base/cpus';
import { RuntimeError, typeError, ValueError } from '@multiprocessing/core/base/errors';
import type { Engine } from '@multiprocessing/core/pool/engine';
import { BrokenProcessPool, CancelledError } from '@multiprocessing/core/pool/errors';
import { ImapJob } from '@multiprocessing/core/pool/imap';
import { ApplyJob, type CallOptions } from '@multiprocessing/core/pool/jobs';
import {
  checkCount,
  checkFunction,
  checkNames,
  checkOptions,
  checkOwner,
  checkSeconds,
} from '@multiprocessing/core/pool/options';
import { poolEngine } from '@multiprocessing/core/pool/pool_engine';
import { CALL } from '@multiprocessing/core/pool/port';
import type { PoolStats } from '@multiprocessing/core/pool/stats';
import type { OnWorkerDeath, Task } from '@multiprocessing/core/pool/tasks';
import { now } from '@multiprocessing/posix';
import {
  Executor,
  type Fn,
  type MapOptions,
  type Results,
  type ShutdownOptions,
  splitMapArguments,
  zip,
} from './executor.ts';
import { Future, type FutureHost } from './future.ts';

/** Options of a ProcessPoolExecutor. */
export interface ProcessPoolExecutorOptions {
  /** How many workers there can be; as many as this process may use processors, without. */
  maxWorkers?: number | undefined;
  /** The context that makes the workers; the default one, without. */
  mpContext?: BaseContext | undefined;
  /** Runs first in each worker, with `initargs`. */
  initializer?: ((...args: never[]) => unknown) | undefined;
  initargs?: readonly unknown[] | undefined;
  /** Calls after which a worker makes way for a new one. */
  maxTasksPerChild?: number | undefined;
  /** What happens when a worker dies in the middle of a call: the executor breaks (as in Python), without. */
  onWorkerDeath?: OnWorkerDeath | undefined;
  /** Seconds without a call after which a worker ends; it never does, without. */
  idleTimeout?: number | undefined;
  /** Bytes of resident memory after which a worker makes way for a new one, behind its call. */
  maxMemory?: number | undefined;
  /** Asynchronous calls that a worker has in hand at once; 1, without. */
  concurrency?: number | undefined;
  /** Seconds for each call, from its begin in a worker. */
  taskTimeout?: number | undefined;
}

const OPTIONS = [
  'maxWorkers',
  'mpContext',
  'initializer',
  'initargs',
  'maxTasksPerChild',
  'onWorkerDeath',
  'idleTimeout',
  'maxMemory',
  'concurrency',
  'taskTimeout',
];

/** Room for more workers than there are at first, for an executor that is resized. */
const PLACES = 64;

/** Calls functions in other processes; Python's `concurrent.futures.ProcessPoolExecutor`. */
export class ProcessPoolExecutor extends Executor {
  readonly #engine: Engine;
  readonly #taskTimeout: number;
  #isShutdown = false;
  readonly #pid = process.pid;
  readonly #forget: () => void;
  /** @internal */
  _maxWorkers: number;

  /** @throws ValueError, TypeError for what cannot be; workers are started when there are calls for them */
  constructor(options: ProcessPoolExecutorOptions = {}) {
    super();
    checkNames(options, OPTIONS);
    const { maxWorkers = processCpuCount(), mpContext = contextOf(undefined), ...rest } = options;
    if (typeof maxWorkers !== 'number' || !Number.isInteger(maxWorkers))
      throw typeError(`maxWorkers must be a whole number, not ${inspect(maxWorkers)}`);
    if (maxWorkers <= 0) throw new ValueError('maxWorkers must be greater than 0');
    if (!(mpContext instanceof BaseContext))
      throw typeError(`mpContext must be a context, not ${inspect(mpContext)}`);
    const { maxTasksPerChild, idleTimeout, ...others } = rest;
    if (maxTasksPerChild !== undefined && typeof maxTasksPerChild !== 'number')
      throw typeError(`maxTasksPerChild must be an integer, not ${inspect(maxTasksPerChild)}`);
    checkCount('maxTasksPerChild', maxTasksPerChild);
    checkSeconds('idleTimeout', idleTimeout);
    checkOptions(others);
    const settings = {
      onWorkerDeath: 'break' as const,
      ...others,
      maxtasksperchild: maxTasksPerChild,
      idleTimeout,
      daemon: false,
      onDemand: true,
      places: Math.max(PLACES, maxWorkers),
      what: 'executor',
    };
    const { engine, forget } = poolEngine(this, maxWorkers, settings, poolContextOf(mpContext));
    this.#engine = engine;
    this.#forget = forget;
    this._maxWorkers = maxWorkers;
    this.#taskTimeout = options.taskTimeout ?? Infinity;
  }

  #checkOpen(): void {
    checkOwner(this.#pid);
    const { broken } = this.#engine;
    if (broken !== undefined)
      throw new BrokenProcessPool('the executor is broken and can run nothing any more', {
        cause: broken,
      });
    if (this.#isShutdown) throw new RuntimeError('cannot schedule new futures after shutdown');
    if (this.#engine.isClosed)
      throw new RuntimeError('cannot schedule new futures after the end of the program');
  }

  /**
   * Has a function called in a worker; Python's `submit`.
   * @throws RuntimeError after `shutdown`, BrokenProcessPool, PicklingError for the function
   */
  override submit<F extends Fn>(fn: F, ...args: Parameters<F>): Future<Awaited<ReturnType<F>>> {
    this.#checkOpen();
    checkFunction('fn', fn);
    const future = new Future<Awaited<ReturnType<F>>>();
    const engine = this.#engine;
    const options = this.#jobOptions(fn, CALL.APPLY);
    const job = new ApplyJob(engine, options, args, ([value], failure) => {
      if (failure === undefined) future.setResult(value as Awaited<ReturnType<F>>);
      else if (failure.error instanceof Withdrawn) future._cancelled();
      else future.setException(failure.error);
    });
    future._host = hostOf(engine, job);
    engine.add(job);
    return future;
  }

  #jobOptions(fn: Fn, kind: number) {
    const options: CallOptions = { timeout: this.#taskTimeout };
    return { ...options, call: this.#engine.beginCall(fn), kind };
  }

  /**
   * Has a function called with an item of each iterable, until the shortest ends; Python's `map`. Results come in the order of the
   * items, and what a call has thrown is thrown where its result would be.
   * @param rest the iterables, which may be asynchronous, and behind them `{ timeout, chunksize, buffersize }`
   * @throws TimeoutError, when a result is wanted, that is not there `timeout` seconds after this call
   */
  override map<R>(fn: (...args: never[]) => R, ...rest: unknown[]): Results<Awaited<R>> {
    this.#checkOpen();
    checkFunction('fn', fn);
    const { iterables, options } = splitMapArguments(rest);
    const { timeout, chunksize = 1, buffersize } = options as MapOptions;
    checkTimeout(timeout);
    checkCount('chunksize', chunksize);
    checkCount('buffersize', buffersize);
    const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
    const job = new ImapJob(
      this.#engine,
      {
        ...this.#jobOptions(fn as Fn, CALL.STARMAP),
        chunksize,
        buffersize: buffersize ?? Infinity,
        ordered: true,
      },
      zip(iterables),
    );
    this.#engine.add(job);
    return resultsOf<Awaited<R>>(job, deadline, this);
  }

  /** Takes no more calls; workers end when all are done. Python's `shutdown`. */
  override async shutdown({
    wait = true,
    cancelFutures = false,
  }: ShutdownOptions = {}): Promise<void> {
    this.#beginShutdown(cancelFutures);
    const ended = this.#engine.join().then(() => this.#forget());
    if (wait) await ended;
  }

  override shutdownSync({ wait = true, cancelFutures = false }: ShutdownOptions = {}): void {
    this.#beginShutdown(cancelFutures);
    if (!wait) void this.#engine.join().then(() => this.#forget());
    else {
      this.#engine.joinSync();
      this.#forget();
    }
  }

  #beginShutdown(cancelFutures: boolean): void {
    this.#isShutdown = true;
    if (cancelFutures) this.#engine.withdrawAll(withdrawn);
    this.#engine.close();
  }

  /**
   * SIGTERM for all workers: the calls that run fail with a BrokenProcessPool, the others are cancelled. Python's
   * `terminate_workers` (3.14).
   */
  terminateWorkers(): void {
    this.#endWorkers('terminated', () => this.#engine.crew.terminate());
  }

  /** The same with SIGKILL; Python's `kill_workers` (3.14). */
  killWorkers(): void {
    this.#endWorkers('killed', () => this.#engine.crew.killAll());
  }

  #endWorkers(how: string, end: () => void): void {
    this.#beginShutdown(true);
    const message = `the workers of the executor were ${how}`;
    this.#engine.terminate(() => new BrokenProcessPool(message));
    end();
    void this.#engine.join().then(() => this.#forget());
  }

  /** What workers have done, and how long calls waited and ran. No counterpart in Python. */
  stats(): PoolStats {
    return this.#engine.stats();
  }

  /** Whether it takes no calls any more. @internal */
  get _isOver(): boolean {
    return this.#isShutdown || this.#engine.broken !== undefined;
  }

  /** Has another number of workers. @internal */
  _resize(maxWorkers: number): void {
    this._maxWorkers = maxWorkers;
    this.#engine.resize(maxWorkers);
  }

  /** How many there can be. @internal */
  get _places(): number {
    return this.#engine.port.places - 1;
  }

  override toString(): string {
    return `<ProcessPoolExecutor maxWorkers=${this._maxWorkers}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** What the engine is told of a call that is cancelled. A call may throw a CancelledError, too: that is its exception. */
class Withdrawn extends CancelledError {}

function withdrawn(): Withdrawn {
  return new Withdrawn('the future was cancelled');
}

const waits = new WeakMap<Engine, FutureHost['waitSync']>();

/** One function for all futures of an engine: by that they are known to wait for the same. */
function waitOf(engine: Engine): FutureHost['waitSync'] {
  let wait = waits.get(engine);
  if (wait === undefined) {
    wait = (done, deadline) => engine.waitSync(done, deadline);
    waits.set(engine, wait);
  }
  return wait;
}

function hostOf(engine: Engine, job: ApplyJob): FutureHost {
  return {
    cancel: () => job.withdraw(withdrawn()),
    isRunning: () => {
      const task: Task | undefined = job.running;
      return task !== undefined && engine.isRunning(task);
    },
    waitSync: waitOf(engine),
  };
}

function resultsOf<R>(job: ImapJob, deadline: number, executor: object): Results<R> {
  const left = () => (deadline === Infinity ? undefined : (deadline - now()) / 1000);
  let isOver = false;
  const end = { done: true as const, value: undefined };
  /** As in CPython what is not begun is cancelled when the iteration is over, by the first error too. */
  const stop = () => {
    isOver = true;
    job.stop(new CancelledError('nobody takes the results any more'), true);
    return end;
  };
  const results: Results<R> & { readonly executor: object } = {
    executor,
    async next() {
      if (isOver) return end;
      try {
        return (await job.take(left())) as IteratorResult<R>;
      } catch (error) {
        stop();
        throw error;
      }
    },
    async return() {
      stop();
      await job.returned;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => results,
    *[Symbol.iterator]() {
      try {
        while (!isOver) {
          const { done, value } = job.takeSync(left());
          if (done) return;
          yield value as R;
        }
      } finally {
        stop();
      }
    },
  };
  return results;
}
