/**
 * The message format, shared by pickler.ts and unpickler.ts.
 *
 *     message   = 'M' flags value [names offset]
 *     names     = count (module qualname)*       the offset stands in the message's last 6 bytes
 *
 * One pass writes and one pass reads a message; what a value needs is written where it stands. Objects
 * are numbered in the order in which the reader makes them, and REF gives such a number. Integers of a
 * varint are little-endian base 128. Strings are Latin-1 where they can be, else UTF-16, so that lone
 * surrogates survive. All numbers are little-endian.
 *
 *     0x00-0x7f            the integers 0 to 127
 *     0xa0-0xbf            a Latin-1 string of 0 to 31 characters
 *     the codes below      their operands in the order given
 */

/** First byte of every message. @internal */
export const MAGIC = 0x4d;
/** First byte of a message with code, which only a child takes. @internal */
export const HAS_CODE = 0x43;
/** Flag: the message holds REF, the reader has to number objects. @internal */
export const HAS_REFS = 1;
/** Flag: the message ends with names of functions and classes. @internal */
export const HAS_NAMES = 2;

/** Bytes of the number that says where the names stand. @internal */
export const NAMES_OFFSET = 6;

/** Flag: runs of more than BESIDE bytes are not in the message, but beside it, in their order. @internal */
export const HAS_BESIDE = 4;
/** Bytes. @internal */
export const BESIDE = 65_536;

export const SHORT_STRING = 0xa0;
export const SHORT_STRING_MAX = 31;

export const UNDEFINED = 0x80;
export const NULL = 0x81;
export const FALSE = 0x82;
export const TRUE = 0x83;
export const INT8 = 0x84;
export const INT16 = 0x85;
export const INT32 = 0x86;
export const FLOAT64 = 0x87;
/** length, Latin-1 bytes */
export const STRING = 0x88;
/** length in UTF-16 units, the units */
export const STRING16 = 0x89;
/** number of an object that came before */
export const REF = 0x8a;
/** values until the shape is filled; the shape's number, counted from 0 */
export const OBJECT = 0x8b;
/** byte length of (count, keys), count, keys, values: defines the next shape */
export const OBJECT_SHAPE = 0x8c;
/** count, (key, value)*: an object whose keys are not worth a shape */
export const OBJECT_DICT = 0x8d;
/** count, values */
export const ARRAY = 0x8e;
/** length, count, (index, value)* */
export const SPARSE_ARRAY = 0x8f;
/** index of a name */
export const GLOBAL = 0x90;
/** class, then the state as an object */
export const INSTANCE = 0x91;
/** class, the state for its setState method */
export const INSTANCE_STATE = 0x92;

export const NULL_OBJECT = 0x93;
/** sign, length, hexadecimal digits */
export const BIGINT = 0x94;
/** count, (key, value)* */
export const MAP = 0x95;
/** count, values */
export const SET = 0x96;
/** milliseconds as a float64 */
export const DATE = 0x97;
/** source, flags, lastIndex */
export const REGEXP = 0x98;
/** the primitive */
export const BOXED = 0x99;
/** length, bytes */
export const BUFFER = 0x9a;
/** length, bytes */
export const ARRAY_BUFFER = 0x9b;
/** view kind, ArrayBuffer, byte offset, element count */
export const VIEW = 0x9c;
/** class kind, which of message, stack, cause, errors, name it has, those */
export const ERROR = 0x9d;
/** kind: 0 registered symbol, 1 well-known; its key */
export const SYMBOL = 0x9e;
/** callable, arguments */
export const REDUCE = 0x9f;

/** (object made by REDUCE) state */
export const REDUCE_STATE = 0xc0;
/** target, this, arguments */
export const BOUND = 0xc1;
/** class, then the built-in object whose class it is */
export const SUBCLASS = 0xc2;
/** the object, then its own properties as an object */
export const PROPERTIES = 0xc3;
/** the object, then count, (symbol, value)* */
export const SYMBOL_PROPERTIES = 0xc4;
/** href */
export const URL_OBJECT = 0xc5;
/** text */
export const URL_SEARCH_PARAMS = 0xc6;
/** message, name, stack */
export const DOM_EXCEPTION = 0xc7;
/** view kind, byte length, bytes: a view with a buffer of its own */
export const OWN_VIEW = 0xc8;
/** what the ArrayBuffer in shared memory belongs to */
export const SHARED_BUFFER = 0xc9;
/** view kind, ArrayBuffer in shared memory, byte offset, byte length */
export const SHARED_VIEW = 0xca;
/** index in the table of code, what it extends, early variables, the others, private statics, prototype */
export const CLOSURE = 0xcb;
/** a value that the next one needs, and the next one */
export const AFTER = 0xcc;
/** index in the table of imports */
export const IMPORTED = 0xcd;
/** count, classes, the object, then count, the values of its private fields */
export const STAMPED = 0xce;
/** a class, an object of it or undefined, the name of the member that is the function */
export const MEMBER = 0xcf;
/** a function, whose prototype it is */
export const PROTOTYPE = 0xd0;

/** width, bytes: an array of nothing but numbers */
export const NUMBERS = 0xd1;

/** What ERROR's second byte says. @internal */
export const errorParts = ['message', 'stack', 'cause', 'errors', 'name'] as const;

/** ERROR's first byte is an index into this. @internal */
export const errorClasses: readonly ErrorConstructor[] = [
  Error,
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
  AggregateError as unknown as ErrorConstructor,
];

interface ViewClass {
  readonly prototype: ArrayBufferView;
  readonly BYTES_PER_ELEMENT?: number;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): ArrayBufferView;
}

/** VIEW's first byte is an index into this. @internal */
export const viewNames = [
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
] as const;

/** The classes of these names; one that this Node lacks is a hole. @internal */
export const viewClasses: readonly (ViewClass | undefined)[] = viewNames.map(
  (name) => (globalThis as unknown as Record<string, ViewClass | undefined>)[name],
);

/** SHARED_VIEW's first byte for a Buffer. @internal */
export const BUFFER_KIND = 0xff;

/** The symbols of the language itself, by name. @internal */
export const wellKnownSymbols: ReadonlyMap<string, symbol> = new Map(
  Object.getOwnPropertyNames(Symbol).flatMap((name) => {
    const value: unknown = (Symbol as unknown as Record<string, unknown>)[name];
    return typeof value === 'symbol' && Symbol.keyFor(value) === undefined ? [[name, value]] : [];
  }),
);

/** `[callable, args, state?]`: how an object is made again; Python's `__reduce__`. */
export const reduceSymbol: unique symbol = Symbol.for('multiprocessing.reduce');
/** Gives the state to send instead of the own properties; Python's `__getstate__`. */
export const getStateSymbol: unique symbol = Symbol.for('multiprocessing.getState');
/** Takes the state in instead of plain assignment; Python's `__setstate__`. */
export const setStateSymbol: unique symbol = Symbol.for('multiprocessing.setState');
