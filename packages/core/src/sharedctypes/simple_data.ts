/**
 * Objects that lie in memory: one value of a scalar type (ctypes' `_SimpleCData`), and an array of structures.
 */
import { inspect } from 'node:util';
import { ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { ownerOf } from '../pickle/shared_buffers.ts';
import { assertSpawning } from '../process/spawning.ts';
import type { ScalarType } from './ctypes.ts';
import { type Indexed, indexing } from './indexed.ts';
import {
  fill,
  part,
  referenceTo,
  resolveReference,
  type Structure,
  type StructureClass,
  structureAt,
} from './structure.ts';

/** One number or character in memory: what `RawValue()` makes of a type code; ctypes' `_SimpleCData`. */
export class SimpleData<V = unknown> {
  /** @internal */ readonly _type: ScalarType;
  /** @internal */ readonly _view: DataView<ArrayBuffer>;

  /** @internal */
  constructor(type: ScalarType, view: DataView<ArrayBuffer>) {
    this._type = type;
    this._view = view;
  }

  get value(): V {
    return this._type.get(this._view, 0) as V;
  }

  /** @throws TypeError for a value of the wrong type; integers wrap as in C */
  set value(value: V) {
    this._type.set(this._view, 0, value);
  }

  /** How it is pickled. @throws RuntimeError for one in shared memory, unless a child is being launched */
  [reduceSymbol](): [typeof rebuildSimple, [string, DataView]] {
    if (ownerOf(this._view.buffer) !== undefined) assertSpawning(this);
    return [rebuildSimple, [this._type.code, this._view]];
  }

  toString(): string {
    return `${this._type.name}(${inspect(this.value)})`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** Structures one behind the other: what `RawArray()` makes of a class of `Struct()`. */
export class StructureArray<I extends Structure = Structure> implements Iterable<I>, Indexed {
  /** The structure itself: what is set in it is set in the array. Setting an element copies into it. */
  [index: number]: I;
  readonly length: number;
  /** @internal */ readonly _class: StructureClass<I>;
  /** @internal */ readonly _view: DataView<ArrayBuffer>;

  /** @internal */
  constructor(cls: StructureClass<I>, view: DataView<ArrayBuffer>, length: number) {
    this._class = cls;
    this._view = view;
    this.length = length;
  }

  /** @internal */
  _get(index: number): I | undefined {
    if (index < 0 || index >= this.length) return undefined;
    const { size } = this._class;
    return structureAt(this._class, part(this._view, index * size, size));
  }

  /** @throws ValueError for an index beyond the array, TypeError for a wrong value @internal */
  _set(index: number, value: unknown): void {
    const element = this._get(index);
    if (element === undefined) throw outOfRange(index, this.length);
    fill(element, value, `[${index}]: `);
  }

  *[Symbol.iterator](): Iterator<I> {
    for (let i = 0; i < this.length; i++) yield this._get(i) as I;
  }

  /** How it is pickled. @throws RuntimeError for one in shared memory, unless a child is being launched */
  [reduceSymbol](): [typeof rebuildStructureArray, [unknown, DataView, number]] {
    if (ownerOf(this._view.buffer) !== undefined) assertSpawning(this);
    return [rebuildStructureArray, [referenceTo(this._class), this._view, this.length]];
  }

  toString(): string {
    return `${this._class.name}_Array_${this.length}`;
  }

  [inspect.custom](): string {
    return `${this.toString()} [ ${[...this].join(', ')} ]`;
  }
}

Object.setPrototypeOf(StructureArray.prototype, indexing);

/** @internal */
export function outOfRange(index: number, length: number): ValueError {
  return new ValueError(`index ${index} is out of range: the array has ${length} elements`);
}

/** @internal */
export function rebuildSimple(code: string, view: DataView<ArrayBuffer>): SimpleData {
  return new SimpleData(resolveReference(code) as ScalarType, view);
}

/** @internal */
export function rebuildStructureArray(
  reference: unknown,
  view: DataView<ArrayBuffer>,
  length: number,
): StructureArray {
  return new StructureArray(resolveReference(reference) as StructureClass, view, length);
}

nameExports(import.meta.url, { rebuildSimple, rebuildStructureArray });
