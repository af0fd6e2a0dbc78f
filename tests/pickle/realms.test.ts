/**
 * Values of other realms: of contexts of node:vm, and as tests under jest have them. What structuredClone takes goes, and
 * arrives as the receiver's own kind.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import vm from 'node:vm';
import * as mp from 'multiprocessing';
import { dumps, loads } from 'multiprocessing/pickle';
import { ForkingPickler } from 'multiprocessing/reduction';
import { describe, expect, test } from 'vitest';

/** A context with some globals of this one, as jest makes it. */
const jestLike = () =>
  vm.createContext({ ArrayBuffer, Uint8Array, Buffer, URL, URLSearchParams, process, console });

const realms: [name: string, evaluate: (code: string) => unknown][] = [
  ['a context', (code) => vm.runInNewContext(code)],
  ['a context with globals of another', (code) => vm.runInContext(code, jestLike())],
  ['this realm', (code) => vm.runInThisContext(code)],
];

const plain = [
  '({ a: 1, b: { c: [] } })',
  '({})',
  '({ 0: 1, 5: 2 })',
  '[{ a: 1 }, [2], , 3]',
  'Object.assign([1], { extra: 2 })',
  'new Map([[{ a: 1 }, new Set([1])], ["k", new Map()]])',
  'new Set([[1], { a: 1 }])',
];

const special = [
  'new Date(5)',
  '/a(?<n>b)/giu',
  '/a/y',
  ...['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError'].map(
    (name) => `new ${name}('why', { cause: new URIError('of what') })`,
  ),
  ...['Int8', 'Uint8', 'Uint8Clamped', 'Int16', 'Uint16', 'Int32', 'Uint32', 'Float32'].map(
    (name) => `new ${name}Array([1, 2, 3])`,
  ),
  'new Float64Array([0.5, NaN])',
  'new BigInt64Array([1n, -2n])',
  'new BigUint64Array([1n])',
  'new Uint16Array([1, 2, 3]).subarray(1)',
  'new DataView(Uint8Array.of(1, 2, 3).buffer, 1)',
  'Uint8Array.of(1, 2, 3).buffer',
  'new Uint8Array(100_000).fill(7)',
  'Object(1)',
  'Object("text")',
  'Object(true)',
  'Object(5n)',
  'Object.setPrototypeOf(new Map([[1, 2]]), null)',
  'Object.setPrototypeOf(new Map([[1, 2]]), Object.prototype)',
  'Object.setPrototypeOf(Uint8Array.of(1), Object.prototype)',
  'Object.setPrototypeOf([1, 2], null)',
  'Object.setPrototypeOf(new Date(7), null)',
];

describe.each(realms)('values of %s', (_, evaluate) => {
  test.each([...plain, ...special])('%s', (code) => {
    const value = evaluate(code);
    const back = ForkingPickler.loadsSync(ForkingPickler.dumps([value])) as unknown[];
    const wanted: unknown = structuredClone(value);
    expect(back[0]).toStrictEqual(wanted);
    expect(isDeepStrictEqual(back[0], wanted), inspect(back[0])).toBe(true);
    expect(Object.getPrototypeOf(back[0])).toBe(Object.getPrototypeOf(wanted));
  });

  test('an object without a prototype keeps that', () => {
    const value = evaluate('Object.assign(Object.create(null), { a: [1] })');
    const back = ForkingPickler.loadsSync(ForkingPickler.dumps(value)) as object;
    expect(Object.getPrototypeOf(back)).toBeNull();
    expect(back).toEqual(Object.assign(Object.create(null), { a: [1] }));
  });

  test('shared and cyclic ones stay so', () => {
    const value = evaluate('const o = { list: [] }; o.list.push(o); o') as { list: unknown[] };
    const back = ForkingPickler.loadsSync(ForkingPickler.dumps(value)) as { list: unknown[] };
    expect(back.list[0]).toBe(back);
  });

  test.each([
    ...['({ a: 1, b: { c: [] } })', '({})', '[{ a: 1 }, [2]]', 'new Map([[1, new Set([2])]])'],
    ...['new Set()', 'Uint8Array.of(1)', 'Object.setPrototypeOf(new Map([[1, 2]]), null)'],
    'Object.setPrototypeOf(Uint8Array.of(1), Object.prototype)',
  ])("Python's pickle takes %s as its own", (code) => {
    const value = evaluate(code);
    expect(loads(dumps(value))).toStrictEqual(loads(dumps(structuredClone(value))));
  });

  test('bytes are sent as bytes', () => {
    const [a, b] = mp.Pipe();
    for (const code of ['new Uint16Array([258])', 'Uint8Array.of(2, 1).buffer']) {
      a.sendBytesSync(evaluate(code) as ArrayBuffer);
      expect([...b.recvBytesSync()]).toEqual([2, 1]);
    }
    for (const connection of [a, b]) connection.close();
  });

  test('a queue and a connection give what was put', async () => {
    const value = evaluate('({ a: [1, new Map([[1, Uint8Array.of(1)]])] })');
    const queue = mp.Queue();
    await queue.put(value);
    expect(await queue.get()).toStrictEqual(structuredClone(value));
    queue.close();
    const [a, b] = mp.Pipe();
    await a.send(value);
    expect(await b.recv()).toStrictEqual(structuredClone(value));
    for (const connection of [a, b]) connection.close();
  });
});

describe('what structuredClone does not take is refused with its reason', () => {
  test.each<[code: string, why: RegExp]>([
    ['[].map', /'map' cannot be sent: it is native code of another realm.*send this realm's own/],
    ['Map', /'Map' cannot be sent: it is native code of another realm/],
    ['(() => 1)', /an anonymous function .* cannot be sent: it stands in evalmachine/],
    ['new (class Own { a = 1 })()', /class 'Own' cannot be sent: it stands in evalmachine/],
    ['new (class OwnMap extends Map {})()', /class 'OwnMap' cannot be sent: it stands in evalm/],
    ['new Proxy({}, {})', /a Proxy cannot be sent/],
    ['new Proxy(function () {}, {})', /a Proxy cannot be sent/],
    ['const r = Proxy.revocable({}, {}); r.revoke(); r.proxy', /a Proxy cannot be sent/],
    ['new SharedArrayBuffer(1)', /a SharedArrayBuffer cannot be sent/],
    ['new Uint8Array(new SharedArrayBuffer(1))', /a SharedArrayBuffer cannot be sent/],
    ['Promise.resolve()', /a Promise cannot be sent/],
    ['new WeakMap()', /a WeakMap cannot be sent/],
    ['(function* () {})()', /a generator cannot be sent/],
    ['Object.setPrototypeOf(Promise.resolve(), Object.prototype)', /a Promise cannot be sent/],
  ])('%s', (code, why) => {
    expect(() => ForkingPickler.dumps(vm.runInNewContext(code))).toThrow(
      expect.objectContaining({ name: 'PicklingError', message: expect.stringMatching(why) }),
    );
  });

  test('an ArrayBuffer whose memory is gone, and views of it', () => {
    const buffer = new ArrayBuffer(8);
    const views = [new Uint8Array(buffer), new DataView(buffer, 2), Buffer.from(buffer)];
    structuredClone(buffer, { transfer: [buffer] });
    for (const value of [buffer, ...views]) {
      expect(() => ForkingPickler.dumps({ value })).toThrow(
        /memory has been transferred.*at value/,
      );
    }
  });
});

test('the namespaces of another realm are our own', () => {
  const value = vm.runInNewContext('[Math, JSON, Intl]');
  const back = ForkingPickler.loadsSync(ForkingPickler.dumps(value)) as unknown[];
  expect(back.map((each, i) => each === [Math, JSON, Intl][i])).toEqual([true, true, true]);
});

test('nobody is taken in by what only looks like something else', () => {
  const values: [value: object, wanted: unknown][] = [
    [
      { [Symbol.toStringTag]: 'Map', a: 1 },
      { [Symbol.toStringTag]: 'Map', a: 1 },
    ],
    [{ constructor: 1 }, { constructor: 1 }],
    [Object.defineProperty(/a/g, 'flags', { value: 'zz' }), /a/g],
  ];
  for (const [value, wanted] of values) {
    const back = ForkingPickler.loadsSync(ForkingPickler.dumps(value));
    expect(String(back)).toBe(String(wanted));
  }
  for (const proto of [Map.prototype, URL.prototype, Buffer.prototype, DOMException.prototype]) {
    expect(() => ForkingPickler.dumps(Object.create(proto))).toThrow(mp.PicklingError);
  }
});

test('a Map that a getter of its content empties is no damaged message', () => {
  const map = new Map<number, unknown>([[1, {}]]);
  map.set(1, Object.defineProperty({}, 'x', { get: () => map.clear(), enumerable: true }));
  map.set(2, 2);
  expect(() => ForkingPickler.dumps(map)).toThrow(/a Map has become smaller while it was sent/);
  const set = new Set<unknown>();
  set.add(Object.defineProperty({}, 'x', { get: () => void set.add({}), enumerable: true }));
  expect(ForkingPickler.loadsSync(ForkingPickler.dumps(set))).toEqual(new Set([{ x: undefined }]));
});
