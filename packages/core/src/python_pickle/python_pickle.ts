/**
 * Counterpart of Python's pickle.py, for plain data that is exchanged with Python programs: `None`, bool, int, float,
 * str, bytes, list, tuple, dict and set, nested, shared and in cycles. Deviations: D-066, D-067, D-068.
 *
 * Reading makes nothing else: it imports nothing, calls nothing and runs no code of the program, so that bytes of a
 * stranger may be read. What becomes what is in docs/cpython-interop.md.
 *
 *     advice.ts     what to send in place of what Python has not
 *     depth.ts      how deeply data may be nested
 *     dict.ts       a dict's items as a Map or an object
 *     globals.ts    the few globals that a message may name
 *     memo.ts       the numbered objects of a message that is read
 *     opcodes.ts    the opcodes of protocols 0 to 5
 *     pickler.ts    objects to opcodes
 *     reader.ts     bytes, numbers and lines out of a message
 *     text.ts       Python's texts, also those that are no Unicode
 *     tuple.ts      Tuple: an array that is a tuple there
 *     unpickler.ts  opcodes to objects; it imports and calls nothing
 *     writer.ts     opcodes, numbers and texts into a message
 */
import { inspect, types } from 'node:util';
import { checkOptions } from '../base/arguments.ts';
import { typeError, UnpicklingError, ValueError } from '../base/errors.ts';
import { checkDepth } from './depth.ts';
import { PythonPickler } from './pickler.ts';
import { PythonUnpickler } from './unpickler.ts';

export { Tuple } from './tuple.ts';

/** Python's `pickle.DEFAULT_PROTOCOL`, which every Python from 3.4 on reads. */
export const DEFAULT_PROTOCOL = 4;
/** Python's `pickle.HIGHEST_PROTOCOL`. */
export const HIGHEST_PROTOCOL = 5;
const lowestProtocol = 2;

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
}

/** What a pickle may ask for. */
export interface LoadsOptions {
  /** How many values it may have, keys included; as many as its bytes can name unless given. */
  readonly maxItems?: number;
  /** Levels of nesting; 1000 unless given. */
  readonly maxDepth?: number;
}

/**
 * Pickles plain data for a Python; `pickle.dumps`.
 * The bytes are not written to again; they may be a part of a larger ArrayBuffer, as those of a small Buffer are.
 * @throws PicklingError that says what in it is no plain data, and where; TypeError or ValueError for a wrong option
 */
export function dumps(obj: unknown, options: DumpsOptions = {}): Uint8Array {
  checkOptions(options, ['protocol', 'maxDepth'], 'dumps');
  const { protocol = DEFAULT_PROTOCOL, maxDepth = defaultDepth } = options;
  checkCount(maxDepth, 'maxDepth');
  if (typeof protocol !== 'number') {
    throw typeError(`protocol must be a number, not ${inspect(protocol)}`);
  }
  if (!Number.isInteger(protocol) || protocol < lowestProtocol || protocol > HIGHEST_PROTOCOL) {
    throw new ValueError(
      `protocol: ${protocol} is not written here, but ${lowestProtocol} to ${HIGHEST_PROTOCOL} are`,
    );
  }
  const pickler = idle ?? new PythonPickler();
  idle = undefined;
  try {
    return pickler.dumps(obj, protocol, maxDepth);
  } finally {
    idle = pickler;
  }
}

/**
 * Makes the object of a pickle of protocol 0 to 5; `pickle.loads`. What stands behind its end is ignored, as in Python.
 * @throws UnpicklingError if the bytes are damaged, or ask for anything that is no plain data; TypeError or ValueError
 * for a wrong argument
 */
export function loads(bytes: Uint8Array, options: LoadsOptions = {}): unknown {
  checkOptions(options, ['maxItems', 'maxDepth'], 'loads');
  const { maxItems = Number.MAX_SAFE_INTEGER, maxDepth = defaultDepth } = options;
  checkCount(maxItems, 'maxItems');
  checkCount(maxDepth, 'maxDepth');
  if (!types.isUint8Array(bytes)) {
    throw typeError(`loads: bytes must be a Uint8Array, not ${inspect(bytes, { depth: 0 })}`);
  }
  try {
    let unpickler = new PythonUnpickler(bytes, { maxItems });
    let value = unpickler.load();
    if (unpickler.maps.size > 0) {
      // Some dicts are to be Maps, which was seen when other objects referred to them already.
      unpickler = new PythonUnpickler(bytes, { maxItems }, unpickler.maps);
      value = unpickler.load();
    }
    if (unpickler.containers > maxDepth) checkDepth(value, maxDepth);
    return value;
  } catch (error) {
    if (error instanceof UnpicklingError) throw error;
    // No code of the program runs here: more than V8 has room for.
    const why = error instanceof Error ? error.message : String(error);
    throw new UnpicklingError(`the pickle cannot be held in memory: ${why}`, { cause: error });
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
