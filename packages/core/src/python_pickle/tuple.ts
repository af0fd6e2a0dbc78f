/**
 * Python's tuple, for the pickles that are exchanged with Python.
 */
import { nameExports } from '../base/names.ts';

/**
 * An array that is a tuple for Python: `Tuple.of('a', 1)`, `Tuple.from(items)`. What is made of it by `map`, `slice` and the
 * like is an ordinary array. As the key of a Map or an element of a Set it may hold only what Python can hash.
 */
export class Tuple<T = unknown> extends Array<T> {
  /** @internal */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

nameExports(import.meta.url, { Tuple });
