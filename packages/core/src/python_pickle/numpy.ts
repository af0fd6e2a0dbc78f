/**
 * numpy's arrays and scalars, of numbers, by the names of its versions 1 and 2. Deviations: D-156.
 *
 * What is written names neither `numpy.core` nor `numpy._core`, of which each version has but one: an empty `numpy.ndarray` is
 * given its state.
 */
import { inspect } from 'node:util';
import { typeError, UnpicklingError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { bytesOf, type NumberArray } from './arrays.ts';
import { DType, isBigEndian } from './dtypes.ts';
import { Complex } from './numbers.ts';
import { Tuple } from './tuple.ts';
import {
  type BuildCall,
  GlobalName,
  type PythonType,
  type Reduced,
  type StateCall,
} from './types.ts';

/** As many as numpy 2 has. */
const maxDimensions = 64;

/** In which order the elements stand: the last index changes first in C's, the first one in Fortran's. */
export type Order = 'C' | 'F';

/** An array of numpy's: `numpy.ndarray` of numbers. */
export class NDArray {
  /** numpy's name of the type of its elements: `'float64'`, `'datetime64[ns]'`. */
  readonly dtype: string;
  /** Empty for an array of no dimensions, which has one element. */
  readonly shape: readonly number[];
  /** The elements; of complex numbers the real and the imaginary parts in turn, of float16 as float32, of bool 0 and 1. */
  readonly data: NumberArray;
  readonly order: Order;

  /** @throws TypeError, ValueError for a dtype that is not of numbers, or data of another class or length */
  constructor(
    dtype: string | DType,
    shape: readonly number[],
    data: NumberArray,
    { order = 'C' }: { order?: Order } = {},
  ) {
    const type = dtype instanceof DType ? dtype : new DType(dtype);
    checkShape(shape);
    if (!(data instanceof type.cls)) {
      throw typeError(
        `data of ${type} must be a ${type.cls.name}, not ${inspect(data, { depth: 0 })}`,
      );
    }
    const wanted = sizeOf(shape) * type.parts;
    if (data.length !== wanted) {
      throw new ValueError(`data must have ${wanted} elements for that shape, not ${data.length}`);
    }
    if (order !== 'C' && order !== 'F') {
      throw new ValueError(`order must be 'C' or 'F', not ${inspect(order)}`);
    }
    this.dtype = type.name;
    this.shape = [...shape];
    this.data = data;
    this.order = order;
  }

  /** How many elements it has. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** One element. @throws TypeError, ValueError for an index that is none */
  item(...index: number[]): number | bigint | boolean | Complex {
    const { shape, order } = this;
    if (index.length !== shape.length) {
      throw typeError(`item: ${shape.length} indices are needed, not ${index.length}`);
    }
    const axes = order === 'C' ? shape.keys() : [...shape.keys()].reverse();
    let at = 0;
    for (const axis of axes) {
      const i = index[axis] as number;
      const length = shape[axis] as number;
      if (!Number.isInteger(i) || i < 0 || i >= length) {
        throw new ValueError(
          `item: index ${inspect(i)} of axis ${axis} must be in 0 to ${length - 1}`,
        );
      }
      at = at * length + i;
    }
    return elementAt(new DType(this.dtype), this.data, at);
  }

  /** The elements in nested arrays; numpy's `tolist()`. Of no dimensions it is the element. */
  tolist(): unknown {
    const { shape } = this;
    const nested = (index: number[]): unknown => {
      if (index.length === shape.length) return this.item(...index);
      const length = shape[index.length] as number;
      return Array.from({ length }, (_, i) => nested([...index, i]));
    };
    return nested([]);
  }
}

function elementAt(
  dtype: DType,
  data: NumberArray,
  at: number,
): number | bigint | boolean | Complex {
  if (dtype.parts === 2) return new Complex(data[2 * at] as number, data[2 * at + 1] as number);
  const value = data[at] as number | bigint;
  return dtype.name === 'bool' ? value !== 0 : value;
}

/** @throws TypeError, ValueError */
function checkShape(shape: readonly number[]): void {
  if (!Array.isArray(shape)) throw typeError(`shape must be an array, not ${inspect(shape)}`);
  if (shape.length > maxDimensions)
    throw new ValueError(`shape has more than ${maxDimensions} dimensions`);
  for (const length of shape as unknown[]) {
    if (!Number.isSafeInteger(length) || (length as number) < 0) {
      throw new ValueError(`shape must have whole numbers, not ${inspect(length)}`);
    }
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((product, length) => product * length, 1);
}

/** An array that is read: numpy makes an empty one, and gives it all as its state. */
interface Unfinished {
  dtype: string;
  shape: readonly number[];
  data: NumberArray;
  order: Order;
}

function arrayOf(
  bytes: unknown,
  dtype: unknown,
  shape: unknown,
  order: Order,
  { copies }: Pick<BuildCall, 'copies'>,
): NDArray {
  if (!(dtype instanceof DType) || !Buffer.isBuffer(bytes)) {
    throw new UnpicklingError("the pickle has an array of numpy's without its numbers");
  }
  checkShape(shape as number[]);
  if (sizeOf(shape as number[]) * dtype.itemsize !== bytes.length) {
    throw new UnpicklingError(
      `the pickle has ${bytes.length} bytes for an array of the shape ${inspect(Array.from(shape as number[]))}`,
    );
  }
  copies(bytes.length);
  return new NDArray(dtype, shape as number[], dtype.read(bytes, isBigEndian(dtype)), { order });
}

/** `_frombuffer(buffer, dtype, shape, order[, axis_order])` */
function fromBuffer(args: readonly unknown[], call: BuildCall): NDArray | undefined {
  const [bytes, dtype, shape, order, axes] = args;
  if (args.length < 4 || args.length > 5) return undefined;
  if (order === 'C' || order === 'F') return arrayOf(bytes, dtype, shape, order, call);
  if (order !== 'K' || !Array.isArray(axes)) return undefined;
  return transposed(arrayOf(bytes, dtype, shape, 'C', call), axes as unknown[]);
}

/** Where the axes stand in another order, the elements are put into C's. */
function transposed(array: NDArray, axes: readonly unknown[]): NDArray {
  const { shape, data } = array;
  if (
    [...axes].sort((a, b) => Number(a) - Number(b)).some((axis, i) => axis !== i) ||
    axes.length !== shape.length
  ) {
    throw new UnpicklingError("the pickle has an order of an array's axes that is none");
  }
  const order = axes as number[];
  const lengths = order.map((axis) => shape[axis] as number);
  const steps = order.map((axis) => sizeOf(shape.slice(axis + 1)));
  const { parts } = new DType(array.dtype);
  const copy = data.slice();
  const index = lengths.map(() => 0);
  for (let to = 0; to < array.size; to++) {
    const from = index.reduce((sum, i, axis) => sum + i * (steps[axis] as number), 0);
    for (let part = 0; part < parts; part++)
      copy[to * parts + part] = data[from * parts + part] as never;
    for (let axis = index.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (lengths[axis] as number)) break;
      index[axis] = 0;
    }
  }
  return new NDArray(array.dtype, lengths, copy);
}

/** `(version, shape, dtype, is_fortran, bytes)` */
function setState(array: Unfinished, state: unknown, call: StateCall): void {
  const values = Array.isArray(state) ? (state as unknown[]) : [];
  const [shape, dtype, fortran, bytes] = values.length === 5 ? values.slice(1) : values;
  const {
    dtype: name,
    shape: lengths,
    data,
    order,
  } = arrayOf(bytes, dtype, shape, fortran === true ? 'F' : 'C', call);
  Object.assign(array, { dtype: name, shape: lengths, data, order });
}

/** They have nothing that could be written to. */
const nothing = new Float64Array();
const empty = () => new NDArray('float64', [0], nothing);

function reconstruct([cls]: readonly unknown[]): NDArray | undefined {
  return cls instanceof GlobalName && cls.type?.names === 'numpy.ndarray' ? empty() : undefined;
}

/** `scalar(dtype, bytes)`: a number, or an array of no dimensions for those with a unit. */
function scalar([dtype, bytes]: readonly unknown[], call: BuildCall): unknown {
  const array = arrayOf(bytes, dtype, [], 'C', call);
  if (array.dtype.includes('64') && array.data instanceof BigInt64Array && array.dtype !== 'int64')
    return array;
  const value = array.item();
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Also of an array that has been changed. */
function reduceArray({ dtype, shape, data, order }: NDArray): Reduced {
  const type = new DType(dtype);
  return {
    name: 'numpy.ndarray',
    args: [Tuple.of(0)],
    state: Tuple.of<unknown>(1, Tuple.from(shape), type, order === 'F', type.write(data)),
  };
}

const inCore = (name: string) => [`numpy._core.${name}`, `numpy.core.${name}`];

/** Rows for the table of types. */
export const numpyTypes = (): readonly PythonType[] => [
  {
    names: 'numpy.ndarray',
    hashable: false,
    cls: NDArray,
    // As it is written here.
    build: (args) => (args.length === 1 ? empty() : undefined),
    setState,
    reduce: reduceArray,
  },
  { names: inCore('multiarray._reconstruct'), takesNames: true, build: reconstruct, setState },
  { names: inCore('multiarray.scalar'), build: scalar },
  { names: inCore('numeric._frombuffer'), build: fromBuffer },
];

/** Rows for typed arrays that are to be numpy's: in place of those that make them `array.array`. */
export const typedArraysOfNumpy = (): readonly PythonType[] =>
  (
    [
      ['int8', Int8Array],
      ['uint8', Uint8ClampedArray],
      ['int16', Int16Array],
      ['uint16', Uint16Array],
      ['int32', Int32Array],
      ['uint32', Uint32Array],
      ['int64', BigInt64Array],
      ['uint64', BigUint64Array],
      ['float32', Float32Array],
      ['float64', Float64Array],
    ] as const
  ).map(([dtype, cls]) => ({
    names: [],
    cls,
    hashable: false,
    reduce: (data: NumberArray) => ({
      name: 'numpy.ndarray',
      args: [Tuple.of(0)],
      state: Tuple.of<unknown>(1, Tuple.of(data.length), new DType(dtype), false, bytesOf(data)),
    }),
  }));

nameExports(import.meta.url, { NDArray });
