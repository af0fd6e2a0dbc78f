/**
 * How the objects of a Connection become bytes: CPython has pickle alone. Deviations: D-073.
 */
import { inspect } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';
import { getReducer } from '../pickle/reducer.ts';
import { ForkingPickler, loadsSoon } from '../pickle/reduction.ts';
import * as pythonPickle from '../python_pickle/python_pickle.ts';

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
  loads: loadsSoon,
  loadsSync: ForkingPickler.loadsSync,
};

/** For plain data, and for Python at the other end. */
const python: Codec = {
  dumps: (obj) => pythonPickle.dumps(obj),
  loads: (bytes) => pythonPickle.loads(bytes),
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
  if (typeof option?.dumps === 'function' && typeof option.loads === 'function') return option;
  throw typeError(`codec must be a name or have dumps() and loads(), not ${inspect(option)}`);
}
