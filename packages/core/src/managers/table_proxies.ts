/**
 * The proxies of dicts and sets: `DictProxy` of multiprocessing/managers.py, `SetProxy` of 3.14. Deviations: D-144, D-146.
 */
import { nameExports } from '../base/names.ts';
import {
  defineMethods,
  NEVER_BLOCKS,
  named,
  type ProxyArguments,
  type Twins,
} from './make_proxy.ts';
import { BaseProxy } from './proxy.ts';
import { type AsyncRecord, asyncDictView, dictView } from './views.ts';

/** What a dict is made of. */
export type Items<K, V> =
  | Iterable<readonly [K, V]>
  | (K extends string ? Readonly<Record<string, V>> : never);

/** The methods of a shared dict, as they block; the proxy has them as promises, and with `Sync` behind their names like this. */
export interface DictMethods<K, V> {
  clear(): void;
  /** Python's `key in dict`. */
  contains(key: K): boolean;
  /** Python's `del dict[key]`. @throws KeyError */
  delItem(key: K): void;
  /** The value, or what is given in its place. */
  get(key: K, otherwise?: V): V | undefined;
  /** Python's `dict[key]`. @throws KeyError */
  getItem(key: K): V;
  /** Python's `dict |= other`. */
  ior(other: Items<K, V>): void;
  items(): [K, V][];
  keys(): K[];
  /** Python's `len(dict)`. */
  len(): number;
  /** Takes a value out. @throws KeyError, without a second argument */
  pop(key: K, otherwise?: V): V;
  /** Takes the last one out. @throws KeyError when it is empty */
  popitem(): [K, V];
  /** The keys, from the last one on. */
  reversed(): K[];
  setdefault(key: K, value?: V): V;
  /** Python's `dict[key] = value`. */
  setItem(key: K, value: V): void;
  update(items: Items<K, V>): void;
  values(): V[];
}

const DICT = [
  '__contains__',
  '__delitem__',
  '__getitem__',
  '__ior__',
  '__iter__',
  '__len__',
  '__or__',
  '__reversed__',
  '__ror__',
  '__setitem__',
  'clear',
  'copy',
  'fromkeys',
  'get',
  'items',
  'keys',
  'pop',
  'popitem',
  'setdefault',
  'update',
  'values',
];

class AnyDict<K, V> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = DICT;
  static override readonly _methodToTypeid_ = { __iter__: 'Iterator' };
  static override readonly _mayBlock = NEVER_BLOCKS;

  /** A copy. */
  async copy(): Promise<Map<K, V>> {
    return mapOf(await this._callmethod('copy'));
  }

  /** The blocking twin of `copy`. */
  copySync(): Map<K, V> {
    return mapOf(this._callmethodSync('copy'));
  }

  /** Makes a dict with these keys, and changes nothing. */
  async fromkeys<A, B>(keys: Iterable<A>, value?: B): Promise<Map<A, B>> {
    return mapOf(await this._callmethod('fromkeys', [[...keys], value]));
  }

  /** The blocking twin of `fromkeys`. */
  fromkeysSync<A, B>(keys: Iterable<A>, value?: B): Map<A, B> {
    return mapOf(this._callmethodSync('fromkeys', [[...keys], value]));
  }

  /** Python's `dict | other`: a copy. */
  async or(other: Items<K, V>): Promise<Map<K, V>> {
    return mapOf(await this._callmethod('__or__', [other]));
  }

  /** The blocking twin of `or`. */
  orSync(other: Items<K, V>): Map<K, V> {
    return mapOf(this._callmethodSync('__or__', [other]));
  }

  /** Python's `other | dict`: a copy. */
  async ror(other: Items<K, V>): Promise<Map<K, V>> {
    return mapOf(await this._callmethod('__ror__', [other]));
  }

  /** The blocking twin of `ror`. */
  rorSync(other: Items<K, V>): Map<K, V> {
    return mapOf(this._callmethodSync('__ror__', [other]));
  }

  override async _getvalue(): Promise<Map<K, V>> {
    return mapOf(await super._getvalue());
  }

  override _getvalueSync(): Map<K, V> {
    return mapOf(super._getvalueSync());
  }

  /** The keys as they are at the first step, as Python iterates over a dict. */
  async *[Symbol.asyncIterator](): AsyncGenerator<K, void> {
    yield* (await this._callmethod('keys')) as K[];
  }

  /** The same dict, written as an object: `d.sync.key = 1`, `delete d.sync.key`, `'key' in d.sync`. Each of it blocks for an answer. */
  get sync(): Record<K & string, V> {
    return dictView(this) as Record<K & string, V>;
  }

  /** The same for who awaits: `await d.async.key`. */
  get async(): AsyncRecord<V> {
    return asyncDictView(this) as AsyncRecord<V>;
  }
}

defineMethods(AnyDict, DICT);

/** From a CPython manager a dict with texts for keys comes as an object. */
function mapOf<K, V>(value: unknown): Map<K, V> {
  if (value instanceof Map) return value;
  return new Map(Object.entries(value as object)) as unknown as Map<K, V>;
}

/** A proxy of a dict; Python's `managers.DictProxy`. */
export type DictProxy<K = unknown, V = unknown> = AnyDict<K, V> & Twins<DictMethods<K, V>>;

/** @internal */
export interface DictProxyClass {
  new <K = unknown, V = unknown>(...args: ProxyArguments): DictProxy<K, V>;
  readonly prototype: DictProxy;
  readonly _exposed_: readonly string[];
}

export const DictProxy = named('DictProxy', AnyDict) as unknown as DictProxyClass;

//
// Sets
//

/** The methods of a shared set, as they block; the proxy has them as promises, and with `Sync` behind their names like this. */
export interface SetMethods<T> {
  add(item: T): void;
  /** Python's `set & other`: a copy. */
  and(other: Iterable<T>): Set<T>;
  clear(): void;
  /** Python's `item in set`. */
  contains(item: T): boolean;
  copy(): Set<T>;
  difference(...others: Iterable<T>[]): Set<T>;
  differenceUpdate(...others: Iterable<T>[]): void;
  discard(item: T): void;
  iand(other: Iterable<T>): void;
  intersection(...others: Iterable<T>[]): Set<T>;
  intersectionUpdate(...others: Iterable<T>[]): void;
  ior(other: Iterable<T>): void;
  isdisjoint(other: Iterable<T>): boolean;
  issubset(other: Iterable<T>): boolean;
  issuperset(other: Iterable<T>): boolean;
  isub(other: Iterable<T>): void;
  ixor(other: Iterable<T>): void;
  /** Python's `len(set)`. */
  len(): number;
  /** Python's `set | other`: a copy. */
  or(other: Iterable<T>): Set<T>;
  /** Takes one out. @throws KeyError when it is empty */
  pop(): T;
  /** @throws KeyError when it is not there */
  remove(item: T): void;
  /** Python's `set - other`: a copy. */
  sub(other: Iterable<T>): Set<T>;
  symmetricDifference(other: Iterable<T>): Set<T>;
  symmetricDifferenceUpdate(other: Iterable<T>): void;
  union(...others: Iterable<T>[]): Set<T>;
  update(...others: Iterable<T>[]): void;
  /** Python's `set ^ other`: a copy. */
  xor(other: Iterable<T>): Set<T>;
}

const SET = [
  '__and__',
  '__contains__',
  '__iand__',
  '__ior__',
  '__isub__',
  '__iter__',
  '__ixor__',
  '__len__',
  '__or__',
  '__rand__',
  '__ror__',
  '__rsub__',
  '__rxor__',
  '__sub__',
  '__xor__',
  'add',
  'clear',
  'copy',
  'difference',
  'difference_update',
  'discard',
  'intersection',
  'intersection_update',
  'isdisjoint',
  'issubset',
  'issuperset',
  'pop',
  'remove',
  'symmetric_difference',
  'symmetric_difference_update',
  'union',
  'update',
];

class AnySet<T> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = SET;
  static override readonly _methodToTypeid_ = { __iter__: 'Iterator' };
  static override readonly _mayBlock = NEVER_BLOCKS;

  /** The elements as they are at the first step. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    yield* (await this._callmethod('copy')) as Set<T>;
  }
}

defineMethods(AnySet, SET);

/** A proxy of a set; `managers.SetProxy` of Python 3.14. */
export type SetProxy<T = unknown> = AnySet<T> & Twins<SetMethods<T>>;

/** @internal */
export interface SetProxyClass {
  new <T = unknown>(...args: ProxyArguments): SetProxy<T>;
  readonly prototype: SetProxy;
  readonly _exposed_: readonly string[];
}

export const SetProxy = named('SetProxy', AnySet) as unknown as SetProxyClass;

nameExports(import.meta.url, { DictProxy: DictProxy as never, SetProxy: SetProxy as never });
