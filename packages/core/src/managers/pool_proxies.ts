/**
 * The proxies of a pool and of its results: `PoolProxy` of multiprocessing/managers.py. Deviations: D-144.
 */
import { nameExports } from '../base/names.ts';
import {
  defineMethods,
  named,
  type ProxyArguments,
  type ProxyClass,
  type Twins,
} from './make_proxy.ts';
import { BaseProxy, sharedTypes } from './proxy.ts';
import type { IteratorProxy } from './value_proxies.ts';

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

sharedTypes.set('AsyncResult', AsyncResultProxy as never);

nameExports(import.meta.url, {
  AsyncResultProxy: AsyncResultProxy as never,
  PoolProxy: PoolProxy as never,
});
