/**
 * The proxies of what clients wait at, and of single values: `AcquirerProxy`, `ConditionProxy`, `EventProxy`, `BarrierProxy`,
 * `NamespaceProxy`, `ValueProxy`, `ArrayProxy`, `IteratorProxy`, `PoolProxy` of multiprocessing/managers.py, and that of a queue.
 * Deviations: D-144.
 */
import { now } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';
import { nameExports } from '../base/names.ts';
import type { Slice } from '../python_pickle/numbers.ts';
import { StopIteration } from './errors.ts';
import { defineMethods, named, type ProxyArguments, type Twins } from './make_proxy.ts';
import { BaseProxy, sharedTypes } from './proxy.ts';
import { asyncNamespaceView, namespaceView } from './views.ts';

const NEVER: ReadonlySet<string> = new Set();

/** Python's None is what is left out. */
function withTimeout(first: readonly unknown[], timeout: number | undefined): readonly unknown[] {
  checkTimeout(timeout);
  return timeout === undefined ? first : [...first, timeout];
}

/** A lock that was acquired, for `using`. */
export interface Guard {
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A proxy of a lock or semaphore; Python's `managers.AcquirerProxy`. */
export class AcquirerProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['acquire', 'release', 'locked'];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['acquire']);

  /**
   * Takes it; Python's `acquire`.
   * @param blocking whether to wait @param timeout seconds; for ever, without
   * @returns whether it was got
   */
  async acquire(blocking = true, timeout?: number): Promise<boolean> {
    return (await this._callmethod('acquire', withTimeout([blocking], timeout))) as boolean;
  }

  /** The blocking twin of `acquire`. */
  acquireSync(blocking = true, timeout?: number): boolean {
    return this._callmethodSync('acquire', withTimeout([blocking], timeout)) as boolean;
  }

  /** Gives it back. @throws RuntimeError when it was not taken */
  async release(): Promise<void> {
    await this._callmethod('release');
  }

  /** The blocking twin of `release`. */
  releaseSync(): void {
    this._callmethodSync('release');
  }

  /** Whether somebody has it (3.14). */
  async locked(): Promise<boolean> {
    return (await this._callmethod('locked')) as boolean;
  }

  /** The blocking twin of `locked`. */
  lockedSync(): boolean {
    return this._callmethodSync('locked') as boolean;
  }

  /** Takes it until the end of a block: `await using _ = await lock.guard()`. */
  async guard(): Promise<Guard> {
    await this.acquire();
    return this.#guard();
  }

  /** The blocking twin: `using _ = lock.guardSync()`. */
  guardSync(): Guard {
    this.acquireSync();
    return this.#guard();
  }

  #guard(): Guard {
    return {
      [Symbol.dispose]: () => this.releaseSync(),
      [Symbol.asyncDispose]: () => this.release(),
    };
  }
}

/** A proxy of a condition; Python's `managers.ConditionProxy`. */
export class ConditionProxy extends AcquirerProxy {
  static override readonly _exposed_: readonly string[] = [
    'acquire',
    'release',
    'locked',
    'wait',
    'notify',
    'notify_all',
  ];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['acquire', 'wait']);

  /** Waits for a notification. @param timeout seconds @returns whether there was one @throws RuntimeError without the lock */
  async wait(timeout?: number): Promise<boolean> {
    return (await this._callmethod('wait', withTimeout([], timeout))) as boolean;
  }

  /** The blocking twin of `wait`. */
  waitSync(timeout?: number): boolean {
    return this._callmethodSync('wait', withTimeout([], timeout)) as boolean;
  }

  /** Wakes some who wait. @throws RuntimeError without the lock */
  async notify(n = 1): Promise<void> {
    await this._callmethod('notify', [n]);
  }

  /** The blocking twin of `notify`. */
  notifySync(n = 1): void {
    this._callmethodSync('notify', [n]);
  }

  /** Wakes all who wait. */
  async notifyAll(): Promise<void> {
    await this._callmethod('notify_all');
  }

  /** The blocking twin of `notifyAll`. */
  notifyAllSync(): void {
    this._callmethodSync('notify_all');
  }

  /** Waits until something is true, which is asked here. @param timeout seconds @returns what it was at last */
  async waitFor<T>(predicate: () => T | Promise<T>, timeout?: number): Promise<T> {
    const left = leftOf(timeout);
    let result = await predicate();
    while (!result) {
      const seconds = left();
      if (seconds !== undefined && seconds <= 0) break;
      await this.wait(seconds);
      result = await predicate();
    }
    return result;
  }

  /** The blocking twin of `waitFor`. */
  waitForSync<T>(predicate: () => T, timeout?: number): T {
    const left = leftOf(timeout);
    let result = predicate();
    while (!result) {
      const seconds = left();
      if (seconds !== undefined && seconds <= 0) break;
      this.waitSync(seconds);
      result = predicate();
    }
    return result;
  }
}

function leftOf(timeout: number | undefined): () => number | undefined {
  checkTimeout(timeout);
  if (timeout === undefined) return () => undefined;
  const deadline = now() + timeout * 1000;
  return () => (deadline - now()) / 1000;
}

/** The methods of a shared event, as they block. */
export interface EventMethods {
  clear(): void;
  isSet(): boolean;
  set(): void;
  /** @param timeout seconds @returns whether it is set */
  wait(timeout?: number): boolean;
}

class AnyEvent extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['is_set', 'set', 'clear', 'wait'];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['wait']);
}

defineMethods(AnyEvent, AnyEvent._exposed_);

/** A proxy of an event; Python's `managers.EventProxy`. */
export type EventProxy = AnyEvent & Twins<EventMethods>;
export const EventProxy = named('EventProxy', AnyEvent) as unknown as ProxyClass<EventProxy>;

/** @internal */
export interface ProxyClass<P> {
  new (...args: ProxyArguments): P;
  readonly prototype: P;
  readonly _exposed_: readonly string[];
}

/** The methods of a shared barrier, as they block. */
export interface BarrierMethods {
  /** Has all who wait, and all who come, fail. */
  abort(): void;
  reset(): void;
  /** @param timeout seconds @returns the caller's place @throws BrokenBarrierError */
  wait(timeout?: number): number;
}

class AnyBarrier extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    '__getattribute__',
    'wait',
    'abort',
    'reset',
  ];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['wait']);

  /** How many have to come. Blocks for an answer, as the two others. */
  get parties(): number {
    return this._callmethodSync('__getattribute__', ['parties']) as number;
  }

  /** How many wait. */
  get nWaiting(): number {
    return this._callmethodSync('__getattribute__', ['n_waiting']) as number;
  }

  /** Whether it is broken. */
  get broken(): boolean {
    return this._callmethodSync('__getattribute__', ['broken']) as boolean;
  }
}

defineMethods(AnyBarrier, ['wait', 'abort', 'reset']);

/** A proxy of a barrier; Python's `managers.BarrierProxy`. */
export type BarrierProxy = AnyBarrier & Twins<BarrierMethods>;
export const BarrierProxy = named(
  'BarrierProxy',
  AnyBarrier,
) as unknown as ProxyClass<BarrierProxy>;

/** The methods of a shared queue, as they block; the proxy has them as promises, and with `Sync` behind their names like this. */
export interface QueueMethods<T> {
  empty(): boolean;
  full(): boolean;
  /** @param timeout seconds @throws Empty, ShutDown */
  get(block?: boolean, timeout?: number): T;
  /** @throws Empty */
  getNowait(): T;
  /** Waits until each item was said to be done. */
  join(): void;
  /** @param timeout seconds @throws Full, ShutDown */
  put(item: T, block?: boolean, timeout?: number): void;
  /** @throws Full */
  putNowait(item: T): void;
  qsize(): number;
  shutdown(immediate?: boolean): void;
  /** @throws ValueError when it is called too often */
  taskDone(): void;
}

class AnyQueue<T> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    'empty',
    'full',
    'get',
    'get_nowait',
    'join',
    'put',
    'put_nowait',
    'qsize',
    'shutdown',
    'task_done',
  ];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['get', 'put', 'join']);
  declare protected readonly _item: T;
}

defineMethods(AnyQueue, AnyQueue._exposed_);

/** A proxy of a queue. CPython has an `AutoProxy` there. */
export type QueueProxy<T = unknown> = AnyQueue<T> & Twins<QueueMethods<T>>;

/** @internal */
export interface QueueProxyClass {
  new <T = unknown>(...args: ProxyArguments): QueueProxy<T>;
  readonly prototype: QueueProxy;
  readonly _exposed_: readonly string[];
}
export const QueueProxy = named('QueueProxy', AnyQueue) as unknown as QueueProxyClass;

/** A proxy of a namespace; Python's `managers.NamespaceProxy`. */
export class NamespaceProxy<T extends object = Record<string, unknown>> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    '__getattribute__',
    '__setattr__',
    '__delattr__',
  ];
  static override readonly _mayBlock = NEVER;

  /** Python's `namespace.name`. @throws AttributeError when there is none */
  async getAttr<K extends keyof T & string>(name: K): Promise<T[K]> {
    return (await this._callmethod('__getattribute__', [name])) as T[K];
  }

  /** The blocking twin of `getAttr`. */
  getAttrSync<K extends keyof T & string>(name: K): T[K] {
    return this._callmethodSync('__getattribute__', [name]) as T[K];
  }

  /** Python's `namespace.name = value`. */
  async setAttr<K extends keyof T & string>(name: K, value: T[K]): Promise<void> {
    await this._callmethod('__setattr__', [name, value]);
  }

  /** The blocking twin of `setAttr`. */
  setAttrSync<K extends keyof T & string>(name: K, value: T[K]): void {
    this._callmethodSync('__setattr__', [name, value]);
  }

  /** Python's `del namespace.name`. @throws AttributeError when there is none */
  async delAttr(name: keyof T & string): Promise<void> {
    await this._callmethod('__delattr__', [name]);
  }

  /** The blocking twin of `delAttr`. */
  delAttrSync(name: keyof T & string): void {
    this._callmethodSync('__delattr__', [name]);
  }

  /** The same namespace, written as an object: `ns.sync.x = 1`. Each of it blocks for an answer. */
  get sync(): T {
    return namespaceView(this) as T;
  }

  /** The same for who awaits: `await ns.async.x`. */
  get async(): { readonly [K in keyof T]: Promise<T[K]> } {
    return asyncNamespaceView(this) as unknown as { readonly [K in keyof T]: Promise<T[K]> };
  }
}

/** A proxy of one value; Python's `managers.ValueProxy`. */
export class ValueProxy<T = unknown> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['get', 'set'];
  static override readonly _mayBlock = NEVER;

  async get(): Promise<T> {
    return (await this._callmethod('get')) as T;
  }

  /** The blocking twin of `get`. */
  getSync(): T {
    return this._callmethodSync('get') as T;
  }

  async set(value: T): Promise<void> {
    await this._callmethod('set', [value]);
  }

  /** The blocking twin of `set`. */
  setSync(value: T): void {
    this._callmethodSync('set', [value]);
  }

  /** The value. To read and to set it blocks for an answer. */
  get value(): T {
    return this.getSync();
  }

  set value(value: T) {
    this.setSync(value);
  }
}

/** The methods of a shared array, as they block. */
export interface ArrayMethods<T> {
  /** @throws RangeError (IndexError) */
  getItem(index: number): T;
  len(): number;
  /** @throws RangeError (IndexError), TypeError, ValueError for what is none of its type */
  setItem(index: number | Slice, value: T | Iterable<T>): void;
}

class AnyArray<T> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['__len__', '__getitem__', '__setitem__'];
  static override readonly _mayBlock = NEVER;

  /** A part of it. */
  async slice(start?: number, stop?: number): Promise<T[]> {
    return ((await this._getvalue()) as T[]).slice(start, stop);
  }

  /** The blocking twin of `slice`. */
  sliceSync(start?: number, stop?: number): T[] {
    return (this._getvalueSync() as T[]).slice(start, stop);
  }

  /** The items as they are at the first step. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    yield* (await this._getvalue()) as T[];
  }
}

defineMethods(AnyArray, AnyArray._exposed_);

/** A proxy of an array of numbers; Python's `managers.ArrayProxy`. */
export type ArrayProxy<T extends number | bigint = number> = AnyArray<T> & Twins<ArrayMethods<T>>;

/** @internal */
export interface ArrayProxyClass {
  new <T extends number | bigint = number>(...args: ProxyArguments): ArrayProxy<T>;
  readonly prototype: ArrayProxy;
  readonly _exposed_: readonly string[];
}
export const ArrayProxy = named('ArrayProxy', AnyArray) as unknown as ArrayProxyClass;

/** A proxy of an iterator; Python's `managers.IteratorProxy`. */
export class IteratorProxy<T = unknown> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['__next__', 'send', 'throw', 'close'];

  async next(...sent: unknown[]): Promise<IteratorResult<T, unknown>> {
    return stepOf(() => this._callmethod('__next__', sent) as Promise<T>);
  }

  /** The blocking twin of `next`. */
  nextSync(...sent: unknown[]): IteratorResult<T, unknown> {
    try {
      return { done: false, value: this._callmethodSync('__next__', sent) as T };
    } catch (error) {
      if (error instanceof StopIteration) return { done: true, value: error.value };
      throw error;
    }
  }

  async return(value?: unknown): Promise<IteratorResult<T, unknown>> {
    await this._callmethod('close');
    return { done: true, value };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

async function stepOf<T>(next: () => Promise<T>): Promise<IteratorResult<T, unknown>> {
  try {
    return { done: false, value: await next() };
  } catch (error) {
    if (error instanceof StopIteration) return { done: true, value: error.value };
    throw error;
  }
}

/** The methods of a result that a shared pool has, as they block. */
export interface AsyncResultMethods<T> {
  /** @param timeout seconds @throws what the function has thrown, TimeoutError */
  get(timeout?: number): T;
  ready(): boolean;
  successful(): boolean;
  wait(timeout?: number): void;
}

class AnyAsyncResult<T> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['get', 'ready', 'successful', 'wait'];
  declare protected readonly _result: T;
}

defineMethods(AnyAsyncResult, AnyAsyncResult._exposed_);

/** A proxy of a result that is not there yet. */
export type AsyncResultProxy<T = unknown> = AnyAsyncResult<T> & Twins<AsyncResultMethods<T>>;

/** @internal */
export interface AsyncResultProxyClass {
  new <T = unknown>(...args: ProxyArguments): AsyncResultProxy<T>;
  readonly prototype: AsyncResultProxy;
  readonly _exposed_: readonly string[];
}
export const AsyncResultProxy = named(
  'AsyncResultProxy',
  AnyAsyncResult,
) as unknown as AsyncResultProxyClass;

// biome-ignore lint/suspicious/noExplicitAny: what a function takes is its own matter
type Fn = (...args: any[]) => unknown;

/** The methods of a shared pool, as they block. Functions are called in processes of the manager. */
export interface PoolMethods {
  close(): void;
  join(): void;
  terminate(): void;
}

class AnyPool extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    'apply',
    'apply_async',
    'close',
    'imap',
    'imap_unordered',
    'join',
    'map',
    'map_async',
    'starmap',
    'starmap_async',
    'terminate',
  ];
  static override readonly _methodToTypeid_ = {
    apply_async: 'AsyncResult',
    map_async: 'AsyncResult',
    starmap_async: 'AsyncResult',
    imap: 'Iterator',
    imap_unordered: 'Iterator',
  };

  /** Python's `apply`. */
  async apply<F extends Fn>(
    func: F,
    args: readonly unknown[] = [],
    kwds?: object,
  ): Promise<Awaited<ReturnType<F>>> {
    return (await this._callmethod('apply', applyArguments(func, args, kwds))) as Awaited<
      ReturnType<F>
    >;
  }

  /** The blocking twin of `apply`. */
  applySync<F extends Fn>(
    func: F,
    args: readonly unknown[] = [],
    kwds?: object,
  ): Awaited<ReturnType<F>> {
    return this._callmethodSync('apply', applyArguments(func, args, kwds)) as Awaited<
      ReturnType<F>
    >;
  }

  /** Python's `apply_async`. */
  async applyAsync<F extends Fn>(
    func: F,
    args: readonly unknown[] = [],
    kwds?: object,
  ): Promise<AsyncResultProxy<Awaited<ReturnType<F>>>> {
    return (await this._callmethod(
      'apply_async',
      applyArguments(func, args, kwds),
    )) as AsyncResultProxy<Awaited<ReturnType<F>>>;
  }

  async map<T, R>(
    func: (item: T) => R,
    items: Iterable<T>,
    options?: object,
  ): Promise<Awaited<R>[]> {
    return (await this._callmethod('map', mapArguments(func, items, options))) as Awaited<R>[];
  }

  /** The blocking twin of `map`. */
  mapSync<T, R>(func: (item: T) => R, items: Iterable<T>, options?: object): Awaited<R>[] {
    return this._callmethodSync('map', mapArguments(func, items, options)) as Awaited<R>[];
  }

  /** Python's `map_async`. */
  async mapAsync<T, R>(
    func: (item: T) => R,
    items: Iterable<T>,
    options?: object,
  ): Promise<AsyncResultProxy<Awaited<R>[]>> {
    const args = mapArguments(func, items, options);
    return (await this._callmethod('map_async', args)) as AsyncResultProxy<Awaited<R>[]>;
  }

  async starmap<A extends readonly unknown[], R>(
    func: (...args: A) => R,
    items: Iterable<A>,
    options?: object,
  ): Promise<Awaited<R>[]> {
    return (await this._callmethod('starmap', mapArguments(func, items, options))) as Awaited<R>[];
  }

  /** The blocking twin of `starmap`. */
  starmapSync<A extends readonly unknown[], R>(
    func: (...args: A) => R,
    items: Iterable<A>,
  ): Awaited<R>[] {
    return this._callmethodSync('starmap', mapArguments(func, items, undefined)) as Awaited<R>[];
  }

  /** Python's `imap`: the results one by one, in their order. */
  async imap<T, R>(
    func: (item: T) => R,
    items: Iterable<T>,
    options?: object,
  ): Promise<IteratorProxy<Awaited<R>>> {
    const args = mapArguments(func, items, options);
    return (await this._callmethod('imap', args)) as IteratorProxy<Awaited<R>>;
  }

  /** Python's `imap_unordered`: the results as they come. */
  async imapUnordered<T, R>(
    func: (item: T) => R,
    items: Iterable<T>,
    options?: object,
  ): Promise<IteratorProxy<Awaited<R>>> {
    const args = mapArguments(func, items, options);
    return (await this._callmethod('imap_unordered', args)) as IteratorProxy<Awaited<R>>;
  }

  /** Leaving Python's `with` terminates. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this._callmethod('terminate');
  }
}

function applyArguments(
  func: unknown,
  args: readonly unknown[],
  kwds: object | undefined,
): unknown[] {
  return kwds === undefined ? [func, args] : [func, args, kwds];
}

function mapArguments(
  func: unknown,
  items: Iterable<unknown>,
  options: object | undefined,
): unknown[] {
  return options === undefined ? [func, [...items]] : [func, [...items], options];
}

defineMethods(AnyPool, AnyPool._exposed_);

/** A proxy of a pool; Python's `managers.PoolProxy`. */
export type PoolProxy = AnyPool & Twins<PoolMethods>;
export const PoolProxy = named('PoolProxy', AnyPool) as unknown as ProxyClass<PoolProxy>;

sharedTypes.set('Iterator', IteratorProxy);
sharedTypes.set('AsyncResult', AsyncResultProxy as never);

nameExports(import.meta.url, {
  AcquirerProxy,
  ConditionProxy,
  NamespaceProxy,
  ValueProxy,
  IteratorProxy,
  EventProxy: EventProxy as never,
  BarrierProxy: BarrierProxy as never,
  QueueProxy: QueueProxy as never,
  ArrayProxy: ArrayProxy as never,
  AsyncResultProxy: AsyncResultProxy as never,
  PoolProxy: PoolProxy as never,
});
