/**
 * How the pickler knows objects without looking through them, and that it takes no other for one of them.
 */
import { fileURLToPath } from 'node:url';
import { inspect, isDeepStrictEqual } from 'node:util';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { hasHiddenClassOf, sampleOf } from '../../packages/core/dist/pickle/hidden_class.js';
import { ForkingPickler } from '../../packages/core/dist/pickle/reduction.js';
import { Shape } from '../../packages/core/dist/pickle/shapes.js';
import { runProgram } from '../support/programs.js';

type Plain = Record<PropertyKey, unknown>;
const mark = Symbol.for('hidden_class.test');
const reduce = Symbol.for('multiprocessing.reduce');

const literal = (i: number): Plain => ({
  i,
  text: `text ${i}`,
  part: i / 3,
  list: [i],
  no: null,
});
/** The ways in which programs make plain objects. */
const ways: Record<string, (i: number) => Plain> = {
  'a literal': literal,
  'JSON.parse': (i) => JSON.parse(JSON.stringify(literal(i))) as Plain,
  'one property after another': (i) => {
    const object: Plain = {};
    for (const [key, value] of Object.entries(literal(i))) object[key] = value;
    return object;
  },
  'nested in another': (i) => ({ inner: literal(i), twins: [literal(i), { j: i }, { j: i + 1 }] }),
};

const copy = (value: unknown): unknown => ForkingPickler.loadsSync(ForkingPickler.dumps(value));

/** Bytes of an object, or why there are none. */
function pickled(value: unknown): string {
  try {
    return Buffer.from(ForkingPickler.dumps(value)).toString('latin1');
  } catch (error) {
    return inspect((error as Error).message);
  }
}

describe('samples', () => {
  test.each(Object.entries(ways))('%s has one that holds nothing of it', (_, make) => {
    const objects = Array.from({ length: 200 }, (_, i) => make(i));
    const last = objects.at(-1) as Plain;
    const sample = sampleOf(last, Object.keys(last)) as Plain;
    expect(Object.keys(sample)).toEqual(Object.keys(last));
    for (const value of Object.values(sample)) expect([0, 0.5, '', null]).toContain(value);
    expect(objects.filter((object) => hasHiddenClassOf(sample, object)).length).toBeGreaterThan(
      100,
    );
  });

  test.each<[string, Plain]>([
    ['no property', {}],
    ['an index', { a: 1, 5: 2 }],
    [
      'an accessor',
      {
        get a() {
          return 1;
        },
      },
    ],
    ['a symbol', { a: 1, [mark]: 2 }],
    ['a frozen object', Object.freeze({ a: 1 })],
    ['another prototype', Object.assign(Object.create(null) as object, { a: 1 })],
    ['another realm', runInNewContext('({ a: 1 })') as Plain],
    ['a dictionary', Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key${i}`, i]))],
  ])('%s: none', (_, value) => {
    expect(sampleOf(value, Object.keys(value))).toBeUndefined();
  });

  test('a shape recognises what it has learnt, and an index more is another shape', () => {
    const make = (i: number): Plain => ({ i, s: 'hello' });
    const shape = new Shape(['i', 's'], new Uint8Array());
    expect(shape.recognises(make(0))).toBe(false);
    for (let i = 0; i < 64; i++) shape.learn(make(i));
    expect(shape.recognises(make(1))).toBe(true);
    expect(shape.recognises(Object.assign(make(1), { 7: 'seven' }))).toBe(false);
    expect(shape.recognises({ s: 'hello', i: 1 })).toBe(false);
    expect(shape.recognises([])).toBe(false);
  });
});

describe('what looks like a known object', () => {
  const make = (i: number): Plain => ({ i, s: 'hello' });
  const impostors: Record<string, (i?: number) => object> = {
    'a symbol more': () => Object.assign(make(1), { [mark]: 'symbol' }),
    'an index more': () => Object.assign(make(1), { 3: 'three' }),
    'a key more': () => Object.assign(make(1), { t: 1 }),
    'a key less': () => ({ i: 1 }),
    'another order': () => ({ s: 'hello', i: 1 }),
    'an index in place of a key': () => ({ i: 1, 3: 'three' }),
    'a hidden key': () => Object.defineProperty(make(1), 'i', { enumerable: false }),
    'a hidden symbol': () => Object.defineProperty(make(1), mark, { value: 1 }),
    'an accessor': () =>
      Object.defineProperty(make(1), 's', { get: () => 'got', enumerable: true }),
    'a frozen one': () => Object.freeze(make(1)),
    'a deleted and added key': () => {
      const object = make(1);
      delete object.i;
      return Object.assign(object, { i: 2 });
    },
    'a dictionary': () => {
      const object = make(1);
      for (let i = 0; i < 2000; i++) object[`key${i}`] = i;
      for (let i = 0; i < 2000; i++) delete object[`key${i}`];
      return object;
    },
    'no prototype': () => Object.setPrototypeOf(make(1), null) as object,
    'the prototype of arrays': () => Object.setPrototypeOf(make(1), Array.prototype) as object,
    'an array': () => Object.assign([], make(1)),
    'a Map': () => Object.assign(new Map(), make(1)),
    'a proxy': () => new Proxy(make(1), {}),
    'a proxy that throws': () =>
      new Proxy(make(1), {
        ownKeys: () => {
          throw new Error('trapped');
        },
      }),
    'another realm': () => runInNewContext("({ i: 1, s: 'hello' })") as object,
    reduced: () => Object.assign(make(1), { [reduce]: () => [Math.max, [1, 2]] }),
  };

  test('is pickled as if nothing was known', () => {
    const cold = Object.entries(impostors).map(([name, impostor]) => [name, pickled(impostor())]);
    for (let i = 0; i < 1000; i++) ForkingPickler.dumps(make(i));
    const warm = Object.entries(impostors).map(([name, impostor]) => {
      ForkingPickler.dumps(make(0)); // one of those is expected again
      return [name, pickled(impostor())];
    });
    expect(warm).toEqual(cold);
  });

  test('an object that changes while it is written is learnt as what it is', () => {
    for (let i = 0; i < 500; i++) {
      const object: Plain = { a: i, b: undefined as unknown, c: 1 };
      Object.defineProperty(object, 'b', {
        enumerable: true,
        get: () => {
          delete object.c;
          object[mark] = i;
          return 'b';
        },
      });
      const got = copy(object) as Plain;
      expect(got.a).toBe(i);
      expect(copy({ a: i, b: 'b', c: 2 })).toEqual({ a: i, b: 'b', c: 2 });
    }
  });

  test('objects of all kinds, mixed at random, come back as they were', () => {
    let seed = 4711;
    const random = (n: number) => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * n);
    };
    const kinds = [
      ...Object.values(ways),
      (i: number): Plain => ({ ...literal(i), also: true }),
      ...['a symbol more', 'an index more', 'a key more', 'a key less', 'another order'].map(
        (name) => impostors[name] as (i: number) => Plain,
      ),
      make,
      (i: number): Plain => ({ x: i, y: -i }),
      (i: number): Plain => ({ x: i / 7, y: `${i}` }),
    ];
    for (let i = 0; i < 20_000; i++) {
      const objects = Array.from({ length: 1 + random(3) }, () => kinds[random(kinds.length)]?.(i));
      if (!isDeepStrictEqual(copy(objects), objects)) expect(copy(objects)).toEqual(objects);
    }
  });
});

describe('a process', () => {
  const program = fileURLToPath(new URL('../fixtures/programs/recognises.mjs', import.meta.url));
  test.each<[string, string[], { recognised: boolean; named: boolean }]>([
    ['without options', [], { recognised: true, named: false }],
    [
      'whose code is collected',
      ['--expose-gc', '--stress-flush-code'],
      { recognised: true, named: false },
    ],
    [
      'whose options are frozen',
      ['--freeze-flags-after-init'],
      { recognised: false, named: false },
    ],
    [
      'that may make no code of strings',
      ['--disallow-code-generation-from-strings'],
      { recognised: true, named: false },
    ],
    [
      "that may name V8's own functions",
      ['--allow-natives-syntax'],
      { recognised: true, named: true },
    ],
  ])('%s pickles', async (_, execArgv, expected) => {
    const { stdout, stderr } = await runProgram(program, [], { execArgv });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ same: true, ...expected });
  });
});
