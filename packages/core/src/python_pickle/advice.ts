/**
 * What is said about objects that are no plain data for Python.
 */
import { types } from 'node:util';
import { Refusal } from '../pickle/message.ts';

/** What to do about objects that are none of the plain data. */
const advice: readonly (readonly [test: (value: unknown) => boolean, advice: string])[] = [
  [types.isDate, 'send its getTime() / 1000 or its toISOString()'],
  [types.isRegExp, 'send its source'],
  [types.isNativeError, 'send its message'],
  [types.isPromise, 'await it first'],
  [types.isBoxedPrimitive, 'send its valueOf()'],
  [
    ArrayBuffer.isView,
    'send Array.from(it) for a list, or new Uint8Array(it.buffer, it.byteOffset, it.byteLength) for its bytes',
  ],
  [types.isAnyArrayBuffer, 'send new Uint8Array(it) for its bytes'],
  [Array.isArray, 'send Array.from(it) for a list, or Tuple.from(it)'],
];

/** @internal */
export function notPlain(value: object): Refusal {
  const cls: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  const name = typeof cls === 'string' && cls !== '' ? cls : 'class';
  const known = advice.find(([test]) => test(value));
  const what = known?.[1] ?? 'send what it holds as a plain object, an Array, a Map or a Set';
  const article = /^[AEIOU]/.test(name) ? 'an' : 'a';
  return new Refusal(`${article} ${name} cannot be sent to Python: ${what}`);
}
