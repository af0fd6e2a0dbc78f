/**
 * Structures in C's layout: ctypes' `Structure`, as far as multiprocessing/sharedctypes.py needs it.
 * Deviations: D-063.
 */
import { inspect } from 'node:util';
import { roundup } from '@multiprocessing/posix';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { processWide } from '../base/state.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { ownerOf } from '../pickle/shared_buffers.ts';
import { assertSpawning } from '../process/spawning.ts';
import {
  type ScalarType,
  scalarType,
  type Typecode,
  type TypecodeMap,
  unknownType,
} from './ctypes.ts';

/** A class made by `Struct()`, or derived from one. */
export interface StructureClass<I extends Structure = Structure> {
  readonly prototype: I;
  readonly name: string;
  /** Bytes, the padding included; ctypes' `sizeof`. */
  readonly size: number;
  /** Bytes; ctypes' `alignment`. */
  readonly alignment: number;
  /** Where each field lies, in bytes. */
  readonly fields: Readonly<Record<string, { readonly offset: number; readonly size: number }>>;
  new (init?: never): I;
}

/** A type code, the name of a typed array, or another structure. */
export type FieldType = Typecode | StructureClass;
/** Names and types, in the order of C's declaration. */
export type Fields = Readonly<Record<string, FieldType>>;

type Read<T> = T extends Typecode
  ? TypecodeMap[T]['value']
  : T extends StructureClass<infer I>
    ? I
    : never;
type Written<T> = T extends Typecode
  ? TypecodeMap[T]['input']
  : T extends new (
        init?: infer Init,
      ) => infer I
    ? Init | I
    : never;

/** What a structure can be made of: some fields by name, or the first ones in their order. */
export type StructInit<F extends Fields> =
  | { readonly [K in keyof F]?: Written<F[K]> | undefined }
  | readonly Written<F[keyof F]>[];

/** The class that `Struct()` makes. */
export interface Struct<F extends Fields>
  extends Omit<StructureClass<Structure>, 'prototype' | 'fields'> {
  readonly prototype: Structure & { -readonly [K in keyof F]: Read<F[K]> };
  readonly fields: { readonly [K in keyof F]: { readonly offset: number; readonly size: number } };
  new (init?: StructInit<F>): Structure & { -readonly [K in keyof F]: Read<F[K]> };
}

interface Field {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly type: ScalarType | StructureClass;
}

/** The layouts of the classes that `Struct()` has made, and which class has which layout. */
const state = processWide('structures', () => ({
  layouts: new WeakMap<object, readonly Field[]>(),
  known: new Map<string, StructureClass>(),
  numbers: new WeakMap<object, number>(),
  count: 0,
}));

/** The layout of a class or of one that it is derived from. @internal */
export function layoutOf(cls: unknown): readonly Field[] | undefined {
  let base: unknown = cls;
  while (typeof base === 'function' && base !== Function.prototype) {
    const layout = state.layouts.get(base);
    if (layout !== undefined) return layout;
    base = Object.getPrototypeOf(base);
  }
  return undefined;
}

/** Whether this is a class made by `Struct()`, or derived from one. @internal */
export function isStructureClass(cls: unknown): cls is StructureClass {
  return layoutOf(cls) !== undefined;
}

/** An object whose fields lie in memory; ctypes' `Structure`. Make classes of it with `Struct()`. */
export abstract class Structure {
  /** The memory. @internal */
  declare readonly _view: DataView<ArrayBuffer>;

  constructor(init?: unknown) {
    setView(this, new DataView(new ArrayBuffer((this.constructor as StructureClass).size)));
    fill(this, init);
  }

  /** How it is pickled. @throws RuntimeError for one in shared memory, unless a child is being launched */
  [reduceSymbol](): [typeof rebuildStructure, [unknown, DataView]] {
    if (ownerOf(this._view.buffer) !== undefined) assertSpawning(this);
    return [rebuildStructure, [referenceTo(this.constructor as StructureClass), this._view]];
  }

  toString(): string {
    const values = this as unknown as Record<string, unknown>;
    const fields = (layoutOf(this.constructor) ?? []).map(({ name }) => {
      const value = values[name];
      return `${name}=${value instanceof Structure ? value : inspect(value)}`;
    });
    return `${this.constructor.name}(${fields.join(', ')})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

function setView(object: Structure, view: DataView): void {
  Object.defineProperty(object, '_view', { value: view });
}

/** A structure in memory that is there; ctypes' `from_buffer`. No constructor runs. @internal */
export function structureAt<I extends Structure>(cls: StructureClass<I>, view: DataView): I {
  const object = Object.create(cls.prototype) as I;
  setView(object, view);
  return object;
}

/** The part of a view that belongs to a field or an element. @internal */
export function part(view: DataView, offset: number, size: number): DataView<ArrayBuffer> {
  return new DataView(view.buffer as ArrayBuffer, view.byteOffset + offset, size);
}

/**
 * Sets what `init` has: fields by name, the first ones in order, or all of another structure's.
 * @throws TypeError for unknown names, too many values, or a value of the wrong type
 * @internal
 */
export function fill(object: Structure, init: unknown, where = ''): void {
  if (init === undefined) return;
  const layout = layoutOf(object.constructor) ?? [];
  const { name } = object.constructor;
  if (init instanceof Structure) {
    if (layoutOf(init.constructor) !== layout) {
      throw typeError(`${where}a ${name} cannot be made of a ${init.constructor.name}`);
    }
    copyBytes(init._view, object._view);
  } else if (Array.isArray(init)) {
    if (init.length > layout.length) {
      throw typeError(`${where}${name} has ${layout.length} fields, not ${init.length}`);
    }
    for (const [i, value] of init.entries()) write(object, layout[i] as Field, value, where);
  } else if (typeof init === 'object' && init !== null) {
    for (const [key, value] of Object.entries(init)) {
      const field = layout.find((one) => one.name === key);
      if (field === undefined) {
        const names = layout.map((one) => one.name).join(', ');
        throw typeError(`${where}${name} has no field '${key}': its fields are ${names}`);
      }
      if (value !== undefined) write(object, field, value, where);
    }
  } else {
    throw typeError(`${where}${name} is made of an object or a list, not of ${inspect(init)}`);
  }
}

/** Copies as many bytes as there are. @internal */
export function copyBytes(from: ArrayBufferView, to: ArrayBufferView): void {
  const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  bytes(to).set(bytes(from));
}

function read(object: Structure, { offset, size, type }: Field): unknown {
  if (!isStructureClass(type)) return type.get(object._view, offset);
  return structureAt(type, part(object._view, offset, size));
}

function write(object: Structure, field: Field, value: unknown, where = ''): void {
  const { name, offset, size, type } = field;
  const path = `${where}${name}: `;
  if (!isStructureClass(type)) type.set(object._view, offset, value, path);
  else fill(structureAt(type, part(object._view, offset, size)), value, path);
}

//
// Classes
//

/**
 * Makes a class whose instances have these fields in C's layout, with its native alignment; the counterpart of a
 * subclass of ctypes' `Structure`. A class derived from it may have methods. Two calls with the same fields give the
 * same class.
 * @param fields type codes, names of typed arrays, or other structures by name, in the order of C's declaration
 * @throws TypeError for a type that is none, or a name that a field cannot have
 */
export function Struct<const F extends Fields>(fields: F): Struct<F> {
  if (typeof fields !== 'object' || fields === null) {
    throw typeError(`Struct: fields must be an object, not ${inspect(fields)}`);
  }
  const types = Object.entries(fields).map(
    ([name, type]) => [name, fieldType(name, type)] as const,
  );
  const signature = JSON.stringify(types.map(([name, type]) => [name, identityOf(type)]));
  let cls = state.known.get(signature);
  if (cls === undefined) {
    cls = makeClass(types);
    state.known.set(signature, cls);
  }
  return cls as unknown as Struct<F>;
}

function fieldType(name: string, typecode: unknown): ScalarType | StructureClass {
  if (name === '' || /^\d+$/.test(name) || name === '_view' || name in Structure.prototype) {
    throw typeError(`Struct: a field cannot be called '${name}'`);
  }
  if (isStructureClass(typecode)) return typecode;
  const type = scalarType(typecode);
  if (type === undefined) throw unknownType(typecode);
  return type;
}

function identityOf(type: ScalarType | StructureClass): string | number {
  if (!isStructureClass(type)) return type.code;
  const number = state.numbers.get(type) ?? ++state.count;
  state.numbers.set(type, number);
  return number;
}

function makeClass(types: readonly (readonly [string, ScalarType | StructureClass])[]) {
  const layout: Field[] = [];
  let end = 0;
  let alignment = 1;
  for (const [name, type] of types) {
    const align = isStructureClass(type) ? type.alignment : type.size;
    const offset = roundup(end, align);
    layout.push({ name, offset, size: type.size, type });
    end = offset + type.size;
    alignment = Math.max(alignment, align);
  }
  const cls = class Struct extends Structure {
    static readonly size = roundup(end, alignment);
    static readonly alignment = alignment;
    static readonly fields = Object.fromEntries(
      layout.map(({ name, offset, size }) => [name, { offset, size }]),
    );
  };
  for (const field of layout) {
    Object.defineProperty(cls.prototype, field.name, {
      get(this: Structure) {
        return read(this, field);
      },
      set(this: Structure, value: unknown) {
        write(this, field, value);
      },
      enumerable: true,
      configurable: true,
    });
  }
  state.layouts.set(cls, layout);
  return cls as unknown as StructureClass;
}

//
// Pickling: what Struct() has made travels by its fields, a class derived from it by its name
//

/** @internal */
export function referenceTo(type: ScalarType | StructureClass): unknown {
  if (!isStructureClass(type)) return type.code;
  const own = state.layouts.get(type);
  return own === undefined ? type : own.map(({ name, type }) => [name, referenceTo(type)]);
}

/** @throws ValueError for something else than referenceTo has made @internal */
export function resolveReference(reference: unknown): ScalarType | StructureClass {
  if (isStructureClass(reference)) return reference;
  if (Array.isArray(reference)) {
    const fields = reference.map(([name, type]: [string, unknown]) => {
      const resolved = resolveReference(type);
      return [name, isStructureClass(resolved) ? resolved : resolved.code] as const;
    });
    return Struct(Object.fromEntries(fields)) as unknown as StructureClass;
  }
  const type = scalarType(reference);
  if (type === undefined) throw new ValueError(`there is no C type ${inspect(reference)}`);
  return type;
}

/** @internal */
export function rebuildStructure(reference: unknown, view: DataView): Structure {
  return structureAt(resolveReference(reference) as StructureClass, view);
}

nameExports(import.meta.url, { rebuildStructure, Struct });
