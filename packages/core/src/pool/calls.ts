/**
 * Functions and their arguments on the way to workers: by name where they have one, by value where they have none.
 */
import type { AnyFunction } from '../base/names.ts';
import { dumpsForWorker } from '../closures/closures.ts';
import { GLOBAL, HAS_NAMES, MAGIC } from '../pickle/codes.ts';
import type { Pickled } from '../pickle/message.ts';
import { dumpsBeside } from '../pickle/reduction.ts';
import type { Entry, FunctionTable } from './functions.ts';
import type { TaskMessage } from './port.ts';
import type { Call, Task } from './tasks.ts';

/** @internal */
export class Calls {
  readonly #functions: FunctionTable;
  /** Whether workers have what the main module exports by its name. */
  readonly #mainByName: () => boolean;
  readonly #named = new WeakMap<AnyFunction, Entry>();

  constructor(functions: FunctionTable, mainByName: () => boolean) {
    this.#functions = functions;
    this.#mainByName = mainByName;
  }

  /** Has a function ready for workers, until `end`. @throws PicklingError, OSError */
  begin(fn: AnyFunction): Call {
    const mainByName = this.#mainByName();
    const entry = this.#entryOf(fn, mainByName);
    return { fn, name: fn.name || '(anonymous)', entry, mainByName };
  }

  /** No task of it is on its way any more. */
  end(call: Call): void {
    this.#functions.release(call.entry);
  }

  #entryOf(fn: AnyFunction, mainByName: boolean): Entry {
    const known = mainByName ? this.#named.get(fn) : undefined;
    if (known !== undefined && this.#functions.has(known)) return this.#functions.again(known);
    const pieces = dumpsForWorker(fn, mainByName);
    const entry = this.#functions.use(pieces);
    if (mainByName && isByName(pieces)) this.#named.set(fn, entry);
    return entry;
  }

  /** Meanwhile a worker may have come that does not have the main module. */
  #currentEntry(call: Call): Entry {
    const mainByName = this.#mainByName();
    if (call.mainByName !== mainByName) {
      const { entry } = call;
      call.entry = this.#entryOf(call.fn, mainByName);
      call.mainByName = mainByName;
      this.#functions.release(entry);
    }
    return call.entry;
  }

  /** A task's message. @throws PicklingError, OSError */
  pickle({ call, kind, items, index, attempt }: Task): Pickled {
    const { id, at, length } = this.#currentEntry(call);
    const parts: TaskMessage = [id, at, length, kind, items, index, attempt];
    try {
      const message = dumpsBeside(parts);
      if (this.#mainByName() || !hasNames(message)) return message;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ERR_MP_PICKLING') throw error;
    }
    const pieces = dumpsForWorker(parts, this.#mainByName());
    const [bytes, ...beside] = pieces as [Uint8Array, ...Uint8Array[]];
    return { bytes, start: 0, length: bytes.length, beside };
  }
}

/** Whether a message is a name, and nothing else. */
function isByName([message]: readonly Uint8Array[]): boolean {
  return message?.[0] === MAGIC && message[2] === GLOBAL;
}

function hasNames({ bytes, start }: Pickled): boolean {
  return ((bytes[start + 1] as number) & HAS_NAMES) !== 0;
}
