/**
 * Values of all kinds in all realms, for properties: a recipe that fast-check makes and shrinks, and the value that is made
 * of it in a realm.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import fc from 'fast-check';

/** What a value is to be made of. */
export interface Recipe {
  readonly kind: string;
  /** Texts, numbers, bytes. */
  readonly data?: unknown;
  readonly parts?: readonly Recipe[];
}

interface Maker {
  /** How many parts it takes at most. */
  readonly parts?: number;
  readonly data?: fc.Arbitrary<unknown>;
  /** Whether structuredClone makes the same of it as a message does. */
  readonly cloned?: boolean;
  /** In the realm: `g` is its global object, `d` the data, `p` the parts, `here` the global object of this one. */
  readonly code: string;
}

const number = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(-0, NaN, Infinity, 2 ** 53));
const text = fc.string({ unit: 'binary', maxLength: 40 });
const longText = fc.tuple(text, fc.nat(200)).map(([part, count]) => part.repeat(count));
const bytes = fc.uint8Array({ maxLength: 40 });
const keys = fc.uniqueArray(
  fc.oneof(text, fc.constantFrom('__proto__', 'constructor', 'length', '0', '70', '5000')),
  { maxLength: 5 },
);
const arrays =
  'Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array';
const errors = 'Error EvalError RangeError ReferenceError SyntaxError TypeError URIError';
const protos =
  'Object Array Map Set Date Error Promise Uint8Array ArrayBuffer Number RegExp Function';
const one = (names: string) => fc.constantFrom(...names.split(' '));

const makers: Readonly<Record<string, Maker>> = {
  null: { cloned: true, code: 'null' },
  undefined: { cloned: true, code: 'undefined' },
  boolean: { cloned: true, data: fc.boolean(), code: 'd' },
  number: { cloned: true, data: number, code: 'd' },
  bigint: { cloned: true, data: fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }), code: 'd' },
  string: { cloned: true, data: fc.oneof(text, longText), code: 'd' },
  date: { cloned: true, data: fc.integer(), code: 'new Date(d)' },
  regexp: { cloned: true, data: one('g gi gimsuy d v u'), code: 'new RegExp("a(?<b>c)", d)' },
  boxed: { cloned: true, data: fc.oneof(number, text, fc.boolean()), code: 'Object(d)' },
  boxedBigint: { cloned: true, data: fc.bigInt(), code: 'Object(d)' },
  object: { cloned: true, parts: 5, data: keys, code: 'fill({}, d, p)' },
  array: { cloned: true, parts: 5, code: 'Array.of(...p)' },
  map: {
    cloned: true,
    parts: 6,
    code: 'new Map(p.map((each, i) => [i % 2 ? p[i - 1] : i, each]))',
  },
  set: { cloned: true, parts: 5, code: 'new Set(p)' },
  typedArray: {
    cloned: true,
    data: fc.tuple(one(arrays), bytes),
    code: 'new g[d[0]](copy(d[1]).buffer.slice(0, d[1].length & ~7))',
  },
  part: { cloned: true, data: bytes, code: 'copy(d).subarray(d.length >> 1)' },
  dataView: { cloned: true, data: bytes, code: 'new DataView(copy(d).buffer)' },
  arrayBuffer: { cloned: true, data: bytes, code: 'copy(d).buffer' },
  longBytes: { cloned: true, data: fc.nat(100_000), code: 'new Uint8Array(d).fill(7)' },
  // Not the same as structuredClone has it.
  sparse: { parts: 3, data: fc.nat(2000), code: 'far([], d, p)' },
  extra: { parts: 3, data: keys, code: 'fill([1], d.filter((key) => key !== "length"), p)' },
  withoutPrototype: { parts: 4, data: keys, code: 'fill(Object.create(null), d, p)' },
  error: {
    parts: 1,
    data: fc.tuple(one(errors), text),
    code: 'new g[d[0]](d[1], { cause: p[0] })',
  },
  aggregate: { parts: 3, data: text, code: 'new AggregateError(p, d)' },
  extraOfMap: { parts: 2, data: keys, code: 'fill(new Map([[1, 2]]), d, p)' },
  buffer: { data: bytes, code: 'here.Buffer.from(d)' },
  url: { code: 'new here.URL("http://host/path?q#h")' },
  params: { code: 'new here.URLSearchParams("a=1")' },
  domException: { data: text, code: 'new here.DOMException(d, "AbortError")' },
  registered: { data: text, code: 'Symbol.for(d)' },
  wellKnown: { data: one('iterator asyncIterator toStringTag hasInstance'), code: 'Symbol[d]' },
  symbolKey: {
    parts: 2,
    code: '({ [Symbol.for("k")]: p[0], [Symbol.toStringTag]: "Map", a: p[1] })',
  },
  getter: {
    parts: 1,
    code: 'Object.defineProperty({}, "a", { enumerable: true, get: () => p[0] })',
  },
  shrinking: { code: 'shrinking()' },
  cycle: { parts: 2, data: keys, code: 'cyclic(fill({}, d, p))' },
  shared: { parts: 1, code: '[p[0], { a: p[0] }, new Map([[p[0], p[0]]])]' },
  frozen: { parts: 2, data: keys, code: 'Object.freeze(fill({}, d, p))' },
  arguments: { parts: 2, code: '(function () { return arguments; })(...p)' },
  instance: { parts: 2, code: 'Object.assign(new here.permitted.Plain(), { a: p[0], b: p[1] })' },
  reduced: { parts: 2, code: 'new here.permitted.Remade([here.permitted.identity, [p[0]]])' },
  reducedByNative: {
    parts: 3,
    data: one('Array Map Set Number String Uint8Array Object Promise'),
    code: 'new here.permitted.Remade([here[d], native[d](p)])',
  },
  withState: {
    parts: 2,
    code: 'new here.permitted.Remade([here.permitted.make, [], { a: p[0], b: p[1] }])',
  },
  named: { code: 'here.permitted.identity' },
  bound: { parts: 2, code: 'here.permitted.identity.bind(p[0], p[1])' },
  ownFunction: { data: one('max floor abs'), code: 'here.Math[d]' },
  namespace: { data: one('Math JSON Intl Atomics Reflect'), code: 'g[d]' },
  console: { code: 'here.console' },
  // What cannot be sent.
  foreignFunction: { data: one('Array Map Function eval parseInt'), code: 'g[d]' },
  arrow: { code: '() => 1' },
  symbol: { code: 'Symbol("own")' },
  promise: { code: 'Promise.resolve(1)' },
  weakMap: { code: 'new WeakMap()' },
  weakRef: { code: 'new WeakRef({})' },
  generator: { code: '(function* () {})()' },
  iterator: { code: '[1][Symbol.iterator]()' },
  sharedMemory: { code: 'new Uint8Array(new SharedArrayBuffer(4))' },
  proxy: { parts: 1, code: 'new Proxy({ a: p[0] }, {})' },
  proxyOfFunction: { code: 'new Proxy(function () {}, {})' },
  revoked: { code: 'revoked()' },
  gone: { data: one('buffer array view'), code: 'gone(d)' },
  foreignInstance: { parts: 1, code: 'new (class Own { a = p[0]; })()' },
  foreignMap: { code: 'new (class OwnMap extends Map {})([[1, 2]])' },
  pretender: { data: one(protos), code: 'Object.create(g[d].prototype)' },
  strayPrototype: {
    parts: 1,
    data: one(protos),
    code: 'stray(p[0], g[d].prototype)',
  },
};

/** What the code of a maker can use. */
const helpers = `
  const g = globalThis;
  const fill = (object, keys, parts) => {
    keys.forEach((key, i) => Object.defineProperty(object, key, { value: parts[i], enumerable: true, configurable: true, writable: true }));
    return object;
  };
  const copy = (bytes) => new Uint8Array(bytes);
  const far = (array, step, parts) => { parts.forEach((each, i) => { array[i * step + step] = each; }); return array; };
  const cyclic = (object) => { object.self = [object]; return object; };
  const revoked = () => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; };
  const gone = (what) => {
    const buffer = new ArrayBuffer(8);
    const value = what === 'buffer' ? buffer : what === 'array' ? new Uint8Array(buffer) : new DataView(buffer);
    here.structuredClone(buffer, { transfer: [buffer] });
    return value;
  };
  // Not of what there is once.
  const once = [here.console, here.Math, here.permitted, ...['Math', 'JSON', 'Intl', 'Atomics', 'Reflect'].map((name) => g[name])];
  const stray = (value, proto) => {
    if (typeof value !== 'object' || once.includes(value)) return value;
    try {
      return Object.setPrototypeOf(value, proto);
    } catch {
      return value; // it has a prototype for ever
    }
  };
  const native = {
    Array: (p) => [...p, 1, 2], Map: (p) => [p.map((each) => [1, each])], Set: (p) => [p], Number: (p) => [p.length], String: (p) => [p.length],
    Uint8Array: (p) => [p.length], Object: (p) => [p], Promise: (p) => [p],
  };
  const shrinking = () => {
    const map = new Map([[1, {}], [2, 2]]);
    map.set(1, Object.defineProperty({}, 'x', { get: () => Map.prototype.delete.call(map, 2), enumerable: true }));
    return map;
  };
`;

type Build = (recipe: Recipe) => unknown;

const path = fileURLToPath(new URL('../fixtures/permitted.mjs', import.meta.url));
const permitted: unknown = createRequire(import.meta.url)(path);

function builder(evaluate: (code: string) => unknown): Build {
  const source = Object.entries(makers).map(
    ([kind, { code }]) => `${JSON.stringify(kind)}: (d, p) => (${code})`,
  );
  const make = evaluate(`(here) => { ${helpers} return { ${source.join(',\n')} }; }`) as (
    here: object,
  ) => Record<string, (data: unknown, parts: unknown[]) => unknown>;
  const here = { permitted, Buffer, URL, URLSearchParams, DOMException, structuredClone, Math };
  const more = { console, Array, Map, Set, Number, String, Uint8Array, JSON, Object, Promise };
  const made = make({ ...here, ...more });
  const build: Build = ({ kind, data, parts = [] }) => made[kind]?.(data, parts.map(build));
  return build;
}

/** The realms, and what makes a value of a recipe in each. */
const realms: Readonly<Record<string, Build>> = {
  'this realm': builder((code) => vm.runInThisContext(code)),
  'a context': builder((code) => vm.runInNewContext(code)),
  'a context with globals of another': builder((code) =>
    vm.runInContext(code, vm.createContext({ ArrayBuffer, Uint8Array, Buffer, Error, Map })),
  ),
};

function recipesOf(kinds: readonly string[]): fc.Arbitrary<Recipe> {
  return fc.letrec<{ recipe: Recipe }>((tie) => {
    const leaf = (kind: string) => {
      const { data = fc.constant(undefined) } = makers[kind] as Maker;
      return data.map((each): Recipe => ({ kind, data: each, parts: [] }));
    };
    const all = kinds.map((kind): fc.Arbitrary<Recipe> => {
      const { data = fc.constant(undefined), parts } = makers[kind] as Maker;
      if (parts === undefined) return leaf(kind);
      return fc.record({
        kind: fc.constant(kind),
        data,
        parts: fc.array(tie('recipe'), { minLength: 0, maxLength: parts }),
      });
    });
    const leaves = kinds.filter((kind) => (makers[kind] as Maker).parts === undefined).map(leaf);
    return {
      recipe: fc.oneof({ depthSize: 'small', maxDepth: 4 }, fc.oneof(...leaves), ...all),
    };
  }).recipe;
}

/** Of all kinds, also of what cannot be sent. */
export const anyRecipe = recipesOf(Object.keys(makers));
/** Of the kinds of which structuredClone makes the same. */
export const clonedRecipe = recipesOf(Object.keys(makers).filter((kind) => makers[kind]?.cloned));
export const anyRealm = fc.constantFrom(...Object.keys(realms));

/** Makes a value; undefined for one that cannot be made. */
export function makeValue(recipe: Recipe, realm: string): unknown {
  return realms[realm]?.(recipe);
}
