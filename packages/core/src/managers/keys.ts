/**
 * What is the same key of a dict, or the same element of a set: texts, numbers and the like by their value, and lists of them
 * (Python's tuples) as well.
 */
import { inspect } from 'node:util';
import { typeError } from '../base/errors.ts';

/** What stands for a key in a Map. @throws TypeError for what Python cannot hash either @internal */
export function keyOf(key: unknown): unknown {
  if (typeof key === 'bigint') return Number.isSafeInteger(Number(key)) ? Number(key) : key;
  if (typeof key === 'string') return key.charCodeAt(0) === MARK ? `${MARKED}s${key}` : key;
  if (typeof key !== 'object') return key;
  if (key === null) return undefined;
  return MARKED + textOf(key);
}

/** Begins the text that stands for something else; texts that begin so themselves get another one before it. */
const MARKED = '\0';
const MARK = 0;

function textOf(key: unknown): string {
  if (typeof key === 'string') return `s${key.length}:${key}`;
  if (typeof key === 'bigint') return `n${key}`;
  if (typeof key === 'number') return `n${Object.is(key, -0) ? 0 : key}`;
  if (typeof key === 'boolean') return key ? 'T' : 'F';
  if (key === undefined || key === null) return 'N';
  if (Array.isArray(key)) return `(${key.map(textOf).join(',')})`;
  if (key instanceof Uint8Array) return `b${Buffer.from(key).toString('hex')}`;
  if (key instanceof Date) return `d${key.getTime()}`;
  throw typeError(
    `unhashable type: a key is a text, a number or a list of them, not ${inspect(key)}`,
  );
}
