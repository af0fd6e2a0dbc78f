/**
 * The proxy of a list: `ListProxy` of multiprocessing/managers.py.
 * Deviations: D-144, D-146.
 */
import { nameExports } from '../base/names.ts';
import type { Slice } from '../python_pickle/numbers.ts';
import {
  defineMethods,
  NEVER_BLOCKS,
  named,
  type ProxyArguments,
  type Twins,
} from './make_proxy.ts';
import { BaseProxy } from './proxy.ts';
import { type AsyncList, asyncListView, listView } from './views.ts';

/** How a list is sorted. */
export interface SortOptions<T> {
  /** What an item is sorted by: a function that is exported, for it is called at the manager. */
  key?: ((item: T) => unknown) | undefined;
  reverse?: boolean | undefined;
}

/** The methods of a shared list, as they block; the proxy has them as promises, and with `Sync` behind their names like this. */
export interface ListMethods<T> {
  /** Python's `list + other`: a copy. */
  add(other: Iterable<T>): T[];
  append(value: T): void;
  clear(): void;
  /** Python's `value in list`. */
  contains(value: T): boolean;
  copy(): T[];
  count(value: T): number;
  /** Python's `del list[index]`. @throws RangeError (IndexError) */
  delItem(index: number | Slice): void;
  extend(values: Iterable<T>): void;
  /** @throws ValueError when it is not there */
  index(value: T, start?: number, stop?: number): number;
  insert(index: number, value: T): void;
  /** Python's `len(list)`. */
  len(): number;
  /** Python's `list * times`: a copy. */
  mul(times: number): T[];
  /** @throws RangeError (IndexError) */
  pop(index?: number): T;
  /** @throws ValueError when it is not there */
  remove(value: T): void;
  reverse(): void;
  /** A copy in the other order. */
  reversed(): T[];
  rmul(times: number): T[];
}

/** The methods with two forms. */
export interface ListItems<T> {
  /** Python's `list[index]`; negative from the end. @throws RangeError (IndexError) */
  getItem(index: number): Promise<T>;
  getItem(index: Slice): Promise<T[]>;
  /** Python's `list[index] = value`. @throws RangeError (IndexError) */
  setItem(index: number, value: T): Promise<void>;
  setItem(index: Slice, values: Iterable<T>): Promise<void>;
  getItemSync(index: number): T;
  getItemSync(index: Slice): T[];
  setItemSync(index: number, value: T): void;
  setItemSync(index: Slice, values: Iterable<T>): void;
}

const LIST = [
  '__add__',
  '__contains__',
  '__delitem__',
  '__getitem__',
  '__imul__',
  '__len__',
  '__mul__',
  '__reversed__',
  '__rmul__',
  '__setitem__',
  'append',
  'clear',
  'copy',
  'count',
  'extend',
  'index',
  'insert',
  'pop',
  'remove',
  'reverse',
  'sort',
];

class AnyList<T> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = LIST;
  static override readonly _mayBlock = NEVER_BLOCKS;

  /** Python's `list += values`. @returns the proxy */
  async iadd(values: Iterable<T>): Promise<this> {
    await this._callmethod('extend', [values]);
    return this;
  }

  /** The blocking twin of `iadd`. */
  iaddSync(values: Iterable<T>): this {
    this._callmethodSync('extend', [values]);
    return this;
  }

  /** Python's `list *= times`. @returns the proxy */
  async imul(times: number): Promise<this> {
    await this._callmethod('__imul__', [times]);
    return this;
  }

  /** The blocking twin of `imul`. */
  imulSync(times: number): this {
    this._callmethodSync('__imul__', [times]);
    return this;
  }

  /** Sorts it in place. @throws TypeError for what has no order */
  async sort(options: SortOptions<T> = {}): Promise<void> {
    await this._callmethod('sort', [], given(options));
  }

  /** The blocking twin of `sort`. */
  sortSync(options: SortOptions<T> = {}): void {
    this._callmethodSync('sort', [], given(options));
  }

  /** The items as they are at the first step. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    yield* (await this._getvalue()) as T[];
  }

  /** The same list, written as one: `list.sync[0]`, `list.sync.length`, `[...list.sync]`. Each of it blocks for an answer. */
  get sync(): T[] {
    return listView<T>(this);
  }

  /** The same for who awaits: `await list.async[0]`. */
  get async(): AsyncList<T> {
    return asyncListView<T>(this);
  }
}

defineMethods(AnyList, LIST);

function given(options: object): object | undefined {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** A proxy of a list; Python's `managers.ListProxy`. */
export type ListProxy<T = unknown> = AnyList<T> & ListItems<T> & Twins<ListMethods<T>>;

/** @internal */
export interface ListProxyClass {
  new <T = unknown>(...args: ProxyArguments): ListProxy<T>;
  readonly prototype: ListProxy;
  readonly _exposed_: readonly string[];
}

export const ListProxy = named('ListProxy', AnyList) as unknown as ListProxyClass;

nameExports(import.meta.url, { ListProxy: ListProxy as never });
