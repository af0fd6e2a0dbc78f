/**
 * `multiprocessing/pickle` and the pickle of the machine's Pythons: the same values on both sides, in all protocols.
 */
import { dumps, loads, Tuple } from 'multiprocessing/pickle';
import { describe, expect, test } from 'vitest';
import { findPythons } from '../support/python.ts';

interface Case {
  /** What it is in Python. */
  readonly python: string;
  readonly value: unknown;
  /** What comes back to Python if that is something else. */
  readonly back?: string;
}

const bytes = (text: string) => Buffer.from(text, 'latin1');
const every = Array.from({ length: 256 }, (_, i) => i);

const cases: readonly Case[] = [
  { python: 'None', value: null },
  { python: 'True', value: true },
  { python: 'False', value: false },
  ...[0, 1, -1, 127, 128, 255, 256, 65535, 65536, -128, -129, 2 ** 31 - 1, 2 ** 31].map((n) => {
    return { python: String(n), value: n };
  }),
  ...[-(2 ** 31), -(2 ** 31) - 1, 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1].map((n) => {
    return { python: String(n), value: n };
  }),
  ...[2n ** 53n, -(2n ** 53n), 2n ** 63n, -(2n ** 63n), -(2n ** 63n) - 1n].map((n) => {
    return { python: String(n), value: n };
  }),
  { python: '2 ** 4000', value: 2n ** 4000n },
  { python: '-(2 ** 4000) + 1', value: -(2n ** 4000n) + 1n },
  { python: '1.5', value: 1.5 },
  { python: '0.1', value: 0.1 },
  { python: '-1.25e-300', value: -1.25e-300 },
  { python: '5e-324', value: 5e-324 },
  { python: '1.7976931348623157e308', value: Number.MAX_VALUE },
  { python: '-0.0', value: -0 },
  { python: "float('nan')", value: Number.NaN },
  { python: "float('inf')", value: Number.POSITIVE_INFINITY },
  { python: "float('-inf')", value: Number.NEGATIVE_INFINITY },
  { python: '1.0', value: 1, back: '1' },
  { python: '2.0 ** 53', value: 2 ** 53 },
  { python: "''", value: '' },
  { python: "'text'", value: 'text' },
  {
    python: "'back\\\\slash \\\\u0041 \\n\\r\\t\\0 \\x1a'",
    value: 'back\\slash \\u0041 \n\r\t\0 \x1a',
  },
  { python: "'d\\xe9j\\xe0 \\u20ac \\U0001f600'", value: 'déjà € 😀' },
  { python: "'\\ud800 alone \\udfff'", value: '\ud800 alone \udfff' },
  { python: "'\\ufeffmark \\ufffd'", value: '\ufeffmark \ufffd' },
  { python: "'\\xe9' * 300", value: 'é'.repeat(300) },
  { python: "'x' * 70000", value: 'x'.repeat(70_000) },
  { python: "b''", value: bytes('') },
  { python: 'bytes(range(256))', value: Buffer.from(every) },
  { python: "b'\\xff' * 70000", value: Buffer.alloc(70_000, 0xff) },
  { python: "bytearray(b'array')", value: bytes('array'), back: "b'array'" },
  { python: 'bytearray()', value: bytes(''), back: "b''" },
  { python: '[]', value: [] },
  { python: "[1, 'a', [None, [2.5]]]", value: [1, 'a', [null, [2.5]]] },
  { python: 'list(range(2500))', value: Array.from({ length: 2500 }, (_, i) => i) },
  { python: '()', value: Tuple.of() },
  { python: '(1,)', value: Tuple.of(1) },
  { python: "(1, 'b')", value: Tuple.of<unknown>(1, 'b') },
  { python: '(1, 2, 3)', value: Tuple.of(1, 2, 3) },
  { python: '(1, 2, 3, (4, 5))', value: Tuple.of<unknown>(1, 2, 3, Tuple.of(4, 5)) },
  { python: '{}', value: {} },
  { python: "{'b': 1, 'a': {'c': [2]}}", value: { b: 1, a: { c: [2] } } },
  { python: "{'__proto__': 1, 'constructor': 2}", value: { ['__proto__']: 1, constructor: 2 } },
  { python: "{'1': 1, '1000': 2, '4294967296': 3}", value: { '1': 1, '1000': 2, '4294967296': 3 } },
  {
    python: "{1: 'one', 'two': 2}",
    value: new Map<unknown, unknown>([
      [1, 'one'],
      ['two', 2],
    ]),
  },
  {
    python: "{'two': 2, 1: 'one'}",
    value: new Map<unknown, unknown>([
      ['two', 2],
      [1, 'one'],
    ]),
  },
  { python: '{None: {True: {}}}', value: new Map([[null, new Map([[true, {}]])]]) },
  {
    python: "{(1, 2): 'tuple', b'b': 'bytes', frozenset([1]): 'set'}",
    value: new Map<unknown, unknown>([
      [Tuple.of(1, 2), 'tuple'],
      [bytes('b'), 'bytes'],
      [new Set([1]), 'set'],
    ]),
  },
  {
    python: '{i: i * i for i in range(2500)}',
    value: new Map(Array.from({ length: 2500 }, (_, i) => [i, i * i])),
  },
  { python: 'set()', value: new Set() },
  { python: '{1}', value: new Set([1]) },
  { python: "{'x'}", value: new Set(['x']) },
  { python: 'set(range(2500))', value: new Set(Array.from({ length: 2500 }, (_, i) => i)) },
  { python: 'frozenset([7])', value: new Set([7]), back: '{7}' },
  { python: 'frozenset()', value: new Set(), back: 'set()' },
  {
    python: '{frozenset([(1, frozenset([2]))])}',
    value: new Set([new Set([Tuple.of<unknown>(1, new Set([2]))])]),
  },
];

const prelude = `
import json, pickle, struct, sys
def same(a, b):
    if type(a) is not type(b): return False
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict): return same(list(a.items()), list(b.items()))
    if isinstance(a, float): return struct.pack('>d', a) == struct.pack('>d', b)
    return a == b
`;

const hex = (pickled: Uint8Array) => Buffer.from(pickled).toString('hex');
const unhex = (text: string) => Buffer.from(text, 'hex');
const written = [2, 3, 4, 5];
const read = [0, 1, 2, 3, 4, 5];

const { pythons, reasons } = findPythons();
if (pythons.length === 0) console.warn(`no pickles of Python: ${reasons.join('; ')}`);

describe.each(pythons)('pickles and $label', ({ feed }) => {
  /** Gives Python some data, and takes what it prints as JSON. */
  function ask<T>(data: unknown, code: string): T {
    const { stdout, stderr, status } = feed(JSON.stringify(data), `${prelude}${code}`);
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return JSON.parse(stdout) as T;
  }

  test('we read what Python writes, in every protocol', () => {
    const answers = ask<string[][]>(
      cases.map(({ python }) => python),
      `
sources = json.load(sys.stdin)
print(json.dumps([[pickle.dumps(eval(s), p).hex() for p in range(6)] for s in sources]))`,
    );
    expect(answers).toHaveLength(cases.length);
    for (const [i, { python, value }] of cases.entries()) {
      for (const protocol of read) {
        const result = loads(unhex(answers[i]?.[protocol] ?? ''));
        expect([python, protocol, result]).toStrictEqual([python, protocol, value]);
      }
    }
  });

  test('Python reads what we write, in every protocol', () => {
    const pickled = cases.map(({ python, value, back = python }) => {
      return [back, written.map((protocol) => hex(dumps(value, { protocol })))];
    });
    const answers = ask<unknown[]>(
      pickled,
      `
wrong = []
for source, pickles in json.load(sys.stdin):
    for p in pickles:
        value = pickle.loads(bytes.fromhex(p))
        if not same(value, eval(source)): wrong.append([source, ascii(value), p])
print(json.dumps(wrong))`,
    );
    expect(answers).toEqual([]);
  });

  test('shared objects stay shared and cycles work, in both directions', () => {
    const shared = ['shared'];
    const cycle: Record<string, unknown> = { shared, again: shared };
    cycle.self = cycle;
    const list: unknown[] = [];
    const tuple = Tuple.of<unknown>(list, 1, 2, 3);
    list.push(tuple);
    const map = new Map<unknown, unknown>([[1, shared]]);
    map.set(2, map);
    const value = [cycle, shared, list, tuple, map, Tuple.of<unknown>(list)];
    const code = `
def check(cycle, shared, items, tup, table, one):
    assert cycle['self'] is cycle and cycle['shared'] is shared and cycle['again'] is shared
    assert items[0] is tup and tup[0] is items and one[0] is items and len(tup) == 4
    assert table[1] is shared and table[2] is table
    return [cycle, shared, items, tup, table, one]
pickles = [bytes.fromhex(p) for p in json.load(sys.stdin)]
values = [check(*pickle.loads(p)) for p in pickles]
print(json.dumps([pickle.dumps(values[0], p).hex() for p in range(6)]))`;
    const answers = ask<string[]>(
      written.map((protocol) => hex(dumps(value, { protocol }))),
      code,
    );
    const own = written.map((protocol) => hex(dumps(value, { protocol })));
    for (const pickled of [...answers, ...own]) {
      const [cycle, shared, list, tuple, map, one] = loads(unhex(pickled)) as [
        Record<string, unknown>,
        unknown[],
        unknown[],
        Tuple,
        Map<unknown, unknown>,
        Tuple,
      ];
      expect(cycle.self).toBe(cycle);
      expect([cycle.shared, cycle.again, map.get(1)].every((each) => each === shared)).toBe(true);
      expect([list[0] === tuple, tuple[0] === list, one[0] === list]).toEqual([true, true, true]);
      expect(map.get(2)).toBe(map);
      expect([tuple.length, one.length, shared]).toEqual([4, 1, ['shared']]);
    }
  });

  test('the same object in ten thousand places is written once', () => {
    const record = { name: 'a name that is long enough', 12: 1 };
    const value = Array.from({ length: 10_000 }, () => record);
    const records = Array.from({ length: 1000 }, (_, i) => ({ number: i, name: 'x' }));
    expect(dumps(value).length).toBeLessThan(21_000);
    const [length, ids, sum] = ask<number[]>(
      [hex(dumps(value)), hex(dumps(records))],
      `
one, two = [pickle.loads(bytes.fromhex(p)) for p in json.load(sys.stdin)]
print(json.dumps([len(one), len(set(map(id, one))), sum(r['number'] for r in two)]))`,
    );
    expect([length, ids, sum]).toEqual([10_000, 1, 499_500]);
  });

  test('what Python writes of classes, functions and other objects is refused by its name', () => {
    const sources = {
      'os.system': '(posix|os).system',
      eval: '(builtins|__builtin__).eval',
      'decimal.Context()': 'decimal.Context|copyreg|copy_reg',
      're.compile("a")': 're._compile',
      'functools.partial(print, 1)': 'functools.partial',
      'json.JSONDecodeError("m", "d", 1)': 'json.decoder.JSONDecodeError',
      ValueError: '(builtins|exceptions).ValueError',
      set: '(builtins|__builtin__).set',
      '[1, {"a": frozenset}]': '(builtins|__builtin__).frozenset',
      'types.SimpleNamespace(a=1)': 'types.SimpleNamespace|copyreg|copy_reg',
      'Thing()': '__main__.Thing|copyreg|copy_reg',
      'Evil()': '(posix|os).system',
      'Evil(eval, ("1",))': '(builtins|__builtin__).eval',
    };
    const answers = ask<string[][]>(
      Object.keys(sources),
      `
import decimal, functools, os, re, types
class Thing: pass
class Evil:
    def __init__(self, *what): self.what = what or (os.system, ('false',))
    def __reduce__(self): return self.what
print(json.dumps([[pickle.dumps(eval(s), p).hex() for p in range(6)] for s in json.load(sys.stdin)]))`,
    );
    for (const [i, [source, name]] of Object.entries(sources).entries()) {
      for (const protocol of read) {
        const load = () => loads(unhex(answers[i]?.[protocol] ?? ''));
        expect(load, `${source} in protocol ${protocol}`).toThrow(
          expect.objectContaining({
            name: 'UnpicklingError',
            code: 'ERR_MP_UNPICKLING',
            message: expect.stringMatching(new RegExp(`^the pickle asks for (${name})\\b`)),
          }),
        );
      }
    }
  });
});

describe('pickles', () => {
  test.each(written)('of protocol %i come back as they were', (protocol) => {
    for (const { value } of cases) {
      expect(loads(dumps(value, { protocol }))).toStrictEqual(value);
    }
    expect(loads(dumps(undefined, { protocol }))).toBe(null);
    expect(loads(dumps({ a: undefined }, { protocol }))).toStrictEqual({ a: null });
    expect(loads(dumps(7n, { protocol }))).toBe(7);
    const empty = Object.assign(Object.create(null), { a: 1 }) as object;
    expect(loads(dumps(empty, { protocol }))).toStrictEqual({ a: 1 });
    const sparse = [1, 2, 3];
    delete sparse[1];
    expect(loads(dumps(sparse, { protocol }))).toStrictEqual([1, null, 3]);
  });

  test('bytes that were read are a copy', () => {
    const pickled = Buffer.from(dumps(Buffer.from('before')));
    const value = loads(pickled);
    pickled.fill(0);
    expect(value).toEqual(Buffer.from('before'));
  });

  test('what is no plain data is refused, with the way to it and what to do', () => {
    class Point {
      x = 1;
    }
    const refused: [value: unknown, message: RegExp][] = [
      [() => 1, /^a function cannot be sent to Python/],
      [Symbol('s'), /^a symbol cannot be sent to Python: Symbol\(s\)/],
      [/x/, /^a RegExp .* source/],
      [
        new (class Samples extends Float64Array {})(2),
        /^a Samples .*Array\.from.*new Uint8Array\(it\.buffer/,
      ],
      [new DataView(new ArrayBuffer(1)), /^a DataView /],
      [new ArrayBuffer(1), /^an ArrayBuffer .*new Uint8Array/],
      [Promise.resolve(), /^a Promise .*await/],
      [Object(1), /^a Number .*valueOf/],
      [new Point(), /^a Point cannot be sent to Python: send what it holds as a plain object/],
      [new WeakMap(), /^a WeakMap /],
      [new (class Items extends Array {})(), /^an Items .*Array\.from/],
      [{ [Symbol('s')]: 1 }, /symbols for names/],
      [new Map([[[1], 2]]), /^a list cannot be a key.*Tuple\.from/],
      [new Set([{}]), /^a dict cannot be a key/],
      [new Set([Tuple.of<unknown>(1, [])]), /^a list cannot be a key/],
    ];
    for (const [value, message] of refused) {
      expect(() => dumps(value)).toThrow(
        expect.objectContaining({ name: 'PicklingError', message: expect.stringMatching(message) }),
      );
    }
    const deep = { items: [0, new Map([['k', { 'a b': new Set([1, Symbol('deep')]) }]])] };
    expect(() => dumps(deep)).toThrow(/\(found at items\[1\]\.get\('k'\)\["a b"\]<element 1>\)$/);
    expect(loads(dumps('fine'))).toBe('fine');
  });

  test('what Python cannot build is refused when it is written', () => {
    const tuple = Tuple.of<unknown>(1);
    tuple.push(tuple);
    expect(() => dumps(tuple)).toThrow(/a tuple or frozenset cannot hold itself/);
    const set = new Set([1]);
    expect(() => dumps([set, new Set([set])])).toThrow(/a Set that is elsewhere/);
    let nested: unknown = 1;
    for (let i = 0; i < 1100; i++) nested = [nested];
    expect(() => dumps(nested)).toThrow(/nested more than 1000 levels deep/);
    for (let i = 0; i < 100_000; i++) nested = [nested];
    expect(() => dumps(nested, { maxDepth: Number.POSITIVE_INFINITY })).toThrow(
      /nested too deeply/,
    );
    expect(loads(dumps([[1]], { maxDepth: 2 }))).toEqual([[1]]);
  });

  test('a wrong argument is told', () => {
    const wrong = { protocols: 4 } as object;
    expect(() => dumps(1, wrong)).toThrow("dumps: unknown option 'protocols'");
    for (const protocol of [-1, 0, 1, 6, 4.5]) {
      expect(() => dumps(1, { protocol })).toThrow(
        /protocol: -?\d.* is not written here, but 2 to 5 are/,
      );
    }
    expect(() => dumps(1, { protocol: '4' as never })).toThrow(TypeError);
    expect(() => dumps(1, { maxDepth: 4.5 })).toThrow(/maxDepth: 4.5 is no count/);
    expect(() => loads('text' as never)).toThrow("loads: bytes must be a Uint8Array, not 'text'");
    expect(() => loads(dumps(1), { maxItems: -1 })).toThrow(/maxItems: -1 is no count/);
  });

  test('a Tuple is an array whose maps and slices are arrays', () => {
    const tuple = Tuple.from([1, 2]);
    expect([Array.isArray(tuple), tuple instanceof Tuple, tuple.length]).toEqual([true, true, 2]);
    expect(tuple.map((x) => x * 2)).toStrictEqual([2, 4]);
    expect(tuple.slice(1)).toStrictEqual([2]);
  });
});
