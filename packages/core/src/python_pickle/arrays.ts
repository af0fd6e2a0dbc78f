/**
 * Python's `array.array` as typed arrays, and back. Deviations: D-155.
 */
import { inspect, types } from 'node:util';
import { typeError, UnpicklingError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { partsOf } from '../pickle/kinds.ts';
import { Refusal } from '../pickle/message.ts';
import {
  type BuildCall,
  GlobalName,
  type PythonType,
  type ReduceCall,
  type Reduced,
} from './types.ts';

/** The typed arrays that hold numbers of Python's. */
export type NumberArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

interface NumberArrayClass {
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): NumberArray;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
  readonly prototype: NumberArray;
}

/** CPython's numbers for the formats of a machine, by which arrays travel; big-endian is the next one. */
const formats: readonly (readonly [format: number, cls: NumberArrayClass])[] = [
  [0, Uint8Array],
  [1, Int8Array],
  [2, Uint16Array],
  [4, Int16Array],
  [6, Uint32Array],
  [8, Int32Array],
  [10, BigUint64Array],
  [12, BigInt64Array],
  [14, Float32Array],
  [16, Float64Array],
];

/** The type codes of `array.array` whose typed array is the only one that goes as that. */
const exact: Readonly<Record<string, NumberArrayClass>> = {
  b: Int8Array,
  h: Int16Array,
  H: Uint16Array,
  i: Int32Array,
  I: Uint32Array,
  q: BigInt64Array,
  Q: BigUint64Array,
  f: Float32Array,
  d: Float64Array,
};

/** The others, as they are on 64-bit Linux. */
const others: Readonly<Record<string, NumberArrayClass>> = {
  B: Uint8Array,
  l: BigInt64Array,
  L: BigUint64Array,
};

/** A Python's `array.array` of a type code that no typed array stands for: `'B'`, `'l'`, `'L'`, and texts of `'u'` and `'w'`. */
export class PythonArray {
  readonly typecode: string;
  /** Of the texts the characters. */
  readonly data: NumberArray | string;

  /** @throws TypeError, ValueError */
  constructor(typecode: string, data: NumberArray | string) {
    const text = typecode === 'u' || typecode === 'w';
    if (!text && exact[typecode] === undefined && others[typecode] === undefined) {
      throw new ValueError(`typecode must be one of array.array's, not ${inspect(typecode)}`);
    }
    if (text ? typeof data !== 'string' : !isNumberArray(data)) {
      throw typeError(
        `data must be ${text ? 'a string' : 'a typed array'}, not ${inspect(data, { depth: 0 })}`,
      );
    }
    this.typecode = typecode;
    this.data = data;
  }

  get length(): number {
    return this.data.length;
  }
}

function isNumberArray(value: unknown): value is NumberArray {
  return types.isTypedArray(value) && formatOf(value) !== undefined;
}

function formatOf(value: object): number | undefined {
  if (types.isUint8Array(value) || types.isUint8ClampedArray(value)) return 0;
  const name = types.isTypedArray(value) ? value[Symbol.toStringTag] : '';
  return formats.find(([, cls]) => cls.name === name)?.[0];
}

/** A copy in memory of its own, in this machine's order of bytes. */
export function numbersOf(
  bytes: Uint8Array,
  cls: NumberArrayClass,
  bigEndian: boolean,
): NumberArray {
  const size = cls.BYTES_PER_ELEMENT;
  if (bytes.length % size !== 0) {
    throw new UnpicklingError(`the pickle has ${bytes.length} bytes of numbers of ${size} bytes`);
  }
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  if (bigEndian && size > 1) swap(copy, size);
  return new cls(copy.buffer);
}

function swap(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer);
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else buffer.swap64();
}

function made(typecode: string, data: NumberArray | string): NumberArray | PythonArray {
  const cls = exact[typecode];
  return typeof data !== 'string' && cls !== undefined && data instanceof cls
    ? data
    : new PythonArray(typecode, data);
}

/** `array.array(typecode, items)`: of a list, or of the bytes of a 64-bit machine that is little-endian, as multiprocessing writes it. */
function ofItems([typecode, items]: readonly unknown[], { copies }: BuildCall) {
  if (typeof typecode !== 'string') return undefined;
  const cls = Object.hasOwn(exact, typecode)
    ? exact[typecode]
    : Object.hasOwn(others, typecode)
      ? others[typecode]
      : undefined;
  if (cls === undefined) {
    if (typecode !== 'u' && typecode !== 'w') return undefined;
    if (Buffer.isBuffer(items)) return made(typecode, characters(items, 4, false, copies));
    const text = Array.isArray(items) ? items.join('') : (items ?? '');
    return typeof text === 'string' ? made(typecode, text) : undefined;
  }
  if (Buffer.isBuffer(items)) {
    copies(items.length);
    return made(typecode, numbersOf(items, cls, false));
  }
  if (items !== undefined && !Array.isArray(items)) return undefined;
  const values = (items ?? []) as unknown[];
  copies(values.length);
  const big = cls === BigInt64Array || cls === BigUint64Array;
  const data = new cls(new ArrayBuffer(values.length * cls.BYTES_PER_ELEMENT));
  for (const [i, value] of values.entries()) {
    if (typeof value !== 'number' && typeof value !== 'bigint') return undefined;
    data[i] = (big ? BigInt(value) : Number(value)) as never;
  }
  return made(typecode, data);
}

function characters(
  bytes: Buffer,
  size: number,
  bigEndian: boolean,
  copies: BuildCall['copies'],
): string {
  copies(bytes.length);
  const codes = numbersOf(bytes, size === 2 ? Uint16Array : Uint32Array, bigEndian);
  let text = '';
  for (const code of codes as Uint32Array) {
    if (code > 0x10ffff)
      throw new UnpicklingError('the pickle has a character beyond the last one');
    text += size === 2 ? String.fromCharCode(code) : String.fromCodePoint(code);
  }
  return text;
}

/** `array._array_reconstructor(array, typecode, format, bytes)` */
function reconstruct([cls, typecode, format, bytes]: readonly unknown[], { copies }: BuildCall) {
  if (!(cls instanceof GlobalName) || cls.type?.names !== arrayName) return undefined;
  if (typeof typecode !== 'string' || typeof format !== 'number' || !Buffer.isBuffer(bytes))
    return undefined;
  if (format >= 18 && format <= 21 && (typecode === 'u' || typecode === 'w')) {
    return made(typecode, characters(bytes, format < 20 ? 2 : 4, format % 2 === 1, copies));
  }
  const bigEndian = format > 1 && format % 2 === 1;
  const known = formats.find(([each]) => each === (bigEndian ? format - 1 : format))?.[1];
  if (known === undefined) return undefined;
  copies(bytes.length);
  return made(typecode, numbersOf(bytes, known, bigEndian));
}

const arrayName = 'array.array';

function reduceArray(
  typecode: string,
  data: NumberArray | string,
  { protocol }: ReduceCall,
): Reduced {
  if (typeof data === 'string') return { name: arrayName, args: [typecode, data] };
  if (protocol < 3) return { name: arrayName, args: [typecode, Array.from<number | bigint>(data)] };
  const format = formatOf(data) as number;
  const bytes = bytesOf(data);
  return {
    name: 'array._array_reconstructor',
    args: [new GlobalName(arrayName), typecode, format, bytes],
  };
}

/** By what the engine keeps inside of it. @throws Refusal if its memory is gone */
export function bytesOf(data: NodeJS.TypedArray): Uint8Array {
  try {
    const { buffer, byteOffset, byteLength } = partsOf(data);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    throw new Refusal((error as Error).message, { cause: error });
  }
}

/** Rows for the table of types. */
export const arrayTypes = (): readonly PythonType[] => [
  { names: arrayName, hashable: false, build: ofItems },
  { names: 'array._array_reconstructor', takesNames: true, build: reconstruct },
  ...[...Object.entries(exact), ['B', Uint8ClampedArray] as const].map(
    ([typecode, cls]): PythonType => ({
      names: [],
      cls: cls as NumberArrayClass,
      hashable: false,
      reduce: (data: NumberArray, call) => reduceArray(typecode, data, call),
    }),
  ),
  {
    names: [],
    cls: PythonArray,
    hashable: false,
    reduce: ({ typecode, data }: PythonArray, call) => reduceArray(typecode, data, call),
  },
];

nameExports(import.meta.url, { PythonArray });
