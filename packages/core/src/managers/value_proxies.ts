/**
 * The proxies of values: `NamespaceProxy`, `ValueProxy`, `ArrayProxy`, `IteratorProxy` of multiprocessing/managers.py.
 * Deviations: D-144.
 */
import { nameExports } from '../base/names.ts';
import type { Slice } from '../python_pickle/numbers.ts';
import { StopIteration } from './errors.ts';
import {
  defineMethods,
  NEVER_BLOCKS,
  named,
  type ProxyArguments,
  type Twins,
} from './make_proxy.ts';
import { BaseProxy, sharedTypes } from './proxy.ts';
import { asyncNamespaceView, namespaceView } from './views.ts';

/** A proxy of a namespace; Python's `managers.NamespaceProxy`. */
export class NamespaceProxy<T extends object = Record<string, unknown>> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    '__getattribute__',
    '__setattr__',
    '__delattr__',
  ];
  static override readonly _mayBlock = NEVER_BLOCKS;

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
  static override readonly _mayBlock = NEVER_BLOCKS;

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
  static override readonly _mayBlock = NEVER_BLOCKS;

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

sharedTypes.set('Iterator', IteratorProxy);

nameExports(import.meta.url, {
  NamespaceProxy,
  ValueProxy,
  IteratorProxy,
  ArrayProxy: ArrayProxy as never,
});
