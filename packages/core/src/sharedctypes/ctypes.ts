/**
 * C's scalar types, as far as multiprocessing/sharedctypes.py uses Python's `ctypes`: their sizes on 64-bit
 * Linux and macOS, and what can be stored in each. Structures are in structure.ts. Deviations: D-062.
 */
import { inspect, types } from 'node:util';
import { typeError } from '../base/errors.ts';
import { CharArray, characterOf, WideCharArray } from './char_arrays.ts';

/** A typed array in memory that is no SharedArrayBuffer. */
export type TypedArray =
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

interface Entry<Value, Input, Items> {
  /** What reading gives. */
  value: Value;
  /** What can be stored. */
  input: Input;
  /** What RawArray makes. */
  array: Items;
}
type Whole<Items> = Entry<number, number | bigint, Items>;
type Big<Items> = Entry<bigint, number | bigint, Items>;

/** What the values and arrays of each type code are. */
export interface TypecodeMap {
  c: Entry<Buffer, Uint8Array | number, CharArray>;
  u: Entry<string, string | number, WideCharArray>;
  b: Whole<Int8Array<ArrayBuffer>>;
  B: Whole<Uint8Array<ArrayBuffer>>;
  h: Whole<Int16Array<ArrayBuffer>>;
  H: Whole<Uint16Array<ArrayBuffer>>;
  i: Whole<Int32Array<ArrayBuffer>>;
  I: Whole<Uint32Array<ArrayBuffer>>;
  l: Big<BigInt64Array<ArrayBuffer>>;
  L: Big<BigUint64Array<ArrayBuffer>>;
  q: Big<BigInt64Array<ArrayBuffer>>;
  Q: Big<BigUint64Array<ArrayBuffer>>;
  f: Entry<number, number, Float32Array<ArrayBuffer>>;
  d: Entry<number, number, Float64Array<ArrayBuffer>>;
  Int8Array: TypecodeMap['b'];
  Uint8Array: TypecodeMap['B'];
  Int16Array: TypecodeMap['h'];
  Uint16Array: TypecodeMap['H'];
  Int32Array: TypecodeMap['i'];
  Uint32Array: TypecodeMap['I'];
  BigInt64Array: TypecodeMap['q'];
  BigUint64Array: TypecodeMap['Q'];
  Float32Array: TypecodeMap['f'];
  Float64Array: TypecodeMap['d'];
}

/** A type code, or the name of a typed array. */
export type Typecode = keyof TypecodeMap;

interface ArrayClass {
  readonly name: string;
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): TypedArray;
}

/** A C type that is no structure. @internal */
export interface ScalarType {
  readonly code: Typecode;
  /** ctypes' name for it. */
  readonly name: string;
  /** The name of the typed array that holds such values. */
  readonly arrayName: string;
  /** Bytes; also its alignment. */
  readonly size: number;
  readonly arrayClass: ArrayClass;
  /**
   * What is stored for a value.
   * @param where in front of the message, e.g. `'x: '`
   * @throws TypeError that names the type code and the value
   */
  convert(value: unknown, where?: string): number | bigint;
  /** What reading gives for what is stored. */
  wrap(stored: number | bigint): unknown;
  get(view: DataView, offset: number): unknown;
  /** @throws TypeError */
  set(view: DataView, offset: number, value: unknown, where?: string): void;
}

function isBelow(value: unknown, limit: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < limit;
}

type Convert = (value: unknown) => number | bigint | undefined;

/** Integers wrap as in C: a view keeps the low bits. */
const whole: Convert = (value) => {
  if (typeof value === 'bigint') return Number(BigInt.asIntN(32, value));
  return Number.isSafeInteger(value) ? (value as number) : undefined;
};
const big: Convert = (value) => {
  if (typeof value === 'bigint') return value;
  return Number.isSafeInteger(value) ? BigInt(value as number) : undefined;
};
const float: Convert = (value) => (typeof value === 'number' ? value : undefined);
const character: Convert = (value) => {
  if (types.isUint8Array(value) && value.length === 1) return value[0];
  return isBelow(value, 0x100) ? value : undefined;
};
const wideCharacter: Convert = (value) => {
  if (typeof value !== 'string') return isBelow(value, 0x110000) ? value : undefined;
  const point = value.codePointAt(0);
  return point !== undefined && String.fromCodePoint(point) === value ? point : undefined;
};

type Accessor =
  | 'Int8'
  | 'Uint8'
  | 'Int16'
  | 'Uint16'
  | 'Int32'
  | 'Uint32'
  | 'BigInt64'
  | 'BigUint64'
  | 'Float32'
  | 'Float64';

function scalar(
  code: Typecode,
  name: string,
  [accessor, arrayClass]: readonly [Accessor, ArrayClass],
  [wanted, convert]: readonly [string, Convert],
  wrap: (stored: never) => unknown = (stored) => stored,
): ScalarType {
  const type: ScalarType = {
    code,
    name,
    arrayName: `${accessor}Array`,
    size: arrayClass.BYTES_PER_ELEMENT,
    arrayClass,
    convert(value, where = '') {
      const converted = convert(value);
      if (converted !== undefined) return converted;
      throw typeError(`${where}'${code}' takes ${wanted}, not ${inspect(value)}`);
    },
    wrap: wrap as (stored: number | bigint) => unknown,
    get: (view, offset) => type.wrap(view[`get${accessor}`](offset, true)),
    set: (view, offset, value, where) =>
      view[`set${accessor}`](offset, type.convert(value, where) as never, true),
  };
  return type;
}

const wholeKind = ['an integer', whole] as const;
const bigKind = ['a bigint or a safe integer', big] as const;
const floatKind = ['a number', float] as const;
const byteKind = ['one byte (a Uint8Array of length 1, or 0 to 255)', character] as const;
const wideKind = ['a string of one code point, or its number', wideCharacter] as const;

const codes: readonly ScalarType[] = [
  scalar('c', 'c_char', ['Uint8', CharArray], byteKind, (byte: number) => Buffer.of(byte)),
  scalar('u', 'c_wchar', ['Uint32', WideCharArray], wideKind, characterOf),
  scalar('b', 'c_byte', ['Int8', Int8Array], wholeKind),
  scalar('B', 'c_ubyte', ['Uint8', Uint8Array], wholeKind),
  scalar('h', 'c_short', ['Int16', Int16Array], wholeKind),
  scalar('H', 'c_ushort', ['Uint16', Uint16Array], wholeKind),
  scalar('i', 'c_int', ['Int32', Int32Array], wholeKind),
  scalar('I', 'c_uint', ['Uint32', Uint32Array], wholeKind),
  scalar('l', 'c_long', ['BigInt64', BigInt64Array], bigKind),
  scalar('L', 'c_ulong', ['BigUint64', BigUint64Array], bigKind),
  scalar('q', 'c_longlong', ['BigInt64', BigInt64Array], bigKind),
  scalar('Q', 'c_ulonglong', ['BigUint64', BigUint64Array], bigKind),
  scalar('f', 'c_float', ['Float32', Float32Array], floatKind),
  scalar('d', 'c_double', ['Float64', Float64Array], floatKind),
];

const byCode = new Map<unknown, ScalarType>(codes.map((type) => [type.code, type]));
const byClass = new Map<unknown, ScalarType>();
for (const type of codes) {
  // Of two codes for one class the later is the one that C gives a size on every system.
  byClass.set(type.arrayClass, type);
  if (type.arrayClass.name === type.arrayName) byCode.set(type.arrayName, type);
}

/**
 * The scalar type that a type code, the name of a typed array or its class stands for.
 * @internal
 */
export function scalarType(typecode: unknown): ScalarType | undefined {
  return byCode.get(typecode) ?? byClass.get(typecode);
}

/** The type of a typed array's elements. @internal */
export function typeOfElements(array: TypedArray): ScalarType | undefined {
  for (
    let proto: object | null = Object.getPrototypeOf(array) as object | null;
    proto !== null;
    proto = Object.getPrototypeOf(proto) as object | null
  ) {
    const type = byClass.get(proto.constructor);
    if (type !== undefined) return type;
  }
  return undefined;
}

/** @internal */
export function unknownType(typecode: unknown): TypeError {
  const known = codes.map(({ code }) => code).join(' ');
  return typeError(
    `typecode ${inspect(typecode)} is unknown: it is one of ${known}, the name or class of a typed array,` +
      ' or a class made by Struct()',
  );
}

/**
 * What is stored for each of these values: a typed array of the same kind is taken as it is.
 * @throws TypeError that names the index
 * @internal
 */
export function convertItems(
  type: ScalarType,
  items: Iterable<unknown>,
  offset = 0,
): ArrayLike<never> {
  const kind = ArrayBuffer.isView(items) ? (items as TypedArray)[Symbol.toStringTag] : undefined;
  const isFloat = type.arrayName.startsWith('Float');
  if (
    kind === type.arrayName ||
    (isFloat && kind !== undefined && /^(Int|Uint|Float)/.test(kind))
  ) {
    return items as unknown as ArrayLike<never>;
  }
  return Array.from(items, (item, i) => type.convert(item, `[${offset + i}]: `)) as never[];
}
