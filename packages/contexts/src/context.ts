/**
 * Counterpart of multiprocessing/context.py: which start method a Process uses, and the factories of all
 * other objects. The composition root: the only place that knows both processes and how they are launched.
 * Deviations: D-018, D-019, D-035, D-109, D-110.
 */
import { availableParallelism } from 'node:os';
import { inspect } from 'node:util';
import {
  AuthenticationError,
  activeChildren,
  type BaseProcess,
  BufferTooShort,
  type Connection,
  currentProcess,
  getReducer,
  giveRoom,
  lateRoom,
  nameExports,
  Pipe,
  type PipeOptions,
  ProcessError,
  parentProcess,
  queues,
  type Reducer,
  reduceSymbol,
  type StartMethod,
  setReducer,
  sharedctypes,
  synchronize,
  TimeoutError,
  typeError,
  util,
  ValueError,
} from '@multiprocessing/core';
import type * as managers from '@multiprocessing/core/managers/managers';
import type * as pool from '@multiprocessing/core/pool/pool';
import type { QueueOptions } from '@multiprocessing/core/queues/queues';
import type {
  CType,
  Initial,
  LockOption,
  RawArrayOf,
  RawValueOf,
  SharedOptions,
} from '@multiprocessing/core/sharedctypes/sharedctypes';
import {
  _forkserver,
  checkForkserverAvailable,
  type OnPreloadError,
  setExecutable,
} from '@multiprocessing/popen';
import { foreignThreads, forkAvailable } from '@multiprocessing/posix';
import {
  closuresAllowed,
  ForkProcess,
  ForkServerProcess,
  SpawnProcess,
  threadsAllowed,
} from './processes.ts';

/** Options without a context get this one; what is none of both is refused where they are looked at. */
function withContext<L extends LockOption>(
  ctx: BaseContext,
  options: SharedOptions<L> = {},
): SharedOptions<L> {
  return typeof options === 'object' && options !== null ? { ctx, ...options } : options;
}

// They are loaded by who calls for them first (core/base/late_rooms.ts).
const poolRoom = () => lateRoom<typeof pool>('pool');
const managersRoom = () => lateRoom<typeof managers>('managers');

/** What a pool needs of its context. @internal */
export function poolContextOf(context: BaseContext): pool.PoolContext {
  const ctx = context.getContext();
  return {
    Process: context.Process,
    _name: ctx._name,
    get emulated() {
      return (ctx as Partial<ForkContext>).emulated ?? false;
    },
  };
}

/** What makes objects, and may be called with `new` as well. */
const factoryNames = [
  'Array',
  'Barrier',
  'BoundedSemaphore',
  'Condition',
  'Event',
  'JoinableQueue',
  'Lock',
  'Manager',
  'ManagerSync',
  'Pipe',
  'Pool',
  'Queue',
  'RLock',
  'RawArray',
  'RawValue',
  'Semaphore',
  'SimpleQueue',
  'Value',
] as const;

/** Binds a method to its context. A method cannot be called with `new`, a plain function can. */
function withAndWithoutNew(context: BaseContext, name: (typeof factoryNames)[number]): void {
  const method = context[name] as (...args: unknown[]) => unknown;
  function factory(...args: unknown[]): unknown {
    return method.apply(context, args);
  }
  Object.defineProperty(factory, 'name', { value: name });
  Object.defineProperty(context, name, { value: factory, writable: true, configurable: true });
}

//
// The base of all contexts
//

/** What a context offers; Python's `multiprocessing.context.BaseContext`. */
export abstract class BaseContext {
  /** The Process class of this context. */
  abstract readonly Process: typeof BaseProcess;
  /** @internal */
  abstract readonly _name: StartMethod | undefined;

  readonly ProcessError = ProcessError;
  readonly BufferTooShort = BufferTooShort;
  readonly TimeoutError = TimeoutError;
  readonly AuthenticationError = AuthenticationError;

  /**
   * Whether targets and arguments may be functions and classes without a name, inline ones say: they travel by value
   * then, their source and the variables that they use, instead of being refused. Under fork they always may. No
   * counterpart in Python; `reducer = closures` does the same for all contexts.
   */
  get allowClosures(): boolean {
    return closuresAllowed.has(this._name);
  }

  /** @throws TypeError unless it is a boolean; ValueError for false under fork */
  set allowClosures(allow: boolean) {
    if (typeof allow !== 'boolean') throw typeError('allowClosures must be true or false');
    if (this._name === 'fork' && !allow)
      throw new ValueError('under fork functions need no name: allowClosures cannot be false');
    if (allow) closuresAllowed.add(this._name);
    else closuresAllowed.delete(this._name);
  }

  /**
   * Whether a process that has threads of an addon is forked all the same, as CPython does: they are not there in the child, and a
   * lock that one of them held at the fork is held there for ever. Without it the forkserver spawns its children then, and a
   * real fork is emulated. No counterpart in Python; `spawn` has nothing to allow.
   */
  get allowThreads(): boolean {
    return threadsAllowed.has(this._name);
  }

  /** @throws TypeError unless it is a boolean */
  set allowThreads(allow: boolean) {
    if (typeof allow !== 'boolean') throw typeError('allowThreads must be true or false');
    if (allow) threadsAllowed.add(this._name);
    else threadsAllowed.delete(this._name);
  }

  constructor() {
    for (const name of factoryNames) withAndWithoutNew(this, name);
  }

  /** Python's `current_process`. */
  currentProcess(): BaseProcess {
    return currentProcess();
  }

  /** Python's `parent_process`. */
  parentProcess(): BaseProcess | undefined {
    return parentProcess();
  }

  /** Python's `active_children`. */
  activeChildren(): BaseProcess[] {
    return activeChildren();
  }

  /** How many processes can run at once; Python's `cpu_count`. */
  cpuCount(): number {
    return availableParallelism();
  }

  /**
   * Starts a manager: a process that holds objects for others; Python's `Manager`.
   * @param options address, authkey and what else `ManagerOptions` says
   */
  async Manager(options: Omit<managers.ManagerOptions, 'ctx'> = {}): Promise<managers.SyncManager> {
    const manager = new (managersRoom().SyncManager)({ ...options, ctx: this });
    return manager.start();
  }

  /** The blocking twin of `Manager`. */
  ManagerSync(options: Omit<managers.ManagerOptions, 'ctx'> = {}): managers.SyncManager {
    return new (managersRoom().SyncManager)({ ...options, ctx: this }).startSync();
  }

  /**
   * Two connected connections; Python's `Pipe`.
   * @param duplex whether both can send and receive; otherwise the first one receives and the second one sends
   * @param options of both: codec, allowedModules
   */
  Pipe(duplex = true, options: PipeOptions = {}): [Connection, Connection] {
    return Pipe(duplex, options);
  }

  /** A lock for the processes of this context; Python's `Lock`. */
  Lock(): synchronize.Lock {
    return new synchronize.Lock({ ctx: this.getContext() });
  }

  /** A lock that its owner can take again; Python's `RLock`. */
  RLock(): synchronize.RLock {
    return new synchronize.RLock({ ctx: this.getContext() });
  }

  /** A place to wait for a change; Python's `Condition`. @param lock a Lock or RLock; a new RLock, without */
  Condition(lock?: synchronize.Lock | synchronize.RLock): synchronize.Condition {
    return new synchronize.Condition(lock, { ctx: this.getContext() });
  }

  /** Python's `Semaphore`. @param value what it starts with, from 0 to 2^31 - 1 */
  Semaphore(value = 1): synchronize.Semaphore {
    return new synchronize.Semaphore(value, { ctx: this.getContext() });
  }

  /** Python's `BoundedSemaphore`. @param value what it starts with, and its limit */
  BoundedSemaphore(value = 1): synchronize.BoundedSemaphore {
    return new synchronize.BoundedSemaphore(value, { ctx: this.getContext() });
  }

  /** A flag to wait for; Python's `Event`. */
  Event(): synchronize.Event {
    return new synchronize.Event({ ctx: this.getContext() });
  }

  /**
   * A point where processes wait for each other; Python's `Barrier`.
   * @param parties how many
   * @param options action, called when all are there; timeout in seconds for each wait
   */
  Barrier(
    parties: number,
    options: Omit<synchronize.BarrierOptions, 'ctx'> = {},
  ): synchronize.Barrier {
    return new synchronize.Barrier(parties, { ...options, ctx: this.getContext() });
  }

  /**
   * A queue between processes; Python's `Queue`.
   * @param maxsize items at the same time; 0: any number
   * @param options allowedModules: those that an item may name
   */
  Queue<T = unknown>(maxsize = 0, options: Omit<QueueOptions, 'ctx'> = {}): queues.Queue<T> {
    return new queues.Queue<T>(maxsize, { ...options, ctx: this.getContext() });
  }

  /** A queue whose items are tasks; Python's `JoinableQueue`. @param maxsize, options as of `Queue` */
  JoinableQueue<T = unknown>(
    maxsize = 0,
    options: Omit<QueueOptions, 'ctx'> = {},
  ): queues.JoinableQueue<T> {
    return new queues.JoinableQueue<T>(maxsize, { ...options, ctx: this.getContext() });
  }

  /** A queue of the fewest parts; Python's `SimpleQueue`. @param options as of `Queue` */
  SimpleQueue<T = unknown>(options: Omit<QueueOptions, 'ctx'> = {}): queues.SimpleQueue<T> {
    return new queues.SimpleQueue<T>({ ...options, ctx: this.getContext() });
  }

  /**
   * Processes that run a function for many items; Python's `Pool`.
   * @param processes how many; as many as this process may use processors, without
   * @param options initializer, initargs, maxtasksperchild, and what `PoolOptions` says
   * @throws ValueError, TypeError; RuntimeError without main guard, AssertionError in a daemonic process
   */
  Pool(processes?: number, options: pool.PoolOptions = {}): pool.Pool {
    return new (poolRoom().Pool)(processes, options, poolContextOf(this));
  }

  /** Python's `RawValue`: see multiprocessing/sharedctypes. */
  RawValue<T extends CType>(typecode: T, initial?: Initial<T>): RawValueOf<T> {
    return sharedctypes.RawValue(typecode, initial);
  }
  /** Python's `RawArray`: see multiprocessing/sharedctypes. */
  RawArray<T extends CType>(
    typecode: T,
    sizeOrItems: number | Iterable<Initial<T>>,
  ): RawArrayOf<T> {
    return sharedctypes.RawArray(typecode, sizeOrItems);
  }
  /** Python's `Value`: see multiprocessing/sharedctypes. */
  Value<T extends CType, L extends LockOption = true>(
    typecode: T,
    initial?: Initial<T>,
    options?: SharedOptions<L>,
  ) {
    return sharedctypes.Value<T, L>(typecode, initial, withContext(this, options));
  }
  /** Python's `Array`: see multiprocessing/sharedctypes. */
  Array<T extends CType, L extends LockOption = true>(
    typecode: T,
    sizeOrItems: number | Iterable<Initial<T>>,
    options?: SharedOptions<L>,
  ) {
    return sharedctypes.SharedArray<T, L>(typecode, sizeOrItems, withContext(this, options));
  }

  /** Does nothing: there are no frozen executables to support here. Python's `freeze_support`. */
  freezeSupport(): void {}

  /** Python's `get_logger`. */
  getLogger(): util.Logger {
    return util.getLogger();
  }

  /** Python's `log_to_stderr`. @param level the least level to log: 10 debug, 20 info ... */
  logToStderr(level?: number): util.Logger {
    return util.logToStderr(level);
  }

  /** Does nothing, as in CPython on POSIX. Python's `allow_connection_pickling`. */
  allowConnectionPickling(): void {}

  /**
   * Sets the program that children run instead of this process's own node; Python's `set_executable`.
   * @param path a path, also as bytes or as a file URL; undefined takes the setting back
   * @throws TypeError for anything else
   */
  setExecutable(path: string | Uint8Array | URL | undefined): void {
    setExecutable(path);
  }

  /**
   * Names modules that the forkserver imports before it forks; Python's `set_forkserver_preload`.
   * @param moduleNames specifiers as for import(); `'__main__'` is the main module, the default
   * @param options.onError `'ignore'` (default), `'warn'` or `'fail'`: what an import that fails does (3.15)
   * @throws TypeError unless it is a list of strings
   */
  setForkserverPreload(
    moduleNames: readonly string[],
    options: { onError?: OnPreloadError | undefined } = {},
  ): void {
    _forkserver.setForkserverPreload(moduleNames, options);
  }

  /**
   * The context of a start method; this one, without. Python's `get_context`.
   * @throws ValueError for a method that is unknown, or that this program cannot use (with the reason)
   */
  getContext(): BaseContext;
  getContext<M extends StartMethod>(method: M): (typeof concreteContexts)[M];
  getContext(method?: string): BaseContext;
  getContext(method?: string): BaseContext {
    if (method === undefined) return this;
    const context = Object.hasOwn(concreteContexts, method)
      ? concreteContexts[method as StartMethod]
      : undefined;
    if (context === undefined) throw new ValueError(`cannot find context for ${inspect(method)}`);
    context._checkAvailable();
    return context;
  }

  /** Python's `get_start_method`. */
  getStartMethod(_options: { allowNone?: boolean | undefined } = {}): StartMethod | undefined {
    return this._name;
  }

  /** @throws ValueError: only the default context's can be set */
  setStartMethod(_method: string | undefined, _options: { force?: boolean } = {}): void {
    throw new ValueError('cannot set start method of concrete context');
  }

  /**
   * How process objects are pickled for their child, one for all contexts; Python's
   * `BaseContext.reducer`. The default is the module multiprocessing/reduction.
   */
  get reducer(): Reducer {
    return getReducer();
  }

  /** @throws TypeError for something that has no ForkingPickler with a dumps method */
  set reducer(reducer: Reducer) {
    setReducer(reducer);
  }

  /** @throws ValueError if this program cannot use the method @internal */
  _checkAvailable(): void {}

  /** It is the one of its name, in every process. */
  [reduceSymbol](): [typeof contextOf, [StartMethod | undefined]] {
    return [contextOf, [this._name]];
  }

  toString(): string {
    return `<${this.constructor.name}>`;
  }
}

//
// Contexts with a fixed start method
//

/** Python's `ForkContext`. */
export class ForkContext extends BaseContext {
  /** @internal */
  override readonly _name = 'fork';
  override readonly Process = ForkProcess;

  /**
   * Whether this process cannot fork(2), or has threads of an addon and `allowThreads` is not set, so that its children get what they
   * need by value, and nothing else of it. No counterpart in Python; `forkAvailable()` of multiprocessing/os says why it cannot.
   */
  get emulated(): boolean {
    if (!forkAvailable().available) return true;
    return !this.allowThreads && foreignThreads().length > 0;
  }

  override toString(): string {
    return this.emulated ? '<ForkContext emulated>' : '<ForkContext>';
  }
}

/** Python's `SpawnContext`. */
export class SpawnContext extends BaseContext {
  /** @internal */
  override readonly _name = 'spawn';
  override readonly Process = SpawnProcess;
}

/** Python's `ForkServerContext`. */
export class ForkServerContext extends BaseContext {
  /** @internal */
  override readonly _name = 'forkserver';
  override readonly Process = ForkServerProcess;

  /** @internal */
  override _checkAvailable(): void {
    checkForkserverAvailable();
  }
}

/** The context of a name; the default one without. @internal */
export function contextOf(name: StartMethod | undefined): BaseContext {
  return name === undefined ? defaultOf.context : concreteContexts[name];
}

/** The default context, which stands to the right of this file. @internal */
export const defaultOf = {} as { context: BaseContext };

nameExports(import.meta.url, { contextOf });
giveRoom('pool', () => poolContextOf(defaultOf.context));
giveRoom('managers', () => defaultOf.context);

/** @internal */
export const concreteContexts = {
  fork: new ForkContext(),
  spawn: new SpawnContext(),
  forkserver: new ForkServerContext(),
};
