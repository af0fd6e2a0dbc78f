/**
 * What is said about objects that are no plain data for Python. Whoever follows the advice sends the data, whole.
 */
import { inspect, types } from 'node:util';
import { Refusal } from '../pickle/message.ts';

const DATA =
  'send what it holds as a plain object, an Array, a Map or a Set, or register its class by registerClass()';
const PRIVATE = 'nobody can list what it holds';

/** What to do about objects that are none of the plain data, and how those are called whose class has no name. */
const advice: readonly (readonly [
  test: (value: object) => boolean,
  advice: string,
  called?: string,
])[] = [
  [types.isDate, 'send new Date(it)'],
  [types.isNativeError, 'send its message, its stack or what else it holds'],
  [types.isRegExp, 'send its source and its flags'],
  [types.isPromise, 'await it first'],
  [types.isSymbolObject, 'send its description', 'a Symbol object'],
  [types.isBoxedPrimitive, 'send its valueOf()'],
  [types.isDataView, 'send new Uint8Array(it.buffer, it.byteOffset, it.byteLength) for its bytes'],
  [
    ArrayBuffer.isView,
    'send Array.from(it) for a list, or new Uint8Array(it.buffer, it.byteOffset, it.byteLength) for its bytes',
  ],
  [types.isAnyArrayBuffer, 'send new Uint8Array(it) for its bytes'],
  [Array.isArray, 'send Array.from(it) for a list, or Tuple.from(it)'],
  [types.isMap, 'send new Map(it)'],
  [types.isSet, 'send new Set(it)'],
  [types.isWeakMap, PRIVATE],
  [types.isWeakSet, PRIVATE],
  [types.isGeneratorObject, 'send an Array of what it yields', 'a generator'],
  [types.isMapIterator, 'send an Array of what it yields', 'an iterator'],
  [types.isSetIterator, 'send an Array of what it yields', 'an iterator'],
  [(value) => value instanceof URL, 'send its href'],
  [(value) => value instanceof URLSearchParams, 'send its toString()'],
];

const special = advice.map(([test]) => test).filter((test) => test !== Array.isArray);

/**
 * Whether an object is one of these though it has the prototype of a plain one, or none. Every empty object is asked, so that
 * the questions stand one by one, which takes a third of the time of a loop.
 * @internal
 */
export function isKnownSpecial(value: object): boolean {
  // This tells those that the engine shows so whatever their prototype.
  if (Object.prototype.toString.call(value) !== '[object Object]') {
    for (const test of special) if (test(value)) return true;
  }
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    ArrayBuffer.isView(value) ||
    types.isAnyArrayBuffer(value) ||
    types.isPromise(value) ||
    types.isSymbolObject(value) ||
    types.isBigIntObject(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isGeneratorObject(value) ||
    types.isMapIterator(value) ||
    types.isSetIterator(value)
  );
}

/** @internal */
export function notPlain(value: object): Refusal {
  const known = advice.find(([test]) => test(value));
  const cls: unknown = (value as { constructor?: { name?: unknown } }).constructor?.name;
  const name = typeof cls === 'string' && cls !== '' ? withArticle(cls) : undefined;
  const called = known?.[2] ?? name ?? 'an object whose class has no name';
  return new Refusal(`${called} cannot be sent to Python: ${known?.[1] ?? DATA}`);
}

/** What is said about values that are no objects. @internal */
export function notData(value: unknown): Refusal {
  const what = `a ${typeof value} cannot be sent to Python: ${inspect(value)}`;
  if (typeof value === 'symbol') return new Refusal(`${what}; send its description`);
  return new Refusal(`${what}; send data only, and have Python call a function of its own`);
}

/** As one says it: `a URL`, `an Error`, `a Uint8Array`, `an HTTPAgent`. */
export function withArticle(name: string): string {
  const vowel = /^[AEIO]/i.test(name) && !/^(Eu|One|Once)/.test(name);
  const short = /^[FHLMNRSX](?![a-z])/.test(name) && name.length > 1; // said letter by letter
  const youSound = /^U(?![a-z])|^U[a-z]?[aeiou]/.test(name);
  const u = /^U/i.test(name) && !youSound;
  return `${vowel || short || u ? 'an' : 'a'} ${name}`;
}
