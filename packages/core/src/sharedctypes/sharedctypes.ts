/**
 * Counterpart of multiprocessing/sharedctypes.py: values, arrays and structures in shared memory, with a lock or
 * without. Deviations: D-061, D-062, D-063, D-064.
 *
 *     char_arrays.ts   arrays of characters, as one string
 *     ctypes.ts        C's scalar types
 *     indexed.ts       `a[i]` for classes that keep their elements elsewhere
 *     simple_data.ts   one value, and an array of structures
 *     structure.ts     structures in C's layout
 *     synchronized.ts  the wrappers with a lock
 */
import { inspect } from 'node:util';
import { checkOptions, checkSize } from '../base/arguments.ts';
import { typeError } from '../base/errors.ts';
import { BufferWrapper } from '../heap/heap.ts';
import {
  convertItems,
  scalarType,
  type Typecode,
  type TypecodeMap,
  type TypedArray,
  typeOfElements,
  unknownType,
} from './ctypes.ts';
import { SimpleData, StructureArray } from './simple_data.ts';
import {
  copyBytes,
  fill,
  isStructureClass,
  Structure,
  type StructureClass,
  structureAt,
} from './structure.ts';
import {
  checkLock,
  type LockContext,
  type SharedLock,
  SynchronizedBase,
  type SynchronizedOf,
  synchronized,
} from './synchronized.ts';

export { CharArray, WideCharArray } from './char_arrays.ts';
export type { Typecode, TypecodeMap } from './ctypes.ts';
export { SimpleData, StructureArray } from './simple_data.ts';
export { type Fields, Struct, Structure, type StructureClass } from './structure.ts';
export {
  type LockContext,
  type SharedLock,
  Synchronized,
  SynchronizedArray,
  SynchronizedBase,
  SynchronizedString,
  synchronized,
} from './synchronized.ts';

//
// Types
//

type TypedArrayClass =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor;

/** A type code, the name or class of a typed array, or a class made by `Struct()`. */
export type CType = Typecode | TypedArrayClass | StructureClass;

/** The name of a typed array's class, which is one of the type codes. */
type CodeOf<T> = T extends { readonly prototype: { readonly [Symbol.toStringTag]: infer N } }
  ? N
  : T;
type Of<T, K extends 'value' | 'input' | 'array'> =
  CodeOf<T> extends infer C extends Typecode ? TypecodeMap[C][K] : never;
type InitOf<T> = T extends new (init?: infer Init) => infer I ? Init | I : never;

/** What a value can be made of. */
export type Initial<T extends CType> = T extends StructureClass ? InitOf<T> : Of<T, 'input'>;
/** What RawValue makes. */
export type RawValueOf<T extends CType> =
  T extends StructureClass<infer I> ? I : SimpleData<Of<T, 'value'>>;
/** What RawArray makes. */
export type RawArrayOf<T extends CType> =
  T extends StructureClass<infer I> ? StructureArray<I> : Of<T, 'array'>;

/** What Value makes. */
export type ValueOf<T extends CType> = SynchronizedOf<RawValueOf<T>>;
/** What Array makes. */
export type ArrayOf<T extends CType> = SynchronizedOf<RawArrayOf<T>>;

/** true and undefined: an RLock of the context; false: none. */
export type LockOption = boolean | SharedLock | null | undefined;

/** The last argument of Value and Array. */
export interface SharedOptions<L extends LockOption> {
  /** The lock; the default is a new RLock. */
  readonly lock?: L;
  /** The context that makes the RLock. */
  readonly ctx?: LockContext | undefined;
}

//
// Raw objects
//

/** A piece of shared memory of its own. */
function allocate(size: number): DataView<ArrayBuffer> {
  return new DataView(new BufferWrapper(size).buffer);
}

/**
 * A value or structure in shared memory without a lock; Python's `RawValue`. Zeros, without an initial value.
 * @param typecode a type code, the name or class of a typed array, or a class made by `Struct()`
 * @param initial of a structure: fields by name, or a list of the first ones
 * @throws TypeError for an unknown type or a value of the wrong type; integers wrap as in C
 */
export function RawValue<T extends CType>(typecode: T, initial?: Initial<T>): RawValueOf<T>;
export function RawValue(typecode: unknown, initial?: unknown): unknown {
  if (isStructureClass(typecode)) {
    const object = structureAt(typecode, allocate(typecode.size));
    fill(object, initial);
    return object;
  }
  const type = scalarType(typecode);
  if (type === undefined) throw unknownType(typecode);
  if (initial !== undefined) type.convert(initial);
  const value = new SimpleData(type, allocate(type.size));
  if (initial !== undefined) value.value = initial;
  return value;
}

/**
 * An array in shared memory without a lock: a typed array itself, for characters a `CharArray` or `WideCharArray`,
 * for structures a `StructureArray`. Python's `RawArray`.
 * @param typecode a type code, the name or class of a typed array, or a class made by `Struct()`
 * @param sizeOrItems the number of elements, which are zeros, or the elements
 * @throws TypeError for an unknown type or an element of the wrong type, ValueError for a negative size, OSError ENOMEM
 */
export function RawArray<T extends CType>(
  typecode: T,
  sizeOrItems: number | Iterable<Initial<T>>,
): RawArrayOf<T>;
export function RawArray(typecode: unknown, sizeOrItems: unknown): unknown {
  if (isStructureClass(typecode)) {
    const items = typeof sizeOrItems === 'number' ? undefined : [...checkItems(sizeOrItems)];
    const length = items?.length ?? sizeOrItems;
    checkSize(length);
    const array = new StructureArray(typecode, allocate(length * typecode.size), length);
    for (const [i, item] of (items ?? []).entries()) array._set(i, item);
    return array;
  }
  const type = scalarType(typecode);
  if (type === undefined) throw unknownType(typecode);
  const items =
    typeof sizeOrItems === 'number' ? undefined : convertItems(type, checkItems(sizeOrItems));
  const length = items?.length ?? sizeOrItems;
  checkSize(length);
  const { buffer } = new BufferWrapper(length * type.size);
  const array = new type.arrayClass(buffer, 0, length);
  if (items !== undefined) array.set(items);
  return array;
}

function checkItems(items: unknown): Iterable<unknown> {
  const iterate = (items as Partial<Iterable<unknown>> | null | undefined)?.[Symbol.iterator];
  if (typeof iterate === 'function') return items as Iterable<unknown>;
  throw typeError(`sizeOrItems must be a number of elements or a list, not ${inspect(items)}`);
}

//
// Objects with a lock
//

function withLock(obj: object, { lock, ctx }: SharedOptions<LockOption>): unknown {
  if (lock === false) return obj;
  return synchronized(obj, lock === true || lock === null ? undefined : lock, ctx);
}

/** Checked before anything is made. */
function checkShared(where: string, options: SharedOptions<LockOption>): void {
  checkOptions(options, ['lock', 'ctx'], where);
  const { lock, ctx } = options;
  if (lock === false) return;
  if (lock !== true && lock !== undefined && lock !== null) checkLock(lock);
  else if (typeof ctx?.RLock !== 'function') {
    throw typeError(`${where}: ctx must be a context, which makes the lock, not ${inspect(ctx)}`);
  }
}

/**
 * A value or structure in shared memory with a lock around each access; Python's `Value`.
 * @param typecode as for `RawValue`
 * @param initial as for `RawValue`
 * @param options.lock a lock; true (the default): a new RLock; false: the raw object
 * @throws TypeError as `RawValue`, and for a lock that is none
 */
export function Value<T extends CType, L extends LockOption = true>(
  typecode: T,
  initial?: Initial<T>,
  options?: SharedOptions<L>,
): L extends false ? RawValueOf<T> : ValueOf<T>;
export function Value(typecode: unknown, initial?: unknown, options: object = {}): unknown {
  checkShared('Value', options);
  return withLock(RawValue(typecode as CType, initial as never), options);
}

/**
 * An array in shared memory with a lock around each access; Python's `Array`.
 * @param typecode as for `RawArray`
 * @param sizeOrItems as for `RawArray`
 * @param options.lock a lock; true (the default): a new RLock; false: the raw object
 * @throws TypeError, ValueError, OSError as `RawArray`, and TypeError for a lock that is none
 */
export function SharedArray<T extends CType, L extends LockOption = true>(
  typecode: T,
  sizeOrItems: number | Iterable<Initial<T>>,
  options?: SharedOptions<L>,
): L extends false ? RawArrayOf<T> : ArrayOf<T>;
export function SharedArray(
  typecode: unknown,
  sizeOrItems: unknown,
  options: object = {},
): unknown {
  checkShared('Array', options);
  return withLock(RawArray(typecode as CType, sizeOrItems as never), options);
}

//
// Copies
//

type Raw<T> = T extends SynchronizedBase<infer O> ? O : T;

/**
 * A copy in shared memory, without a lock; Python's `sharedctypes.copy`.
 * @param obj a raw object, one with a lock (which is held meanwhile), a structure or a typed array
 * @throws TypeError for anything else
 */
export function copy<T extends object>(obj: T): Raw<T>;
export function copy(obj: object): unknown {
  if (obj instanceof SynchronizedBase) return obj._locked(() => copy(obj.getObj() as object));
  if (obj instanceof SimpleData) return new SimpleData(obj._type, copyOf(obj._view));
  if (obj instanceof Structure) {
    return structureAt(obj.constructor as StructureClass, copyOf(obj._view));
  }
  if (obj instanceof StructureArray) {
    return new StructureArray(obj._class, copyOf(obj._view), obj.length);
  }
  const type = ArrayBuffer.isView(obj) ? typeOfElements(obj as TypedArray) : undefined;
  if (type === undefined) throw typeError(`obj must be a shared object, not ${inspect(obj)}`);
  return new type.arrayClass(copyOf(obj as TypedArray).buffer, 0, (obj as TypedArray).length);
}

function copyOf(view: ArrayBufferView): DataView<ArrayBuffer> {
  const copied = allocate(view.byteLength);
  copyBytes(view, copied);
  return copied;
}
