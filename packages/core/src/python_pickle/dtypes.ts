/**
 * The element types of numpy's arrays that are numbers, and the typed arrays that hold them here.
 */
import { inspect } from 'node:util';
import { type UnpicklingError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { type NumberArray, numbersOf } from './arrays.ts';
import { refused } from './globals.ts';
import { fromHalf, toHalf } from './half.ts';
import type { PythonType } from './types.ts';

interface Kind {
  /** numpy's code, as `f8`. */
  readonly code: string;
  /** What holds the elements here; of a complex number there are two. */
  readonly cls: NumberArrayClass;
  readonly parts?: number;
}

type NumberArrayClass = Parameters<typeof numbersOf>[1];

/** By numpy's names. */
const kinds: Readonly<Record<string, Kind>> = {
  bool: { code: 'b1', cls: Uint8Array },
  int8: { code: 'i1', cls: Int8Array },
  int16: { code: 'i2', cls: Int16Array },
  int32: { code: 'i4', cls: Int32Array },
  int64: { code: 'i8', cls: BigInt64Array },
  uint8: { code: 'u1', cls: Uint8Array },
  uint16: { code: 'u2', cls: Uint16Array },
  uint32: { code: 'u4', cls: Uint32Array },
  uint64: { code: 'u8', cls: BigUint64Array },
  float16: { code: 'f2', cls: Float32Array },
  float32: { code: 'f4', cls: Float32Array },
  float64: { code: 'f8', cls: Float64Array },
  complex64: { code: 'c8', cls: Float32Array, parts: 2 },
  complex128: { code: 'c16', cls: Float64Array, parts: 2 },
  datetime64: { code: 'M8', cls: BigInt64Array },
  timedelta64: { code: 'm8', cls: BigInt64Array },
};

const units = /^(?:generic|\d{0,9}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as))$/;

/** An element type of numpy's: `float64`, `int32`, `datetime64[ns]` and the like; Python's `numpy.dtype`. */
export class DType {
  /** numpy's name of it. */
  readonly name: string;

  /** @throws ValueError for what is none of the types of numbers */
  constructor(name: string) {
    const [, base = '', unit = ''] = /^(\w+)(?:\[(\w+)\])?$/.exec(String(name)) ?? [];
    const kind = Object.hasOwn(kinds, base) ? kinds[base] : undefined;
    const timed = base === 'datetime64' || base === 'timedelta64';
    if (kind === undefined || (unit !== '' && (!timed || !units.test(unit)))) {
      throw new ValueError(
        `dtype must be one of ${Object.keys(kinds).join(', ')}, the last two also with a unit as in 'datetime64[ns]', not ${inspect(name)}`,
      );
    }
    this.name = unit === '' || unit === 'generic' ? base : `${base}[${unit}]`;
  }

  private get kind(): Kind {
    return kinds[this.name.replace(/\[.*/, '')] as Kind;
  }

  /** The class of the typed array. @internal */
  get cls(): NumberArrayClass {
    return this.kind.cls;
  }

  /** How many elements of the typed array are one of numpy's: two for complex numbers. */
  get parts(): number {
    return this.kind.parts ?? 1;
  }

  /** Bytes of one of numpy's elements. */
  get itemsize(): number {
    return this.name === 'float16' ? 2 : this.cls.BYTES_PER_ELEMENT * this.parts;
  }

  /** As numpy's constructor reads it, with the order of bytes. @internal */
  get code(): string {
    return `<${this.kind.code}${/\[.*/.exec(this.name)?.[0] ?? ''}`;
  }

  /** The elements that are in some bytes. @internal */
  read(bytes: Uint8Array, bigEndian: boolean): NumberArray {
    if (this.name !== 'float16') return numbersOf(bytes, this.cls, bigEndian);
    return fromHalf(numbersOf(bytes, Uint16Array, bigEndian) as Uint16Array);
  }

  /** The bytes of some elements. @internal */
  write(data: NumberArray): Uint8Array {
    const halves = this.name === 'float16' ? toHalf(data as Float32Array) : data;
    return new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength);
  }

  toString(): string {
    return this.name;
  }

  /** @internal */
  [inspect.custom](): string {
    return `dtype('${this.name}')`;
  }
}

/** Those that have been read for numbers in the other order of bytes. */
const bigEndians = new WeakSet<DType>();

/** Whether what has come with this dtype is in the other order of bytes; what goes is not. */
export function isBigEndian(dtype: DType): boolean {
  return bigEndians.has(dtype);
}

function refusal(code: string): UnpicklingError {
  return refused(
    `numpy's dtype ${JSON.stringify(code.slice(0, 100))}, which is not one of numbers`,
  );
}

function build([code]: readonly unknown[]): DType | undefined {
  if (typeof code !== 'string') return undefined;
  const [, order, plain = '', unit = ''] =
    /^([<>=|]?)([a-zA-Z]\d{1,2})((?:\[\w{1,12}\])?)$/.exec(code) ?? [];
  const name = Object.keys(kinds).find((each) => kinds[each]?.code === plain);
  if (name === undefined) throw refusal(code);
  const dtype = new DType(name + unit);
  if (order === '>') bigEndians.add(dtype);
  return dtype;
}

/** `(version, byteorder, subarray, names, fields, elsize, alignment, flags[, metadata])` */
function setState(dtype: DType, state: unknown): void {
  const [, order, subarray, names, fields, , , , metadata] = Array.isArray(state)
    ? (state as unknown[])
    : [];
  if (subarray !== null || names !== null || fields !== null) throw refusal(dtype.name);
  if (order === '>') bigEndians.add(dtype);
  const unit: unknown = Array.isArray(metadata) ? metadata[1] : undefined;
  if (!Array.isArray(unit)) return;
  const [base, count] = unit as unknown[];
  const text = Buffer.isBuffer(base) ? base.toString('latin1') : String(base);
  const timed = new DType(`${dtype.name}[${count === 1 ? '' : String(count)}${text}]`);
  (dtype as { name: string }).name = timed.name;
}

/** Rows for the table of types. */
export const dtypeTypes = (): readonly PythonType[] => [
  {
    names: 'numpy.dtype',
    cls: DType,
    build,
    setState,
    reduce: (dtype: DType) => ({ args: [dtype.code] }),
  },
];

nameExports(import.meta.url, { DType });
