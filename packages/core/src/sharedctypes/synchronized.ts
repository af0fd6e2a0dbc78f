/**
 * The wrappers of multiprocessing/sharedctypes.py that hold a lock while they read or write.
 * Deviations: D-064.
 */
import { inspect } from 'node:util';
import { assert, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { assertSpawning } from '../process/spawning.ts';
import { CharArray } from './char_arrays.ts';
import { convertItems, type ScalarType, type TypedArray, typeOfElements } from './ctypes.ts';
import { type Indexed, indexing } from './indexed.ts';
import { outOfRange, SimpleData, StructureArray } from './simple_data.ts';
import { layoutOf, Structure } from './structure.ts';

/** What a shared object needs of its lock. */
export interface SharedLock {
  acquire(block?: boolean, timeout?: number): Promise<boolean>;
  acquireSync(block?: boolean, timeout?: number): boolean;
  release(): void;
  guard(): Promise<AsyncDisposable>;
  guardSync(): Disposable;
}

/** What shared objects need of a context. */
export interface LockContext {
  RLock(): SharedLock;
}

/** @throws TypeError unless it can be acquired and released @internal */
export function checkLock(lock: unknown): asserts lock is SharedLock {
  const methods = Object(lock) as Record<string, unknown>;
  for (const name of ['acquire', 'acquireSync', 'release']) {
    if (typeof methods[name] !== 'function') {
      throw typeError(`lock ${inspect(lock)} has no method '${name}'`);
    }
  }
}

/** An object in shared memory and its lock; Python's `SynchronizedBase`. */
export class SynchronizedBase<T extends object = object> {
  /** @internal */ readonly _obj: T;
  /** @internal */ readonly _lock: SharedLock;

  /** @internal */
  constructor(obj: T, lock: SharedLock) {
    this._obj = obj;
    this._lock = lock;
  }

  /** The lock's own. @param timeout seconds @returns whether it was acquired */
  acquire(block?: boolean, timeout?: number): Promise<boolean> {
    return this._lock.acquire(block, timeout);
  }

  /** The blocking twin of `acquire`. */
  acquireSync(block?: boolean, timeout?: number): boolean {
    return this._lock.acquireSync(block, timeout);
  }

  /** The lock's own. */
  release(): void {
    this._lock.release();
  }

  /** `await using _ = await obj.guard()`: holds the lock to the end of the block. */
  guard(): Promise<AsyncDisposable> {
    return this._lock.guard();
  }

  /** `using _ = obj.guardSync()`: holds the lock to the end of the block. */
  guardSync(): Disposable {
    return this._lock.guardSync();
  }

  /** The object without its lock; Python's `get_obj`. */
  getObj(): T {
    return this._obj;
  }

  /** Python's `get_lock`. */
  getLock(): SharedLock {
    return this._lock;
  }

  /** Calls f while it holds the lock. @internal */
  _locked<R>(f: () => R): R {
    this._lock.acquireSync();
    try {
      return f();
    } finally {
      this._lock.release();
    }
  }

  /** How it is pickled. @throws RuntimeError unless a child is being launched */
  [reduceSymbol](): [(obj: never) => unknown, [T, SharedLock]] {
    assertSpawning(this);
    return [synchronized, [this._obj, this._lock]];
  }

  toString(): string {
    return `<${this.constructor.name} wrapper for ${describe(this._obj)}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

Object.setPrototypeOf(SynchronizedBase.prototype, indexing);

function describe(obj: object): string {
  if (!ArrayBuffer.isView(obj)) return String(obj);
  return `${typeOfElements(obj as TypedArray)?.name}_Array_${(obj as TypedArray).length}`;
}

/** Has a property of the object read and written under the lock; Python's `make_property`. */
function makeProperty(cls: typeof SynchronizedBase<never>, name: string): void {
  Object.defineProperty(cls.prototype, name, {
    get(this: SynchronizedBase<Record<string, unknown>>) {
      return this._locked(() => this._obj[name]);
    },
    set(this: SynchronizedBase<Record<string, unknown>>, value: unknown) {
      this._locked(() => {
        this._obj[name] = value;
      });
    },
    configurable: true,
  });
}

/** One value; Python's `Synchronized`. */
export class Synchronized<V = unknown> extends SynchronizedBase<SimpleData<V>> {
  // Not by makeProperty: this is what programs do most, and a closure for each access would cost as much as the access.
  /** Read and written under the lock; `v.value += 1` is one of each: hold the lock yourself. */
  get value(): V {
    this._lock.acquireSync();
    try {
      return this._obj.value;
    } finally {
      this._lock.release();
    }
  }

  set value(value: V) {
    this._lock.acquireSync();
    try {
      this._obj.value = value;
    } finally {
      this._lock.release();
    }
  }
}

type Items = TypedArray | StructureArray;
type Element<A> = A extends BigInt64Array | BigUint64Array
  ? bigint
  : A extends StructureArray<infer I>
    ? I
    : number;

type Slice<A> = A extends CharArray ? Buffer : Element<A>[];

function typeOf(array: TypedArray): ScalarType {
  return typeOfElements(array) as ScalarType;
}

/** An array, each access to which holds the lock; Python's `SynchronizedArray`. */
export class SynchronizedArray<A extends Items = Items>
  extends SynchronizedBase<A>
  implements Iterable<Element<A>>, Indexed
{
  [index: number]: Element<A>;

  get length(): number {
    return this._obj.length;
  }

  /** @internal */
  _get(index: number): Element<A> | undefined {
    return this._locked(() => this._obj[index]) as Element<A> | undefined;
  }

  /** @throws ValueError for an index beyond the array, TypeError for a wrong value @internal */
  _set(index: number, value: unknown): void {
    if (index < 0 || index >= this.length) throw outOfRange(index, this.length);
    const obj: Items = this._obj;
    const stored =
      obj instanceof StructureArray ? value : typeOf(obj).convert(value, `[${index}]: `);
    this._locked(() => {
      (obj as { [index: number]: unknown })[index] = stored;
    });
  }

  /**
   * A copy of a part, of characters as bytes; Python's `a[begin:end]`.
   * @param begin an index; a negative one counts from the end
   * @param end the index behind the last; the end, without
   */
  slice(begin?: number, end?: number): Slice<A> {
    const obj: Items = this._obj;
    return this._locked(() => {
      if (obj instanceof CharArray) return Buffer.from(obj.subarray(begin, end));
      return obj instanceof StructureArray
        ? [...obj].slice(begin, end)
        : Array.from<number | bigint>(obj.subarray(begin, end));
    }) as Slice<A>;
  }

  /**
   * Writes several elements while it holds the lock; Python's `a[offset:offset + n] = items`.
   * @param items numbers, or whatever the elements are
   * @param offset an index
   * @throws ValueError if they do not fit, TypeError for a wrong value
   */
  set(items: Iterable<unknown>, offset = 0): void {
    const obj: Items = this._obj;
    const values: ArrayLike<unknown> =
      obj instanceof StructureArray ? Array.from(items) : convertItems(typeOf(obj), items, offset);
    const { length } = values;
    if (!Number.isInteger(offset) || offset < 0 || offset + length > this.length) {
      throw new ValueError(
        `offset: ${length} items do not fit at ${inspect(offset)} of ${this.length} elements`,
      );
    }
    this._locked(() => {
      if (!(obj instanceof StructureArray)) obj.set(values as ArrayLike<never>, offset);
      else for (let i = 0; i < length; i++) obj._set(offset + i, values[i]);
    });
  }

  /** Each element is read under the lock; others may write between two. */
  *[Symbol.iterator](): Iterator<Element<A>> {
    for (let i = 0; i < this.length; i++) yield this._get(i) as Element<A>;
  }
}

/** Bytes that can be used as one string; Python's `SynchronizedString`. */
export class SynchronizedString extends SynchronizedArray<CharArray> {
  /** The bytes up to the first NUL. */
  declare value: Uint8Array;
  /** All bytes. */
  declare raw: Uint8Array;
}
for (const name of ['value', 'raw']) {
  makeProperty(SynchronizedString as unknown as typeof SynchronizedBase<never>, name);
}

/** The wrapper of a raw object. */
export type SynchronizedOf<O> =
  O extends SimpleData<infer V>
    ? Synchronized<V>
    : O extends CharArray
      ? SynchronizedString
      : O extends Structure
        ? SynchronizedBase<O> & Omit<O, keyof Structure>
        : O extends Items
          ? SynchronizedArray<O>
          : SynchronizedBase;

/** The wrappers of structures, by their class. */
const classCache = new WeakMap<object, typeof SynchronizedBase<Structure>>();

function structureWrapper(cls: { readonly name: string }): typeof SynchronizedBase<Structure> {
  const known = classCache.get(cls);
  if (known !== undefined) return known;
  const wrapper = class extends SynchronizedBase<Structure> {};
  Object.defineProperty(wrapper, 'name', { value: `Synchronized${cls.name}` });
  for (const { name } of layoutOf(cls) ?? []) {
    if (name in SynchronizedBase.prototype || name === '_obj' || name === '_lock') {
      throw new ValueError(
        `${cls.name} has a field '${name}', which is a method of its wrapper: use { lock: false }`,
      );
    }
    makeProperty(wrapper as unknown as typeof SynchronizedBase<never>, name);
  }
  classCache.set(cls, wrapper);
  return wrapper;
}

/**
 * Wraps an object of `RawValue` or `RawArray`; Python's `synchronized`.
 * @param lock a lock; a new RLock of the context, without
 * @param ctx makes the lock
 * @throws AssertionError for an object that is wrapped already, TypeError for anything else that is neither
 */
export function synchronized<O extends object>(
  obj: O,
  lock?: SharedLock,
  ctx?: LockContext,
): SynchronizedOf<O>;
export function synchronized(obj: unknown, lock?: unknown, ctx?: LockContext): unknown {
  assert(!(obj instanceof SynchronizedBase), 'object already synchronized');
  const use = (): SharedLock => {
    const used = lock ?? ctx?.RLock();
    if (used === undefined) throw typeError('synchronized: give a lock, or a ctx to make one');
    checkLock(used);
    return used;
  };
  if (obj instanceof SimpleData) return new Synchronized(obj, use());
  if (obj instanceof CharArray) return new SynchronizedString(obj, use());
  if (obj instanceof Structure) return new (structureWrapper(obj.constructor))(obj, use());
  if (obj instanceof StructureArray) return new SynchronizedArray(obj, use());
  if (ArrayBuffer.isView(obj) && typeOfElements(obj as TypedArray) !== undefined) {
    return new SynchronizedArray(obj as TypedArray, use());
  }
  throw typeError(`obj must be a RawValue or a RawArray, not ${inspect(obj)}`);
}

nameExports(import.meta.url, { synchronized });
