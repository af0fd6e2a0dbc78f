/**
 * What can be sent to another process, and what is said about what cannot.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect, isDeepStrictEqual } from 'node:util';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { PicklingError, UnpicklingError } from '../../packages/core/dist/base/errors.js';
import {
  dump,
  ForkingPickler,
  nameExports,
  nameOf,
  register,
  rememberModule,
  setModuleImporter,
} from '../../packages/core/dist/pickle/reduction.js';
import { fuzzed } from '../support/fuzz.ts';

type Fn = (...args: unknown[]) => unknown;
type Cls<T = object> = new (...args: unknown[]) => T;

interface Point {
  x: number;
  y: number;
  length: number;
  plus(other: Point): Point;
}

interface Targets {
  add: Fn;
  arrow: Fn;
  later: Fn;
  shown: Fn;
  ns: { f: Fn; deep: { g: Fn } };
  default: Fn;
  Point: Cls<Point> & { origin: Fn; Inner: Cls<{ kind: string }> };
  Point3: Cls<Point & { z: number }>;
  AppError: Cls<Error & { status: number }>;
  Registry: Cls<Map<unknown, unknown> & { label: string; first(): unknown }>;
  Stack: Cls<unknown[] & { top(): unknown }> & { from(items: unknown[]): object };
  Secret: Cls;
  Connection: Cls<{ address: string; note: unknown }>;
  Counter: Cls<{ count: number; same: boolean; cache(): string }>;
  Foreign: Cls<{ value: unknown }>;
  ForeignChild: Cls<{ value: unknown }>;
  makeForeign: Fn;
  Endless: Cls;
  BadReduce: Cls;
  FailsThere: Cls;
  privates(): { unexported: Fn; instance: object; local(): Fn; arrow: Fn };
}

const fixture = (name: string) => new URL(`../fixtures/${name}`, import.meta.url);
const targetsUrl = fixture('reduction_targets.mjs').href;
// By require, which Vite leaves alone: the fixtures have to be the modules that children load, too.
const require = createRequire(import.meta.url);
const load = (url: string): unknown => require(fileURLToPath(url));
const targets = load(targetsUrl) as Targets;
const { Point } = targets;

const copy = <T>(value: T): T => ForkingPickler.loadsSync(ForkingPickler.dumps(value)) as T;
const refusal = (value: unknown): string => {
  try {
    ForkingPickler.dumps(value);
  } catch (error) {
    expect(error).toBeInstanceOf(PicklingError);
    return (error as Error).message;
  }
  throw new Error('it was pickled');
};

function runChild(fn: unknown, args: unknown[]): Promise<unknown> {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [fileURLToPath(fixture('reduction_child.mjs'))],
    {
      input: ForkingPickler.dumps([fn, args]),
    },
  );
  if (stdout.length === 0) throw new Error(stderr.toString());
  return ForkingPickler.loads(stdout);
}

describe('names', () => {
  test.each<[string, (t: Targets) => Fn | Cls]>([
    ['add', (t) => t.add],
    ['arrow', (t) => t.arrow],
    ['shown', (t) => t.shown],
    ['ns.f', (t) => t.ns.f],
    ['ns.deep.g', (t) => t.ns.deep.g],
    ['default', (t) => t.default],
    ['Point', (t) => t.Point],
    ['Point.origin', (t) => t.Point.origin],
    ['Point.Inner', (t) => t.Point.Inner],
    ['Point.prototype.plus', (t) => t.Point.prototype.plus as unknown as Fn],
  ])('an exported function is named: %s', (qualname, pick) => {
    const fn = pick(targets);
    expect(nameOf(fn)).toEqual({ module: targetsUrl, qualname });
    expect(copy(fn)).toBe(fn);
  });

  test('functions of the language and of Node are named', () => {
    expect(nameOf(Math.max)).toEqual({ module: 'globalThis', qualname: 'Math.max' });
    expect(nameOf(Map)).toEqual({ module: 'globalThis', qualname: 'Map' });
    expect(nameOf(TypeError).qualname).toBe('TypeError');
    expect(nameOf(console.log).qualname).toBe('console.log');
    expect(nameOf(fs.readFileSync)).toEqual({ module: 'node:fs', qualname: 'readFileSync' });
    expect(nameOf(Array.prototype.map).qualname).toBe('Array.prototype.map');
    expect(copy(fs.readFileSync)).toBe(fs.readFileSync);
    expect(copy(Math)).toBe(Math);
  });

  test('CommonJS exports are named, behind getters too, and found again', async () => {
    const url = fixture('reduction_common.cjs').href;
    const exports = load(url) as Record<string, Fn & { make: Fn; inner: Fn }>;
    const { named, Thing, ns, hidden } = exports;
    for (const [fn, qualname] of [
      [named, 'named'],
      [Thing, 'Thing'],
      [Thing?.make, 'Thing.make'],
      [ns?.inner, 'ns.inner'],
      [exports.default, 'default'],
    ] as [Fn, string][]) {
      expect(nameOf(fn)).toEqual({ module: url, qualname });
      expect(await ForkingPickler.loads(ForkingPickler.dumps(fn))).toBe(fn);
    }
    expect(refusal(hidden?.())).toMatch(/'unexported' cannot be sent/);
    const direct = fixture('reduction_function.cjs').href;
    const main = load(direct) as Fn & { helper: Fn };
    expect(nameOf(main)).toEqual({ module: direct, qualname: 'default' });
    expect(nameOf(main.helper)).toEqual({ module: direct, qualname: 'helper' });
  });

  test('a bound function travels as its function, this and arguments', () => {
    const point = new Point(1, 2);
    const bound = copy({
      point,
      plus: point.plus.bind(point),
      twice: targets.add.bind(undefined, 2),
    });
    expect((bound.plus as unknown as (p: Point) => Point)(new Point(5, 5))).toEqual(
      new Point(6, 7),
    );
    expect(bound.twice(3)).toBe(5);
  });

  test('names can be given beforehand', () => {
    const made = () => 1;
    nameExports('file:///given.mjs', { made });
    expect(nameOf(made)).toEqual({ module: 'file:///given.mjs', qualname: 'made' });
    expect(copy(made)).toBe(made);
  });
});

describe('refusals say what, where and what to do', () => {
  const { unexported, instance, local, arrow } = targets.privates();

  test.each<[string, unknown, RegExp]>([
    [
      'unexported function',
      unexported,
      /function 'unexported' .* not exported by file:.*reduction_targets\.mjs.*: export it/,
    ],
    [
      'instance of one',
      { args: [{ db: instance }] },
      /class 'Unexported' .*export it.*\(found at args\[0\]\.db\)/,
    ],
    ['local function', local(), /'inner' .* is local to .*: move it to the top level/],
    [
      'arrow',
      [1, arrow],
      /anonymous function \(\(\) => 1\).*no name in its module.*\(found at \[1\]\)/,
    ],
    ['evaluated', new Function('return 1'), /function 'anonymous' .* evaluated code/],
    [
      'private fields',
      new targets.Secret(),
      /'Secret' object.*private members \(#key\).*multiprocessing\.reduce/,
    ],
    [
      'socket',
      { args: [{ db: { socket: new net.Socket() } }] },
      /'Socket' object.*\(found at args\[0\]\.db\.socket\)/,
    ],
    [
      'emitter',
      { 'a b': new AbortController() },
      /'AbortController' object.*\(found at \["a b"\]\)/,
    ],
    [
      'promise',
      new Map([['k', Promise.resolve()]]),
      /a Promise cannot be sent: await it.*\(found at .get\("k"\)|get\("k"\)\)/,
    ],
    ['weak map', new WeakMap(), /WeakMap/],
    ['proxy', { p: new Proxy({}, {}) }, /Proxy.*\(found at p\)/],
    ['generator', (function* () {})(), /generator/],
    [
      'shared memory',
      [new Uint8Array(new SharedArrayBuffer(1))],
      /SharedArrayBuffer.*shared_memory/,
    ],
    ['symbol', { s: Symbol('own') }, /Symbol\(own\).*Symbol\.for.*\(found at s\)/],
    ['symbol key', { [Symbol('own')]: 1 }, /Symbol\(own\).*found at \[Symbol\(own\)\]/],
    ['odd prototype', Object.create({ a: 1 }), /prototype/],
    ['module', targets, /a module cannot be sent/],
    ['reduces to itself', new targets.Endless(), /contain itself/],
    ['bad reduce', new targets.BadReduce(), /must return \[callable, args, state\?\]/],
    ['timer', { timer: setTimeout(() => {}, 0) }, /'Timeout' object.*\(found at timer\)/],
  ])('%s', (_, value, pattern) => {
    expect(refusal(value)).toMatch(pattern);
  });

  test('an object nested too deeply', () => {
    let nested: unknown = 1;
    for (let i = 0; i < 1e6; i++) nested = [nested];
    expect(refusal(nested)).toMatch(/nested too deeply/);
    expect(copy([1])).toEqual([1]);
  });

  test('a refusal leaves the pickler usable', () => {
    const a = { x: 1 };
    refusal([a, Symbol('x')]);
    expect(copy([a, a])).toEqual([a, a]);
  });
});

describe('values', () => {
  const values: unknown[] = [
    ...[0, 1, 127, 128, -1, -128, -129, 32767, 32768, -32769, 2147483647, 2147483648, -2147483648],
    ...[0.1, -0, Number.NaN, Infinity, -Infinity, 5e-324, Number.MAX_SAFE_INTEGER, 2 ** 60],
    ...[0n, 1n, -1n, 2n ** 200n, -(2n ** 64n)],
    ...[
      '',
      'ascii',
      'Grüße',
      '日本語',
      '\ud800',
      '\udfff\ud800',
      'x'.repeat(31),
      'x'.repeat(32),
      'y'.repeat(64),
    ],
    ...['z'.repeat(65), 'ö'.repeat(500), '☃'.repeat(40_000), '\0'],
    ...[true, false, null, undefined, Symbol.iterator, Symbol.for('registered')],
    ...[new Date(0), new Date(-1.5e12), /a[/]\n(?<n>b)/giu],
    ...[Object(1), Object('text'), Object(true), Object(5n), Object(Symbol.for('boxed'))],
    ...[
      new Map<unknown, unknown>([
        [{ k: 1 }, new Set([1, [2]])],
        [Number.NaN, -0],
      ]),
      new Set(),
    ],
    ...[new Float64Array([1.5, -0, Number.NaN]), new BigInt64Array([5n]), new Uint8ClampedArray(3)],
    ...[
      new Uint16Array([1, 2, 3, 4]).subarray(1, 3),
      new DataView(new ArrayBuffer(8), 2, 3),
      new ArrayBuffer(0),
    ],
    ...[Buffer.from('bytes'), Buffer.alloc(0), new Uint8Array(100_000).fill(7)],
    ...[
      [],
      {},
      [[]],
      [undefined],
      Object.assign(new Array(4), { 1: 1, 3: 2 }),
      new Array(3),
      Object.assign([1, 2], { extra: 'yes', 7.5: 1 }),
    ],
    ...[
      Object.assign(Object.create(null), { a: 1 }),
      JSON.parse('{"__proto__": 1, "b": 2}'),
      { '': 1, 5: 2, 'a.b': 3 },
    ],
    ...[new URL('https://host/path?q#h'), new URLSearchParams('a=1&b=2')],
    ...[{ [Symbol.for('key')]: 1, [Symbol.toStringTag]: 'tagged', plain: 2 }],
    ...[Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`key${i}`, i]))],
    ...[Array.from({ length: 50 }, (_, i) => ({ id: i, name: `n${i}`, nested: { id: i } }))],
  ];

  test.each(values.map((value): [string, unknown] => [inspect(value).slice(0, 40), value]))(
    '%s',
    (_, value) => {
      const back = copy([value])[0];
      if (value instanceof URL) expect(String(back)).toBe(String(value));
      expect(back).toStrictEqual(value);
      expect(isDeepStrictEqual(back, value)).toBe(true);
      if (typeof value === 'object' && value !== null) {
        expect(Object.getPrototypeOf(back)).toBe(Object.getPrototypeOf(value));
        expect(Object.prototype.toString.call(back)).toBe(Object.prototype.toString.call(value));
      }
    },
  );

  test('an invalid date, lastIndex, -0 as a key of a long sparse array', () => {
    expect(copy(new Date(Number.NaN)).getTime()).toBeNaN();
    const regexp = /a/g;
    regexp.lastIndex = 3;
    expect(copy(regexp).lastIndex).toBe(3);
    const sparse: number[] = [];
    sparse[4_000_000_000] = 1;
    const bytes = ForkingPickler.dumps(sparse);
    expect(bytes.length).toBeLessThan(40);
    expect((ForkingPickler.loadsSync(bytes) as number[]).length).toBe(4_000_000_001);
  });

  test('extra properties of a long array', () => {
    const long = Object.assign(
      Array.from({ length: 30_000 }, (_, i) => i),
      { label: 'kept' },
    );
    expect(copy(long).label).toBe('kept');
    expect(copy(long)[29_999]).toBe(29_999);
  });

  test('cycles and shared references', () => {
    const shared = { n: 1 };
    const cycle: Record<string, unknown> = {
      shared,
      list: [shared],
      map: new Map(),
      set: new Set(),
    };
    cycle.self = cycle;
    (cycle.list as unknown[]).push(cycle.list);
    (cycle.map as Map<unknown, unknown>).set(cycle, shared);
    (cycle.set as Set<unknown>).add(cycle);
    const back = copy(cycle) as typeof cycle;
    expect(back.self).toBe(back);
    expect((back.list as unknown[])[0]).toBe(back.shared);
    expect((back.list as unknown[])[1]).toBe(back.list);
    expect((back.map as Map<unknown, unknown>).get(back)).toBe(back.shared);
    expect((back.set as Set<unknown>).has(back)).toBe(true);
  });

  test('views of one whole buffer share it; a part travels alone', () => {
    const bytes = new Uint8Array(16);
    const back = copy({ bytes, floats: new Float64Array(bytes.buffer), buffer: bytes.buffer });
    back.floats[0] = 1;
    expect(back.bytes[7]).toBe(0x3f);
    expect(back.bytes.buffer).toBe(back.buffer);
    expect(ForkingPickler.dumps(new Uint8Array(1_000_000).subarray(5, 10)).length).toBeLessThan(20);
    expect(Buffer.isBuffer(copy(Buffer.from('x')))).toBe(true);
  });

  test('an own getter is read once and its value travels; getters of a class stay code', () => {
    let reads = 0;
    const object = {
      get now() {
        return ++reads;
      },
    };
    expect(copy(object)).toEqual({ now: 1 });
    expect(reads).toBe(1);
    expect(Object.keys(copy(new Point(3, 4)))).toEqual(['x', 'y']);
  });

  test('instances keep class, state and methods; no constructor and no setter runs', () => {
    const point = copy(new Point(3, 4));
    expect(point).toBeInstanceOf(Point);
    expect(point.length).toBe(5);
    expect(copy(new targets.Point3(1, 2))).toStrictEqual(new targets.Point3(1, 2));
    expect(copy(new Point.Inner()).kind).toBe('inner');
    const scaled = Object.defineProperty(new Point(1, 1), 'scale', { value: 9, enumerable: true });
    expect(Object.getOwnPropertyDescriptor(copy(scaled), 'scale')?.value).toBe(9);
  });

  test('derived Maps and Arrays', () => {
    const registry = new targets.Registry([['a', new Point(1, 2)]]);
    registry.label = 'mine';
    const back = copy(registry);
    expect(back).toBeInstanceOf(targets.Registry);
    expect(back.first()).toEqual(new Point(1, 2));
    expect(back.label).toBe('mine');
    const stack = copy(targets.Stack.from([1, 2])) as unknown[] & { top(): unknown };
    expect(stack.top()).toBe(2);
    expect(Array.isArray(stack)).toBe(true);
  });

  test('errors keep class, message, fields, cause and stack', () => {
    const cause = new TypeError('why');
    const error = new targets.AppError('what', 404, { cause });
    const back = copy(error);
    expect(back).toBeInstanceOf(targets.AppError);
    expect(back.message).toBe('what');
    expect(back.status).toBe(404);
    expect(back.stack).toBe(error.stack);
    expect(back.cause).toBeInstanceOf(TypeError);
    expect((back.cause as Error).stack).toBe(cause.stack);
    expect(Object.keys(back).sort()).toEqual(Object.keys(error).sort());
    const all = copy(new AggregateError([new RangeError('one'), 2], 'both'));
    expect(all).toBeInstanceOf(AggregateError);
    expect(all.errors[0]).toBeInstanceOf(RangeError);
    const loop = new Error('loop');
    loop.cause = loop;
    expect(copy(loop).cause).toBeInstanceOf(Error);
  });

  test('errors of Node and of the web', () => {
    let error: NodeJS.ErrnoException | undefined;
    try {
      fs.readFileSync('/does/not/exist');
    } catch (caught) {
      error = caught as NodeJS.ErrnoException;
    }
    expect(copy(error)).toMatchObject({ code: 'ENOENT', errno: -2, message: error?.message });
    try {
      Buffer.alloc('x' as unknown as number);
    } catch (caught) {
      const back = copy(caught) as NodeJS.ErrnoException;
      expect(back).toBeInstanceOf(TypeError);
      expect(back.code).toBe('ERR_INVALID_ARG_TYPE');
    }
    const aborted = copy(new DOMException('stop', 'AbortError'));
    expect(aborted.name).toBe('AbortError');
    expect(aborted).toBeInstanceOf(DOMException);
  });
});

describe('reduce', () => {
  test('a reduce method makes the object by a call, and its state may refer to it', () => {
    const connection = new targets.Connection('host:1');
    connection.note = 'kept';
    const back = copy([connection, connection]) as (typeof connection & { self: unknown })[];
    expect(back[0]?.address).toBe('host:1');
    expect(back[0]?.note).toBe('kept');
    expect(back[0]?.self).toBe(back[0]);
    expect(back[1]).toBe(back[0]);
  });

  test('getState and setState', () => {
    const counter = new targets.Counter();
    counter.count = 7;
    const back = copy(counter);
    expect(back).toBeInstanceOf(targets.Counter);
    expect([back.count, back.same, back.cache()]).toEqual([7, true, 'made anew']);
  });

  test('register() concerns exactly that class', () => {
    register(targets.Foreign, ({ value }: { value: unknown }) => [targets.makeForeign, [value]]);
    expect(copy(new targets.Foreign(1)).value).toBe('remade 1');
    expect(copy(new targets.ForeignChild(1)).value).toBe(1);
    expect(() => register(Array, () => [targets.add, []])).toThrow(TypeError);
  });

  test("a reduce function's own errors come out as they are, and it may pickle itself", () => {
    class Thrower {
      [Symbol.for('multiprocessing.reduce')](): never {
        throw new RangeError('not now');
      }
    }
    expect(() => ForkingPickler.dumps({ a: new Thrower() })).toThrow(RangeError);
    expect(() => copy(new targets.FailsThere())).toThrow(new RangeError('from the callable'));
    const shared = { deep: [1] };
    const nesting = {
      [Symbol.for('multiprocessing.reduce')]: () => [
        targets.later,
        [ForkingPickler.dumps([shared, shared])],
      ],
    };
    expect(ForkingPickler.loadsSync(ForkingPickler.dumps([shared, nesting, shared]))).toEqual([
      shared,
      expect.any(Promise),
      shared,
    ]);
  });

  test('dump() and instances write', () => {
    const written: Uint8Array[] = [];
    dump([1], (bytes) => written.push(bytes));
    new ForkingPickler((bytes) => written.push(bytes)).dump([2]);
    expect(written.map((bytes) => ForkingPickler.loadsSync(bytes))).toEqual([[1], [2]]);
  });
});

describe('loading', () => {
  test('a module is imported through the hook, once', async () => {
    const asked: string[] = [];
    const bytes = ForkingPickler.dumps(targets.add);
    const other = Buffer.from(bytes)
      .toString('latin1')
      .replace('reduction_targets', 'reduction_targetz');
    setModuleImporter((url) => {
      asked.push(url);
      return Promise.resolve({ add: targets.arrow });
    });
    try {
      expect(await ForkingPickler.loads(Buffer.from(other, 'latin1'))).toBe(targets.arrow);
      expect(await ForkingPickler.loads(Buffer.from(other, 'latin1'))).toBe(targets.arrow);
      expect(asked).toEqual([targetsUrl.replace('targets', 'targetz')]);
    } finally {
      setModuleImporter((url) => import(url) as Promise<object>);
    }
  });

  test('what is not there is an UnpicklingError that says so', async () => {
    const bytes = Buffer.from(ForkingPickler.dumps(targets.arrow)).toString('latin1');
    const changed = (from: string, to: string) => Buffer.from(bytes.replace(from, to), 'latin1');
    await expect(ForkingPickler.loads(changed('\xa5arrow', '\xa5arroz'))).rejects.toThrow(
      /cannot find 'arroz' in file:.*: is it exported\?/,
    );
    await expect(ForkingPickler.loads(changed('targets', 'nowhere'))).rejects.toThrow(
      UnpicklingError,
    );
    expect(() => ForkingPickler.loadsSync(changed('targets', 'nowhere'))).toThrow(UnpicklingError);
  });

  test('a remembered module needs no import', async () => {
    const url = targetsUrl.replace('targets', 'memorys');
    rememberModule(url, { add: targets.ns.f });
    const bytes = Buffer.from(ForkingPickler.dumps(targets.add)).toString('latin1');
    const message = Buffer.from(bytes.replace('targets', 'memorys'), 'latin1');
    expect(ForkingPickler.loadsSync(message)).toBe(targets.ns.f);
  });

  test('a message may be a plain Uint8Array anywhere in a larger one', async () => {
    const bytes = ForkingPickler.dumps(['x'.repeat(100), 1.5, new Point(1, 2)]);
    const larger = new Uint8Array(bytes.length + 10).fill(255);
    larger.set(bytes, 3);
    expect(await ForkingPickler.loads(larger.subarray(3, 3 + bytes.length))).toEqual([
      'x'.repeat(100),
      1.5,
      new Point(1, 2),
    ]);
  });
});

describe('other processes and threads', () => {
  test('arguments and results of a real child', async () => {
    const sum = await runChild(targets.add, [20, 22]);
    expect(sum).toBe(42);
    const args = [new Point(1, 2), new Map([['k', new Point(3, 4)]])];
    expect(await runChild(Array, args)).toStrictEqual(args);
    const error = (await runChild(targets.later, [new targets.AppError('sent', 500)])) as {
      status: number;
    };
    expect(error).toBeInstanceOf(targets.AppError);
    expect(error.status).toBe(500);
  });

  const run = (args: string[]) =>
    spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 });

  test('a main module that is still evaluating', () => {
    expect(run([fileURLToPath(fixture('reduction_main.mjs'))]).stdout).toBe('early true 42 true\n');
  });

  test('modules made by vm.SourceTextModule', () => {
    const { stdout, stderr } = run([
      '--experimental-vm-modules',
      fileURLToPath(fixture('reduction_vm.mjs')),
    ]);
    expect(stdout, stderr).toBe(
      '[{"module":"file:///tmp/virtual/module.ts","qualname":"f"},{"module":"file:///tmp/virtual/module.ts","qualname":"default"}]\n',
    );
  });

  test('TypeScript under tsx, ES and CommonJS', () => {
    // Written here, because it uses what this project's compiler options forbid.
    const folder = fs.mkdtempSync(join(tmpdir(), 'reduction-'));
    const core = new URL('../../packages/core/dist/pickle/reduction.js', import.meta.url).href;
    const main = join(folder, 'main.mts');
    fs.writeFileSync(
      join(folder, 'box.cts'),
      'export class Box { constructor(readonly value: number) {} }',
    );
    fs.writeFileSync(
      main,
      `import { ForkingPickler, nameOf } from ${JSON.stringify(core)};
      import { Box } from './box.cts';
      export enum Level { Low, High }
      function late(level: Level): string { return Level[level]; }
      export { late as renamed };
      export default class Local {}
      await Promise.resolve();
      const sent = { box: new Box(Level.High), local: new Local() };
      const copy = ForkingPickler.loadsSync(ForkingPickler.dumps(sent)) as typeof sent;
      const names = [late, Local, Box].map((fn) => nameOf(fn));
      console.log(
        ...names.map(({ module, qualname }) => module.replace(/.*\\//, '') + '#' + qualname),
        copy.box instanceof Box,
        copy.local instanceof Local,
      );`,
    );
    try {
      const { stdout, stderr } = run([
        '--import',
        pathToFileURL(require.resolve('tsx')).href,
        main,
      ]);
      expect(stdout, stderr).toBe('main.mts#renamed main.mts#default box.cts#Box true true\n');
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });

  test('a worker thread', async () => {
    const worker = new Worker(fixture('reduction_worker.mjs'));
    const { name, bytes } = await new Promise<{ name: object; bytes: Uint8Array }>(
      (resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      },
    );
    expect(name).toEqual({ module: targetsUrl, qualname: 'add' });
    expect(ForkingPickler.loadsSync(bytes)).toEqual(new Point(1, 2));
  });
});

describe('damaged messages', () => {
  const shared = { a: 1 };
  const messages = [
    { i: 5, s: 'text' },
    [shared, shared, [1.5, 'é', '日本', 300, -70_000], new Map([[shared, 1]])],
    [new Point(1, 2), new targets.Connection('x'), new targets.Counter(), targets.add, Math.max],
    [
      new Error('e', { cause: new targets.AppError('x', 1) }),
      new Date(),
      /x/g,
      5n ** 50n,
      new Uint8Array(20),
    ],
    [
      new targets.Registry([[1, 2]]),
      targets.Stack.from([1]),
      Object.assign(new Array(3), { 2: 3 }),
      Buffer.from('abc'),
      Symbol.iterator,
      Object('s'),
    ],
    Array.from({ length: 20 }, (_, i) => ({ id: i, tags: ['a'], sub: { x: i / 3 } })),
  ].map((value) => ForkingPickler.dumps(value).slice());

  test('not a message, nothing, the wrong version, leftovers', () => {
    for (const bytes of [
      [],
      [0x4d],
      [1, 2, 3],
      [0x4d, 0x80, 0],
      [0x4d, 0, 1, 1],
      [0x4d, 2, 1],
      [0x4d, 0, 0xff],
    ]) {
      expect(() => ForkingPickler.loadsSync(Uint8Array.from(bytes))).toThrow(UnpicklingError);
    }
  });

  test('every truncation', () => {
    for (const message of messages) {
      for (let length = 0; length < message.length; length++) {
        expect(() => ForkingPickler.loadsSync(message.subarray(0, length))).toThrow(
          UnpicklingError,
        );
      }
    }
  });

  const changes = fuzzed(6000);

  test(
    'random changes give a value or an UnpicklingError, quickly',
    () => {
      let seed = Number(process.env.PICKLE_SEED ?? 20_261_123);
      const random = (below: number) => {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((seed / 2 ** 32) * below);
      };
      const before = process.memoryUsage().rss;
      const start = performance.now();
      let values = 0;
      let errors = 0;
      for (let i = 0; i < changes; i++) {
        let bytes = Uint8Array.from(messages[i % messages.length] ?? []);
        for (let changes = 1 + random(4); changes > 0; changes--) {
          const at = random(bytes.length);
          if (random(4) > 0) bytes[at] = random(3) === 0 ? 0x80 + random(0x49) : random(256);
          else if (random(2) === 0)
            bytes = Uint8Array.from([...bytes.slice(0, at), ...bytes.slice(at + 1 + random(4))]);
          else
            bytes = Uint8Array.from([
              ...bytes.slice(0, at),
              random(256),
              random(256),
              ...bytes.slice(at),
            ]);
        }
        try {
          ForkingPickler.loadsSync(bytes);
          values++;
        } catch (error) {
          if (!(error instanceof UnpicklingError))
            throw new Error(`change ${i}: ${inspect(error)}`, { cause: error });
          errors++;
        }
      }
      expect(values).toBeGreaterThan(100);
      expect(errors).toBeGreaterThan(1000);
      expect(performance.now() - start).toBeLessThan(5 * changes);
      expect(process.memoryUsage().rss - before).toBeLessThan(500e6);
    },
    changes * 10,
  );

  test('a message nested without end', () => {
    const bytes = new Uint8Array(2_000_000);
    for (let i = 2; i < bytes.length; i += 2) bytes.set([0x8e, 1], i);
    bytes[0] = 0x4d;
    expect(() => ForkingPickler.loadsSync(bytes)).toThrow(UnpicklingError);
  });
});
