/**
 * What a message may name and call: no function that makes code of what it is given, nothing that is changed by it, and the
 * modules that its receiver allows.
 */
import child_process from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import * as mp from 'multiprocessing';
import { Client, Connection, Listener } from 'multiprocessing/connection';
import { ForkingPickler } from 'multiprocessing/reduction';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/targets.js';

const path = fileURLToPath(new URL('../fixtures/permitted.mjs', import.meta.url));
const url = pathToFileURL(path).href;

interface Permitted {
  settings: { admin: boolean };
  registry: { entries: unknown[] };
  identity(value: unknown): unknown;
  Plain: new () => { a: number };
  Remade: new (call: unknown[]) => object;
  execFileSync: unknown;
  fs: object;
}
const permitted = createRequire(import.meta.url)(path) as Permitted;
const { Plain, Remade, identity } = permitted;

/** Messages, put together by hand: those that a writer of ours does not write. */
const text = (value: string) =>
  Buffer.concat([Buffer.of(0x88, ...varint(value.length)), Buffer.from(value, 'latin1')]);
const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
const [GLOBAL, REDUCE, REDUCE_STATE, BOUND] = [0x90, 0x9f, 0xc0, 0xc1];
const [PROPERTIES, SYMBOL_PROPERTIES, DICT, ARRAY, REF] = [0xc3, 0xc4, 0x8d, 0x8e, 0x8a];
type Name = [module: string, qualname: string];
function message(names: Name[], ...body: (number | Buffer)[]): Buffer {
  const parts = body.map((part) => (typeof part === 'number' ? Buffer.of(part) : part));
  const head = Buffer.concat([Buffer.of(0x4d, 3), ...parts]);
  const table = [Buffer.from(varint(names.length)), ...names.flat().map(text)];
  const offset = Buffer.alloc(6);
  offset.writeUIntLE(head.length, 0, 6);
  return Buffer.concat([head, ...table, offset]);
}

const refused = (bytes: Uint8Array, why: RegExp) => {
  expect(() => ForkingPickler.loadsSync(bytes)).toThrow(
    expect.objectContaining({ name: 'UnpicklingError', message: expect.stringMatching(why) }),
  );
};

describe('modules', () => {
  test.each([
    'data:text/javascript,export const f = () => {}; process.exit(1)',
    'http://127.0.0.1:1/a.mjs',
    'https://127.0.0.1:1/a.mjs',
    'blob:nodedata:1',
    './relative.mjs',
    'lodash',
    '#internal',
    '',
    'FILE:///a.mjs',
  ])('%s is none that a message may name', async (module) => {
    const bytes = message([[module, 'f']], GLOBAL, 0);
    refused(bytes, /a message names the module '.*', which is not one that can be imported here/);
    await expect(ForkingPickler.loads(bytes)).rejects.toThrow(mp.UnpicklingError);
  });

  test('a function of a data: module has no name', async () => {
    const module = (await import(`data:text/javascript,${'export function f() {}'}`)) as {
      f: object;
    };
    expect(() => ForkingPickler.dumps(module.f)).toThrow(/'f' cannot be sent: it stands in data:/);
  });

  test.each(['child_process', 'vm', 'module', 'worker_threads', 'inspector', 'repl', 'cluster'])(
    'node:%s runs code',
    (module) => {
      refused(message([[`node:${module}`, 'x']], GLOBAL, 0), /which no message may: it runs code/);
      const exported = process.getBuiltinModule(module) as Record<string, unknown>;
      const fn = Object.values(exported).find((value) => typeof value === 'function');
      expect(() => ForkingPickler.dumps(fn)).toThrow(/it makes code of what it is given/);
    },
  );
});

describe('functions that make code', () => {
  const names: Name[] = [
    ...['Function', 'eval', 'Reflect.apply', 'Reflect.construct', 'Function.prototype.call'],
    ...['Function.prototype.apply', 'Function.prototype.bind', 'WebAssembly.Module'],
    ...['WebAssembly.compile', 'process.binding', 'process.dlopen', 'process.getBuiltinModule'],
    'Object.prototype.constructor.constructor',
    'Function.prototype.constructor',
  ].map((qualname): Name => ['globalThis', qualname]);
  names.push(
    ['node:process', 'binding'],
    ['node:process', 'dlopen'],
    ['node:v8', 'setFlagsFromString'],
  );
  names.push(['node:util', 'promisify.constructor'], ['node:fs', 'readFile.constructor']);
  names.push([url, 'identity.constructor'], [url, 'identity.constructor.prototype.constructor']);
  names.push([url, 'execFileSync'], [url, 'settings.constructor.constructor']);
  names.push([url, 'settings.__proto__.constructor'], [url, 'Plain.constructor']);

  test.each(names)('%s %s are refused by the reader', (...name) => {
    refused(
      message([name], GLOBAL, 0),
      /which no message may: it makes code of what it is given|cannot find '.*' in/,
    );
  });

  const kin = [
    ...[
      Function,
      // biome-ignore lint/security/noGlobalEval: it is refused
      eval,
      Reflect.apply,
      Reflect.construct,
      (globalThis as unknown as { WebAssembly: { compile: object } }).WebAssembly.compile,
    ],
    (async () => {}).constructor,
    function* () {}.constructor,
    async function* () {}.constructor,
    vm.runInThisContext,
    vm.Script,
    child_process.execSync,
    permitted.execFileSync,
    process.getBuiltinModule,
    vm.runInNewContext('Function'),
    vm.runInNewContext('eval'),
  ] as { name: string }[];

  test.each(kin.map((fn) => [fn.name, fn] as const))('%s is refused by the writer', (_, fn) => {
    expect(() => ForkingPickler.dumps({ fn })).toThrow(mp.PicklingError);
  });

  test('a call that gives one is no way to it', () => {
    const bytes = (...body: (number | Buffer)[]) =>
      message(
        [
          ['globalThis', 'Reflect.get'],
          [url, 'identity'],
        ],
        ...body,
      );
    refused(bytes(REDUCE, GLOBAL, 0, 2, GLOBAL, 1, text('constructor')), /may be called/);
    const bound = [BOUND, GLOBAL, 0, 0x80, 2, GLOBAL, 1, text('constructor')];
    refused(bytes(REDUCE, ...bound, 0), /may be called/);
  });

  test('the own parent may start any function', async () => {
    const { Process } = mp.getContext('spawn');
    const p = new Process({ target: child_process.execFileSync, args: ['true'] } as never);
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
  });
});

describe('calls of the language’s own', () => {
  const remade = (...call: unknown[]) =>
    ForkingPickler.loadsSync(ForkingPickler.dumps(new Remade(call)));

  test('those that make data are made', () => {
    expect(remade(Map, [[[1, 2]]])).toEqual(new Map([[1, 2]]));
    expect(remade(Buffer.from, ['text'])).toEqual(Buffer.from('text'));
    expect(remade(Math.max, [1, 2])).toBe(2);
    expect(remade(JSON.parse, ['[1]'])).toEqual([1]);
    expect(remade(Uint8Array, [4])).toEqual(new Uint8Array(4));
    expect(remade(identity, [5])).toBe(5);
  });

  test.each<[call: string, fn: unknown, args: unknown[]]>([
    ['process.exit', process.exit, [1]],
    ['fs.writeFileSync', process.getBuiltinModule('node:fs').writeFileSync, ['/x', 'y']],
    ['Object.assign', Object.assign, [{}, {}]],
    ['Array.from', Array.from, [{ length: 1e9 }]],
    ['Object.defineProperty', Object.defineProperty, [{}, 'x', {}]],
    ['setTimeout', setTimeout, [identity]],
    ['JSON.parse with a reviver', JSON.parse, ['[1]', identity]],
    ['Date of something that converts itself', Date, [{ valueOf: identity }]],
    ["Array of another realm's namespace", Array, [vm.runInNewContext('Math')]],
    ['Array of a namespace', Array, [Intl]],
    ['Array of what becomes a function', Array, [new Remade([identity, [Math.max]])]],
  ])('%s is not', (_, fn, args) => {
    expect(() => ForkingPickler.dumps(new Remade([fn, args]))).toThrow(
      /the reduce method of a 'Remade' object returns '[\w.]+', which a message may not call/,
    );
  });
});

describe('what a name leads to stays as it is', () => {
  const admin = Buffer.concat([Buffer.of(DICT, 1), text('admin'), Buffer.of(0x83)]);
  const cases: [string, Name, ...(number | Buffer)[]][] = [
    ['properties of an exported object', [url, 'settings'], PROPERTIES, GLOBAL, 0, admin],
    ['properties of a function', [url, 'identity'], PROPERTIES, GLOBAL, 0, admin],
    ['properties of a global', ['globalThis', 'Math'], PROPERTIES, GLOBAL, 0, admin],
    ['properties of a module', [url, 'fs'], PROPERTIES, GLOBAL, 0, admin],
    [
      'properties by a reference',
      [url, 'settings'],
      ...[ARRAY, 2, GLOBAL, 0, PROPERTIES, REF, 1, admin],
    ],
    [
      'symbols',
      [url, 'settings'],
      ...[SYMBOL_PROPERTIES, GLOBAL, 0, 1, 0x9e, 0, text('admin'), 0x83],
    ],
    [
      'the state of one that a function has given',
      [url, 'identity'],
      ...[REDUCE_STATE, REDUCE, GLOBAL, 0, 1, GLOBAL, 1, admin],
    ],
    ['the state of a name', [url, 'settings'], REDUCE_STATE, GLOBAL, 0, admin],
  ];

  test.each(cases)('%s', (_, name, ...body) => {
    const bytes = message([name, [url, 'settings']], ...body);
    refused(bytes, /puts properties on something that it has found by a name|no function/);
    expect(permitted.settings).toEqual({ admin: false });
  });

  test('a prototype that a function has given', () => {
    const bytes = message(
      [
        [url, 'identity'],
        ['globalThis', 'Object.prototype'],
      ],
      ...[REDUCE_STATE, REDUCE, GLOBAL, 0, 1, GLOBAL, 1, admin],
    );
    refused(bytes, /puts properties on|cannot find/);
    expect('admin' in {}).toBe(false);
  });

  test('an argument whose length cannot be asked for', () => {
    const call = [Array, [Object.create(Uint8Array.prototype)]];
    expect(() => ForkingPickler.dumps(new Remade(call))).toThrow(mp.PicklingError);
  });

  test('the length of an array', () => {
    const length = Buffer.concat([Buffer.of(DICT, 1), text('length'), Buffer.of(0x86, 0, 0, 0, 9)]);
    refused(message([], PROPERTIES, ARRAY, 0, length), /another length for an array|names/);
  });
});

describe('allowedModules', () => {
  const other = new URL('./', new URL(url)).href;
  const send = async (value: unknown, allowedModules: readonly (string | URL)[]) => {
    const [a, b] = mp.Pipe(true, { allowedModules });
    try {
      await a.send(value);
      a.sendSync(value);
      return [b.recvSync(), await b.recv()];
    } finally {
      a.close();
      b.close();
    }
  };
  const no = /names the module '.*', which is not among the allowedModules of who receives it/;

  test('plain data needs none', async () => {
    const value = { a: [1, new Map([[1, new Error('x')]]), new URL('http://x/')] };
    expect(await send(value, [])).toStrictEqual([value, value]);
  });

  test('modules are given as paths, URLs, folders and names', async () => {
    const value = new Plain();
    for (const allowed of [
      [path],
      [url],
      [new URL(url)],
      [`${dirname(path)}/`],
      [other],
      [`${url}?x`],
    ])
      expect(await send(value, allowed)).toEqual([value, value]);
    for (const allowed of [[], [`${url}x`], ['node:fs'], [`${other}dist/`], ['multiprocessing']])
      await expect(send(value, allowed)).rejects.toThrow(no);
    expect(await send(Math.max, ['globalThis'])).toEqual([Math.max, Math.max]);
    expect(await send(permitted.identity, [path])).toHaveLength(2);
    await expect(send(Math.max, [path])).rejects.toThrow(no);
    const error = new mp.TimeoutError('late');
    expect((await send(error, ['multiprocessing']))[0]).toBeInstanceOf(mp.TimeoutError);
    await expect(send(error, [path])).rejects.toThrow(no);
  });

  test('a way around a folder is none', () => {
    const [a, b] = mp.Pipe(true, { allowedModules: [`${dirname(path)}/dist/`] });
    for (const module of [
      url.replace('permitted', 'dist/../permitted'),
      url.replace('permitted', 'dist/%2e%2e/permitted'),
      url.replace('permitted', 'dist/..%2fpermitted'),
      `${url}?/dist/`,
      `${url}#/dist/`,
    ]) {
      a.sendBytesSync(message([[module, 'identity']], GLOBAL, 0));
      expect(() => b.recvSync(), module).toThrow(no);
    }
    for (const connection of [a, b]) connection.close();
  });

  test('nothing is imported before', () => {
    const [a, b] = mp.Pipe(true, { allowedModules: [path] });
    const never = new URL('../fixtures/never.mjs', import.meta.url).href;
    a.sendBytesSync(
      message(
        [
          [url, 'identity'],
          [never, 'f'],
        ],
        GLOBAL,
        0,
      ),
    );
    expect(() => b.recvSync()).toThrow(no);
    for (const connection of [a, b]) connection.close();
  });

  test.each(['Queue', 'JoinableQueue', 'SimpleQueue'] as const)('%s', async (kind) => {
    const options = { allowedModules: [path] };
    const queues = {
      Queue: () => mp.Queue(0, options),
      JoinableQueue: () => mp.JoinableQueue(0, options),
      SimpleQueue: () => mp.SimpleQueue(options),
    };
    const queue = queues[kind]();
    await queue.put(new Plain());
    expect(await queue.get()).toEqual(new Plain());
    for (const get of [() => queue.get(), async () => queue.getSync()]) {
      await queue.put(targets.empty);
      await expect(get()).rejects.toThrow(no);
    }
    await queue.put(1);
    expect(queue.getSync()).toBe(1);
    queue.close();
  });

  test('a listener and a client have it, and a connection that travels', async () => {
    const allowedModules = [path];
    using listener = new Listener(['127.0.0.1', 0], { allowedModules });
    const accepted = listener.accept();
    using client = await Client(listener.address, { allowedModules });
    using server = await accepted;
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      await from.send(new Plain());
      expect(await to.recv()).toEqual(new Plain());
      await from.send(targets.empty);
      await expect(to.recv()).rejects.toThrow(no);
    }
    const [a, b] = mp.Pipe();
    await a.send(server);
    using back = (await b.recv()) as Connection;
    await client.send(targets.empty);
    await expect(back.recv()).rejects.toThrow(no);
    for (const connection of [a, b]) connection.close();
  });

  test('what is no list of modules is told', () => {
    const make = (allowedModules: unknown) => () => mp.Pipe(true, { allowedModules } as never);
    expect(make('x')).toThrow(/TypeError|allowedModules must be an array/);
    expect(make([1])).toThrow(/must have paths and URLs of modules, not 1/);
    expect(make(['./a.mjs'])).toThrow(/is no absolute path.*import\.meta\.resolve\(\)/);
    expect(make(['https://x/y.mjs'])).toThrow(/is no absolute path/);
    expect(() => mp.Pipe(true, { codec: 'pickle', allowedModules: [] })).toThrow(
      /allowedModules is for the default codec/,
    );
    expect(() => mp.Queue(0, { allowedModules: 1 as never })).toThrow(TypeError);
    expect(() => new Connection(0, { allowedModules: {} as never })).toThrow(TypeError);
    expect(() => mp.Pipe(true, { allowModules: [] } as never)).toThrow(/unknown option/);
  });
});
