/**
 * Counterpart of Python's pickle.py, for plain data that is exchanged with Python programs: `None`, bool, int, float,
 * str, bytes, list, tuple, dict and set, nested, shared and in cycles. Deviations: D-066, D-067, D-068.
 *
 * Reading makes nothing else: it imports nothing, calls nothing and runs no code of the program, so that bytes of a
 * stranger may be read. What becomes what is in docs/cpython-interop.md.
 *
 *     advice.ts        what to send in place of what Python has not
 *     arrays.ts        array.array as typed arrays, and back
 *     builder.ts       what the unpickler makes: containers, and objects by the table of types
 *     classes.ts       classes and enums that the program has registered
 *     collections.ts   deque, OrderedDict, defaultdict, Counter
 *     datetime.ts      datetime, date and time
 *     depth.ts         how deeply data may be nested
 *     dict.ts          a dict's items as a Map or an object
 *     dtypes.ts        the element types of numpy's arrays
 *     exceptions.ts    Python's exceptions as errors, and back
 *     globals.ts       the few calls that plain data needs
 *     half.ts          numbers of 16 bits
 *     known_types.ts   the table of types that every message may name
 *     memo.ts          the numbered objects of a message that is read
 *     numbers.ts       Decimal, Fraction, complex; range and slice
 *     numpy.ts         numpy's arrays and scalars
 *     opcodes.ts       the opcodes of protocols 0 to 5
 *     pickler.ts       objects to opcodes
 *     places.ts        UUID, and the paths of pathlib
 *     python_error.ts  exceptions that have no other class here
 *     reader.ts        bytes, numbers and lines out of a message
 *     references.ts    what has been written already, and what can be hashed
 *     repr.ts          how Python shows a value
 *     stack.ts         the unpickler's stack
 *     text.ts          Python's texts, also those that are no Unicode
 *     timezones.ts     timedelta, timezone, ZoneInfo
 *     tuple.ts         Tuple: an array that is a tuple there
 *     types.ts         the table of types, and what a row of it says
 *     unknown.ts       objects of unknown classes, for people to read
 *     unpickler.ts     opcodes to objects; it imports nothing
 *     writer.ts        opcodes, numbers and texts into a message
 */
import { inspect, types } from 'node:util';
import { checkOptions } from '../base/arguments.ts';
import { typeError, UnpicklingError, ValueError } from '../base/errors.ts';
import { enterRoom } from '../base/late_rooms.ts';
import { processWide } from '../base/state.ts';
import { addClass, addEnum, type ClassOptions, type EnumClass } from './classes.ts';
import { checkDepth } from './depth.ts';
import { knownTypes } from './known_types.ts';
import { typedArraysOfNumpy } from './numpy.ts';
import { PythonPickler } from './pickler.ts';
import { type AnyClass, type PythonType, PythonTypes } from './types.ts';
import { unknownType } from './unknown.ts';
import { PythonUnpickler } from './unpickler.ts';

export { type NumberArray, PythonArray } from './arrays.ts';
export type { ClassOptions, EnumClass } from './classes.ts';
export { Counter, DefaultDict, Deque, OrderedDict } from './collections.ts';
export { DateOnly, DateTime, TimeOnly, type TimeOptions } from './datetime.ts';
export { DType } from './dtypes.ts';
export type { FromPython } from './exceptions.ts';
export { Complex, Decimal, Fraction, type Integer, Range, Slice } from './numbers.ts';
export { NDArray, type Order } from './numpy.ts';
export { Path, type PathKind, UUID } from './places.ts';
export { AttributeError, KeyError, PythonError } from './python_error.ts';
export { TimeDelta, TimeZone, type TimeZoneInfo, ZoneInfo } from './timezones.ts';
export { Tuple } from './tuple.ts';
export {
  type AnyClass,
  type BuildCall,
  GlobalName,
  type PythonType,
  PythonTypes,
  type ReduceCall,
  type Reduced,
} from './types.ts';
export { UnknownObject } from './unknown.ts';

/** Python's `pickle.DEFAULT_PROTOCOL`, which every Python from 3.4 on reads. */
export const DEFAULT_PROTOCOL = 4;
/** Python's `pickle.HIGHEST_PROTOCOL`. */
export const HIGHEST_PROTOCOL = 5;
const lowestProtocol = 2;

const ofNumpy = PythonTypes.later(() => [typedArraysOfNumpy()]);
const overOthers = new WeakMap<PythonTypes, PythonTypes>();

/** @throws ValueError */
function tableFor(typedArrays: unknown, below: PythonTypes): PythonTypes {
  if (typedArrays === 'array') return below;
  if (typedArrays !== 'numpy') {
    throw new ValueError(`typedArrays must be 'array' or 'numpy', not ${inspect(typedArrays)}`);
  }
  let table = overOthers.get(below);
  if (table === undefined) {
    table = new PythonTypes(ofNumpy, below);
    overOthers.set(below, table);
  }
  return table;
}

/** What the program has registered, whichever copy of this library it asked. */
const ofProgram = processWide('types for Python', () => new PythonTypes());
/** All that every message may name. What is known is each copy's own: its classes are. */
const registered = new PythonTypes(ofProgram, knownTypes);

/** Levels of nesting: about as many as CPython's pickler writes, which is limited by Python's stack. */
const defaultDepth = 1000;

/** A pickler at rest; a getter that pickles something itself gets another one. */
let idle: PythonPickler | undefined;

/** How an object is written. */
export interface DumpsOptions {
  /** 2 to 5; 4 unless given. Python 2 reads 2. */
  readonly protocol?: number | undefined;
  /** Levels of nesting; 1000 unless given. */
  readonly maxDepth?: number;
  /**
   * As what typed arrays other than a Uint8Array go: as `array.array`, which every Python has, unless given; `'numpy'` as an
   * `ndarray`, for a Python that has numpy.
   */
  readonly typedArrays?: 'array' | 'numpy';
}

/** What a pickle may ask for. */
export interface LoadsOptions {
  /** How many values it may have, keys included; as many as its bytes can name unless given. */
  readonly maxItems?: number;
  /** Levels of nesting; 1000 unless given. */
  readonly maxDepth?: number;
  /** The buffers that the writer has kept out of the pickle by `buffer_callback`, in their order; protocol 5. */
  readonly buffers?: readonly Uint8Array[];
}

/** By which table a pickle is written or read, and what its rows are given. @internal */
export interface Scope {
  readonly types: PythonTypes;
  readonly context?: unknown;
  /** Whether what is of an unknown class is read as an UnknownObject, for people, and not refused. */
  readonly describesUnknown?: boolean;
}

/**
 * Lets instances of a class travel to Python, as those of the class of that name there, and back. A dataclass and other classes
 * without a `__reduce__` need no options: the fields are the properties. An error class is an exception there.
 * No constructor runs when one is read.
 * @param name the module's and the class's: `'app.models.Point'`, or `'app.models:Outer.Point'` for one that is in another one
 * @throws TypeError for what is no class; ValueError for a name or a class that is registered already
 */
export function registerClass<T extends object>(
  name: string,
  cls: AnyClass<T>,
  options: ClassOptions<T> = {},
): void {
  checkOptions(
    options,
    ['fields', 'slots', 'namedtuple', 'build', 'setState', 'reduce'],
    'registerClass',
  );
  knownTypes.checkFree(name);
  addClass(ofProgram, name, cls, options);
}

/**
 * Lets the members of an enum travel to Python and back: the static properties of a class that are instances of it, each with a
 * `value`, which is the one of Python's member.
 * @throws TypeError for what is no class; ValueError for one without members, and for a name or class that is registered already
 */
export function registerEnum<T extends object>(name: string, cls: EnumClass<T>): void {
  knownTypes.checkFree(name);
  addEnum(ofProgram, name, cls);
}

/** No options. */
const nothing = {};
const none: readonly Uint8Array[] = [];
const everywhere: Scope = { types: registered };

/** A table on top of that of all pickles, for an upper room's own messages. @internal */
export function typesOnTop(rows: readonly PythonType[]): PythonTypes {
  const table = new PythonTypes(registered);
  for (const row of rows) table.register(row);
  return table;
}

/**
 * Pickles plain data for a Python; `pickle.dumps`.
 * The bytes are not written to again; they may be a part of a larger ArrayBuffer, as those of a small Buffer are.
 * @throws PicklingError that says what in it is no plain data, and where; TypeError or ValueError for a wrong option
 */
export function dumps(obj: unknown, options: DumpsOptions = nothing): Uint8Array {
  return dumpsIn(everywhere, obj, options);
}

/** The same by another table of types. @internal */
export function dumpsIn(scope: Scope, obj: unknown, options: DumpsOptions = nothing): Uint8Array {
  if (options !== nothing) checkOptions(options, ['protocol', 'maxDepth', 'typedArrays'], 'dumps');
  const { protocol = DEFAULT_PROTOCOL, maxDepth = defaultDepth, typedArrays } = options;
  checkCount(maxDepth, 'maxDepth');
  if (typeof protocol !== 'number') {
    throw typeError(`protocol must be a number, not ${inspect(protocol)}`);
  }
  if (!Number.isInteger(protocol) || protocol < lowestProtocol || protocol > HIGHEST_PROTOCOL) {
    throw new ValueError(
      `protocol: ${protocol} is not written here, but ${lowestProtocol} to ${HIGHEST_PROTOCOL} are`,
    );
  }
  const table = typedArrays === undefined ? scope.types : tableFor(typedArrays, scope.types);
  const pickler = idle ?? new PythonPickler();
  idle = undefined;
  try {
    return pickler.dumps(obj, { protocol, maxDepth, types: table, context: scope.context });
  } finally {
    idle = pickler;
  }
}

/**
 * Makes the object of a pickle of protocol 0 to 5; `pickle.loads`. What stands behind its end is ignored, as in Python.
 * @throws UnpicklingError if the bytes are damaged, or ask for anything that is no plain data; TypeError or ValueError
 * for a wrong argument
 */
export function loads(bytes: Uint8Array, options: LoadsOptions = nothing): unknown {
  return loadsIn(everywhere, bytes, options);
}

/** The same by another table of types. @internal */
export function loadsIn(scope: Scope, bytes: Uint8Array, options: LoadsOptions = nothing): unknown {
  if (options !== nothing) checkLoadsOptions(options);
  const { maxItems = Number.MAX_SAFE_INTEGER, maxDepth = defaultDepth, buffers = none } = options;
  if (!types.isUint8Array(bytes)) {
    throw typeError(`loads: bytes must be a Uint8Array, not ${inspect(bytes, { depth: 0 })}`);
  }
  const { types: table, context } = scope;
  const unknown = scope.describesUnknown ? unknownType : undefined;
  const limits = { maxItems, types: table, context, unknown, buffers };
  try {
    let unpickler = new PythonUnpickler(bytes, limits);
    let value = unpickler.load();
    const found = unpickler.findings();
    if (found !== undefined) {
      // Some dicts are to be Maps, which was seen when other objects referred to them already; or all has been found good.
      unpickler = new PythonUnpickler(bytes, limits, found);
      value = unpickler.load();
    }
    if (unpickler.containers > maxDepth) checkDepth(value, maxDepth);
    return value;
  } catch (error) {
    if (error instanceof UnpicklingError) throw error;
    // What the program's own code throws is such an error already: this is more than V8 has room for.
    const why = error instanceof Error ? error.message : String(error);
    throw new UnpicklingError(`the pickle cannot be held in memory: ${why}`, { cause: error });
  }
}

/** @throws TypeError, ValueError */
function checkLoadsOptions(options: LoadsOptions): void {
  checkOptions(options, ['maxItems', 'maxDepth', 'buffers'], 'loads');
  const { maxItems = 0, maxDepth = 0, buffers = none } = options;
  checkCount(maxItems, 'maxItems');
  checkCount(maxDepth, 'maxDepth');
  if (!Array.isArray(buffers) || !buffers.every((buffer) => types.isUint8Array(buffer))) {
    throw typeError(`buffers must be an array of Uint8Arrays, not ${inspect(buffers)}`);
  }
}

function checkCount(count: unknown, name: string): void {
  if (typeof count !== 'number') {
    throw typeError(`${name} must be a number, not ${inspect(count)}`);
  }
  if (!(count >= 0) || (Number.isFinite(count) && !Number.isInteger(count))) {
    throw new ValueError(`${name}: ${count} is no count`);
  }
}

enterRoom('python_pickle', { dumps, loads });
