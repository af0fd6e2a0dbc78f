/**
 * Functions by value: what the third-party package cloudpickle is to Python. No counterpart in CPython.
 *
 * A message with code begins with the code (code.ts), behind it stands an ordinary message that refers to it. It
 * is executed by who reads it, so only a child takes it, from its parent: nothing else in this library reads it.
 * Deviations: D-095, D-096.
 *
 *     capture.ts        what a function has of its surroundings at this moment
 *     cells.ts          variables that several functions have
 *     class_source.ts   the source of a class
 *     code.ts           the code of a message, and how its receiver compiles it
 *     definitions.ts    what is assigned to the variables of a script
 *     importer.ts       how the receiver imports what the sender has imported
 *     imports.ts        which variables hold a module or a part of one, and from where
 *     loaded.ts         the modules that are loaded here, and what compilers make of them
 *     module_values.ts  which module an expression stands for
 *     pickler.ts        the pickler that writes functions by value
 *     privates.ts       what instances have of private members
 *     probe.ts          a call that is stopped: `this`, and who shares a variable
 *     prototypes.ts     what functions and their prototypes have besides their source
 *     shared_variables.ts  which functions have the same variable
 *     source_maps.ts    where a function stands in the file that people have written
 *     source.ts         the source of a function, parsed and edited
 *     stand_ins.ts      what stands in the code for something else
 *     stamps.ts         makes instances with private members
 *     variables.ts      scope analysis: which variables a piece of code uses
 */

import { UnpicklingError } from '../base/errors.ts';
import { CLOSURE, HAS_CODE, MAGIC } from '../pickle/codes.ts';
import type { Pickled } from '../pickle/message.ts';
import { isAtHand, loadWith } from '../pickle/modules.ts';
import { PARENT } from '../pickle/permissions.ts';
import { getReducer } from '../pickle/reducer.ts';
import { dumpsBeside, ForkingPickler } from '../pickle/reduction.ts';
import { beginSession, undoSession } from '../pickle/session.ts';
import { Unpickler } from '../pickle/unpickler.ts';
import { getSpawningPopen } from '../process/spawning.ts';
import { CodeTable, type FunctionCode } from './code.ts';
import { ClosurePickler } from './pickler.ts';
import { endProbing } from './probe.ts';

/** Bytes before the code: the mark, and the length of the code as a u32. */
const HEAD = 5;

class ClosureForkingPickler extends ForkingPickler {
  /**
   * Pickles an object for a child. Functions and classes that the child can import go by name, all others by value:
   * their source, and the variables that they use as they are now.
   * @throws PicklingError if something in it cannot be sent; the message says what and where
   */
  static override dumps(obj: unknown): Uint8Array {
    const [message] = byValue((pickler) => [pickler.dumps(obj)]);
    return message as Uint8Array;
  }
}

/**
 * @param pickle returns the message, and what stands beside it
 * @param mainByName whether what the main module exports goes by name: not to who does not import it
 * @param answered whether the receiver may send functions and classes back that it has got by value
 */
function byValue(
  pickle: (pickler: ClosurePickler) => Uint8Array[],
  mainByName = getSpawningPopen()?.emulatedBy === undefined,
  answered = false,
): Uint8Array[] {
  const pickler = new ClosurePickler(mainByName, answered);
  const mark = beginSession();
  try {
    const [message, ...beside] = pickle(pickler) as [Uint8Array, ...Uint8Array[]];
    const table = pickler.takeTable();
    return [table === undefined ? message : withCode(table, message), ...beside];
  } catch (error) {
    undoSession(mark);
    throw error;
  } finally {
    endProbing();
  }
}

/**
 * Pickles an object for a child, by the reducer in use: the message, and behind it the large runs of bytes that stand
 * beside it, which are the object's own memory and not copied.
 * @param functions whether functions and classes may travel by value
 * @throws PicklingError
 * @internal
 */
export function dumpsForChild(obj: unknown, functions: boolean): readonly Uint8Array[] {
  const reducer = functions ? ClosureForkingPickler : getReducer().ForkingPickler;
  if (reducer === ClosureForkingPickler) {
    return byValue((pickler) => piecesOf(pickler.dumpsBeside(obj)));
  }
  return reducer === ForkingPickler ? piecesOf(dumpsBeside(obj)) : [reducer.dumps(obj)];
}

/**
 * Pickles an object for a child of this process that runs already; functions and classes may travel by value, and come back as
 * what they are here. To be read by `loadsFromParent`.
 * @param mainByName whether the child imports the main module, or has it
 * @returns the message, and what stands beside it
 * @throws PicklingError
 * @internal
 */
export function dumpsForWorker(obj: unknown, mainByName: boolean): readonly Uint8Array[] {
  return byValue((pickler) => piecesOf(pickler.dumpsBeside(obj)), mainByName, true);
}

function piecesOf({ bytes, start, length, beside }: Pickled): Uint8Array[] {
  return [bytes.subarray(start, start + length), ...beside];
}

function withCode(table: string, message: Uint8Array): Uint8Array {
  const code = Buffer.from(table);
  const head = Buffer.alloc(HEAD);
  head[0] = HAS_CODE;
  head.writeUInt32LE(code.length, 1);
  return Buffer.concat([head, code, message]);
}

/**
 * A reducer by which functions and classes need no name: `ctx.reducer = closures` lets targets and arguments be inline
 * functions under spawn and forkserver. Under fork, where a process cannot fork(2), it is what children are made by.
 */
export const closures = { ForkingPickler: ClosureForkingPickler };

/** A message with a function as small as can be, for the server of emulated forks to practise on. @internal */
export function rehearsalMessage(): Uint8Array {
  const code: FunctionCode = {
    text: '() => [a, shared]',
    name: 'rehearsed',
    global: undefined,
    url: '',
    line: 0,
    column: 0,
    strict: true,
    isMember: false,
    extends: false,
    variables: ['a', 'shared'],
    early: 0,
    cells: { shared: 0 },
    own: [],
    imports: { path: { url: '', specifier: 'node:path', by: 'import', path: [] } },
    statics: [],
    hasPrototype: false,
  };
  return withCode(
    JSON.stringify({ functions: [code], imports: [] }),
    Buffer.from([MAGIC, 0, CLOSURE, 0, 1, 2]),
  );
}

/**
 * Makes an object again that this process's parent has pickled. It may hold code, which is executed: never to be given
 * bytes from anybody else.
 * @param beside the large runs of bytes that `dumpsForChild` has left out of the message
 * @returns the object, or a promise of it when something has to be imported first
 * @throws UnpicklingError
 * @internal
 */
export function loadsFromParent(
  bytes: Uint8Array,
  beside: readonly Uint8Array<ArrayBuffer>[] = [],
): unknown {
  if (bytes[0] === HAS_CODE) return loadCode(bytes, beside);
  const unpickler = new Unpickler(bytes, beside, bytes.length, undefined, PARENT);
  return unpickler.names.every(isAtHand) ? unpickler.load() : loadNamed(unpickler);
}

async function loadCode(bytes: Uint8Array, beside: readonly Uint8Array<ArrayBuffer>[]) {
  const length = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32LE(1);
  if (HEAD + length > bytes.length) throw new UnpicklingError('the message ends in its code');
  const message = bytes.subarray(HEAD + length);
  const code = new CodeTable(Buffer.from(bytes.subarray(HEAD, HEAD + length)).toString());
  await code.load();
  return loadNamed(new Unpickler(message, beside, message.length, code, PARENT));
}

function loadNamed(unpickler: Unpickler): Promise<unknown> {
  return loadWith(unpickler.names, () => unpickler.load());
}
