/**
 * How the objects of a Connection become bytes: CPython has pickle alone. Deviations: D-073.
 */
import { inspect } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';
import { lateRoom } from '../base/late_rooms.ts';
import { ModuleList } from '../pickle/module_list.ts';
import { getReducer } from '../pickle/reducer.ts';
import { loadsNow, loadsSoon } from '../pickle/reduction.ts';
import type * as pythonPickle from '../python_pickle/python_pickle.ts';

/** Turns objects into bytes and back. */
export interface Codec {
  dumps(obj: unknown): Uint8Array;
  loads(bytes: Uint8Array): unknown;
  /** As `loads`, without a promise; `loads` itself is called, without. */
  loadsSync?(bytes: Uint8Array): unknown;
}

/** The name of a codec of this library, or one of the program's own. */
export type CodecOption = 'multiprocessing' | 'pickle' | Codec;

const forking: Codec = {
  dumps: (obj) => getReducer().ForkingPickler.dumps(obj),
  loads: (bytes) => loadsSoon(bytes),
  loadsSync: (bytes) => loadsNow(bytes),
};

/** The default codec, for messages that may name these modules only. It travels as it is. */
interface Restricted {
  readonly allowedModules: readonly string[];
}

function restricted({ allowedModules }: Restricted): Codec {
  const rules = { fromParent: false, allowed: new ModuleList(allowedModules) };
  return {
    dumps: forking.dumps,
    loads: (bytes) => loadsSoon(bytes, rules),
    loadsSync: (bytes) => loadsNow(bytes, rules),
  };
}

/** What connections take. */
export interface CodecOptions {
  /** How objects become bytes: `'multiprocessing'` (default), `'pickle'`, or a codec of one's own. */
  codec?: CodecOption | undefined;
  /**
   * The modules that a message may name which is received: absolute paths and `file:` URLs of files, of folders with a slash
   * at their end; names of Node's modules; `'globalThis'`, `'multiprocessing'`. Any, without. For the default codec.
   */
  allowedModules?: readonly (string | URL)[] | undefined;
}

/** @throws TypeError, ValueError @internal */
export function codecOf({ codec, allowedModules }: CodecOptions): CodecOption | undefined {
  if (allowedModules === undefined) return codec;
  if (codec !== undefined && codec !== 'multiprocessing' && !isRestricted(codec)) {
    throw new ValueError(
      "allowedModules is for the default codec: 'pickle' names no modules, and one of your own decides itself",
    );
  }
  const { entries } = new ModuleList(allowedModules);
  return { allowedModules: entries } as unknown as CodecOption;
}

function isRestricted(option: object | string): option is Restricted {
  return typeof option === 'object' && option !== null && 'allowedModules' in option;
}

const pythonRoom = () => lateRoom<typeof pythonPickle>('python_pickle');

/** For Python at the other end: data, and what the table of its types has. */
const python: Codec = {
  dumps: (obj) => pythonRoom().dumps(obj),
  loads: (bytes) => pythonRoom().loads(bytes),
};

const codecs = new Map<string, Codec>([
  ['multiprocessing', forking],
  ['pickle', python],
]);

/** @throws ValueError for a name that is unknown, TypeError for what is no codec @internal */
export function resolveCodec(option: CodecOption | undefined): Codec {
  if (option === undefined) return forking;
  if (typeof option === 'string') {
    const codec = codecs.get(option);
    if (codec !== undefined) return codec;
    throw new ValueError(
      `codec: ${inspect(option)} is unknown, expected one of ${[...codecs.keys()].join(', ')}`,
    );
  }
  if (isRestricted(option)) return restricted(option);
  if (typeof option?.dumps === 'function' && typeof option.loads === 'function') return option;
  throw typeError(`codec must be a name or have dumps() and loads(), not ${inspect(option)}`);
}
