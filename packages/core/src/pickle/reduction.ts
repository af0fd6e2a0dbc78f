/**
 * multiprocessing/reduction.py: what turns objects into bytes for another process.
 *
 * Functions and classes travel by name (qualname.ts), everything else by its content. The codec is the
 * project's own: one pass over the object, cycles and shared references kept, nothing to load but these
 * files; benchmarks/codec.ts compares it with others.
 *
 *     classes.ts             who reduces what, and whose instances are their properties
 *     codes.ts               the format: the byte that each value begins with
 *     evaluated.ts           functions of modules that a test runner has evaluated
 *     function_inspector.ts  what only V8's inspector knows of a function
 *     hidden_class.ts        whether two objects are laid out alike
 *     kinds.ts               objects that the engine made special: Map, Date, Error, typed arrays ...
 *     known_names.ts         the names of the language's, Node's and this library's own exports
 *     message.ts             a message with its numbered objects; refusals and their paths
 *     module_exports.ts      what an ES module exports
 *     message_guard.ts       what one message has found and copied so far
 *     module_list.ts         the modules that messages may name: `allowedModules`
 *     modules.ts             from a name back to the object, importing its module
 *     numbers.ts             arrays of nothing but numbers
 *     permissions.ts         what a message may name and call
 *     pickler.ts             objects to bytes
 *     properties.ts          properties that a message gives an object
 *     qualname.ts            from a function to its name
 *     reader.ts              bytes, numbers and texts out of a message
 *     realms.ts              objects of the contexts of node:vm
 *     reducer.ts             the replaceable pickler of a context
 *     scripts.ts             from V8's number of a script to its URL and source
 *     session.ts             fds that are shared while an object is pickled
 *     shapes.ts              records that are written with the same keys again and again
 *     shared_buffers.ts      which ArrayBuffers lie in shared memory
 *     thread_sharing.ts      shared objects for a worker thread
 *     unpickle_kinds.ts      how the objects of kinds.ts are read
 *     unpickler.ts           bytes to objects
 *     writer.ts              bytes, numbers and texts into a message
 */
import * as errors from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { getLogger, Logger } from '../util/logging.ts';
import { type Reduced, registerReducer } from './classes.ts';
import type { Pickled } from './message.ts';
import { ensureLoadedSync, loadWith } from './modules.ts';
import { ANYBODY, type Rules } from './permissions.ts';
import { Pickler } from './pickler.ts';
import { beginSession, undoSession } from './session.ts';
import { Unpickler } from './unpickler.ts';

export { type AnyFunction, type Name, nameExports } from '../base/names.ts';
export type { Reduced } from './classes.ts';
export { getStateSymbol, reduceSymbol, setStateSymbol } from './codes.ts';
export { rememberModule, setModuleImporter } from './modules.ts';
export { findNameBefore, nameOf } from './qualname.ts';

/** A pickler at rest; a reduce method that pickles something itself gets another one. */
let idle: Pickler | undefined;

function pickling<T>(pickle: (pickler: Pickler, obj: unknown) => T, obj: unknown): T {
  const pickler = idle ?? new Pickler();
  idle = undefined;
  const mark = beginSession();
  try {
    return pickle(pickler, obj);
  } catch (error) {
    undoSession(mark);
    throw error;
  } finally {
    idle = pickler;
  }
}

/** Pickles objects for other processes; Python's `ForkingPickler`. */
export class ForkingPickler {
  readonly #write: (bytes: Uint8Array) => void;

  /** @param write is given each pickled object's bytes */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /**
   * Pickles an object and writes it.
   * @throws PicklingError if something in it cannot be sent; the message says what and where
   */
  dump(obj: unknown): void {
    this.#write(ForkingPickler.dumps(obj));
  }

  /**
   * Pickles an object. The bytes are not written to again; they may be a part of a larger ArrayBuffer,
   * as those of a small Buffer are.
   * @throws PicklingError if something in it cannot be sent; the message says what and where
   */
  static dumps(obj: unknown): Uint8Array {
    return pickling(dumpsWith, obj);
  }

  /**
   * Makes the object again, importing the modules of the functions and classes that it names. The bytes
   * must stay as they are until then.
   * @throws UnpicklingError if the bytes are damaged, or name something that cannot be found here
   */
  static async loads(bytes: Uint8Array): Promise<unknown> {
    return loadsSoon(bytes);
  }

  /**
   * Makes the object again without waiting.
   * @throws UnpicklingError as loads(), and if a module has not been loaded and cannot be synchronously
   */
  static loadsSync(bytes: Uint8Array): unknown {
    return loadsNow(bytes);
  }

  /**
   * Registers how the direct instances of a class are pickled; derived classes are not concerned.
   * @param cls any class but Object, Array and Function
   * @param reduce returns `[callable, args]` or `[callable, args, state]`; the callable must be exported
   */
  static register<T extends object>(
    cls: abstract new (...args: never[]) => T,
    reduce: (value: T) => Reduced,
  ): void {
    registerReducer(cls, reduce);
  }
}

const dumpsWith = (pickler: Pickler, obj: unknown) => pickler.dumps(obj);
const dumpsBesideWith = (pickler: Pickler, obj: unknown) => pickler.dumpsBeside(obj);

/**
 * Pickles an object without copying its large typed arrays; Python's `pickle.dumps(buffer_callback=)`. They are the
 * object's own memory.
 * @throws PicklingError
 * @internal
 */
export function dumpsBeside(obj: unknown): Pickled {
  return pickling(dumpsBesideWith, obj);
}

const NOTHING: readonly Uint8Array<ArrayBuffer>[] = [];

/** A message at the beginning of a buffer, and what stands beside it. @internal */
export interface Received {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly beside: readonly Uint8Array<ArrayBuffer>[];
}

/** As `ForkingPickler.loads`, with a promise only when modules have to be imported first. @internal */
export function loadsSoon(bytes: Uint8Array, rules = ANYBODY): unknown {
  const unpickler = new Unpickler(bytes, NOTHING, bytes.length, undefined, rules);
  return unpickler.names.length === 0 ? unpickler.load() : loadLater(unpickler);
}

/** As `ForkingPickler.loadsSync`. @internal */
export function loadsNow(bytes: Uint8Array, rules = ANYBODY): unknown {
  const unpickler = new Unpickler(bytes, NOTHING, bytes.length, undefined, rules);
  for (const name of unpickler.names) ensureLoadedSync(name);
  return unpickler.load();
}

/** As `ForkingPickler.loadsSync`, or a promise when modules have to be imported first. @internal */
export function loadsBeside(
  { bytes, length, beside }: Received,
  sync: boolean,
  rules: Rules,
): unknown {
  const unpickler = new Unpickler(bytes, beside, length, undefined, rules);
  if (unpickler.names.length === 0) return unpickler.load();
  if (!sync) {
    // What is received next will overwrite the bytes.
    const copy = Uint8Array.from(bytes.subarray(0, length));
    return loadLater(new Unpickler(copy, beside, length, undefined, rules));
  }
  for (const name of unpickler.names) ensureLoadedSync(name);
  return unpickler.load();
}

function loadLater(unpickler: Unpickler): Promise<unknown> {
  return loadWith(unpickler.names, () => unpickler.load());
}

/** ForkingPickler.register as a function; Python's `reduction.register`. */
export const register: typeof ForkingPickler.register = (cls, reduce) =>
  registerReducer(cls, reduce);

/** Pickles an object and gives its bytes to `write`; Python's `reduction.dump`. */
export function dump(obj: unknown, write: (bytes: Uint8Array) => void): void {
  new ForkingPickler(write).dump(obj);
}

// The library's own classes are named here, which spares their users the search (20 ms the first time).
nameExports(import.meta.url, { ...errors, getLogger });

// As Python's: a logger is the receiver's own of that name.
registerReducer(Logger, (logger) => {
  if (logger === getLogger()) return [getLogger, []];
  throw new errors.PicklingError(
    'a Logger that getLogger() has not made cannot be sent: send that one, or log in this process',
  );
});
