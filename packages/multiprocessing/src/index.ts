/**
 * multiprocessing: the names of Python's `multiprocessing/__init__.py`, bound to the default context.
 */
import { defaultContext } from '@multiprocessing/contexts';
import type { sharedctypes } from '@multiprocessing/core';
import type {
  CType,
  Initial,
  LockOption,
  SharedOptions,
} from '@multiprocessing/core/sharedctypes/sharedctypes';
import type * as queues from './queues.ts';
import { enableTracing } from './tracing.ts';

export {
  BaseContext,
  DefaultContext,
  ForkContext,
  ForkProcess,
  ForkServerContext,
  ForkServerProcess,
  Process,
  SpawnContext,
  SpawnProcess,
} from '@multiprocessing/contexts';
export {
  AssertionError,
  AuthenticationError,
  AuthenticationString,
  BrokenBarrierError,
  BrokenPipeError,
  BufferError,
  BufferTooShort,
  ChildProcessError,
  EOFError,
  isMain,
  NotImplementedError,
  OSError,
  PicklingError,
  ProcessError,
  ProcessLookupError,
  RuntimeError,
  SystemExit,
  TimeoutError,
  UnpicklingError,
  ValueError,
} from '@multiprocessing/core';

type Context = typeof defaultContext;

/** A function that may be called with `new` as well. */
type Factory<F> = F extends (...args: infer A) => infer R ? F & (new (...args: A) => R) : F;

interface Queues<T> {
  Queue: queues.Queue<T>;
  JoinableQueue: queues.JoinableQueue<T>;
  SimpleQueue: queues.SimpleQueue<T>;
}

/** The same for those that are made for one type of item. */
type QueueFactory<K extends keyof Queues<unknown>> = Context[K] &
  (new <T = unknown>(
    ...args: Parameters<Context[K]>
  ) => Queues<T>[K]);

/** And for those whose result depends on a type code. */
interface NewValue {
  new <T extends CType, L extends LockOption = true>(
    typecode: T,
    initial?: Initial<T>,
    options?: SharedOptions<L>,
  ): ReturnType<typeof sharedctypes.Value<T, L>>;
}
interface NewArray {
  new <T extends CType, L extends LockOption = true>(
    typecode: T,
    sizeOrItems: number | Iterable<Initial<T>>,
    options?: SharedOptions<L>,
  ): ReturnType<typeof sharedctypes.SharedArray<T, L>>;
}
interface NewRawValue {
  new <T extends CType>(
    typecode: T,
    initial?: Initial<T>,
  ): ReturnType<typeof sharedctypes.RawValue<T>>;
}
interface NewRawArray {
  new <T extends CType>(
    typecode: T,
    sizeOrItems: number | Iterable<Initial<T>>,
  ): ReturnType<typeof sharedctypes.RawArray<T>>;
}

/** Binds a method of the default context, so that it works as a plain function, with and without `new`. */
function bound<K extends keyof Context>(name: K): Factory<Context[K]> {
  const method = defaultContext[name] as (...args: never[]) => unknown;
  const call = (...args: never[]) => Reflect.apply(method, defaultContext, args);
  // A plain function can be called with `new`, an arrow function cannot.
  function factory(...args: never[]): unknown {
    return call(...args);
  }
  return Object.defineProperty(factory, 'name', { value: name }) as Factory<Context[K]>;
}

export const activeChildren = bound('activeChildren');
export const allowConnectionPickling = bound('allowConnectionPickling');
export const cpuCount = bound('cpuCount');
export const currentProcess = bound('currentProcess');
export const freezeSupport = bound('freezeSupport');
export const getAllStartMethods = bound('getAllStartMethods');
export const getContext = bound('getContext');
export const getLogger = bound('getLogger');
export const getStartMethod = bound('getStartMethod');
export const logToStderr = bound('logToStderr');
export const parentProcess = bound('parentProcess');
export const setExecutable = bound('setExecutable');
export const setForkserverPreload = bound('setForkserverPreload');
export const setStartMethod = bound('setStartMethod');

const SharedArray = bound('Array') as Context['Array'] & NewArray;

export { SharedArray as Array }; // the name alone: this module goes on to have JavaScript's
export const Barrier = bound('Barrier');
export const BoundedSemaphore = bound('BoundedSemaphore');
export const Condition = bound('Condition');
export const Event = bound('Event');
export const JoinableQueue = bound('JoinableQueue') as QueueFactory<'JoinableQueue'>;
export const Lock = bound('Lock');
export const Manager = bound('Manager');
export const ManagerSync = bound('ManagerSync');
export const Pipe = bound('Pipe');
export const Pool = bound('Pool');
export const Queue = bound('Queue') as QueueFactory<'Queue'>;
export const RawArray = bound('RawArray') as Context['RawArray'] & NewRawArray;
export const RawValue = bound('RawValue') as Context['RawValue'] & NewRawValue;
export const RLock = bound('RLock');
export const Semaphore = bound('Semaphore');
export const SimpleQueue = bound('SimpleQueue') as QueueFactory<'SimpleQueue'>;
export const Value = bound('Value') as Context['Value'] & NewValue;

export * as reducer from './reduction.ts';

enableTracing();
