/**
 * Functions by value, call by call: what is refused and how that is said, who may read them, what they cost who does not
 * use them, and that looking into a function runs nothing of it.
 */
import { createHook } from 'node:async_hooks';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import * as mp from 'multiprocessing';
import { closures, ForkingPickler } from 'multiprocessing/reduction';
import { afterEach, describe, expect, test } from 'vitest';
import { loadsFromParent } from '../../packages/core/dist/closures/closures.js';
import { closures as unbundled } from '../../packages/core/dist/index.js';
import * as targets from '../fixtures/dist/closure_targets.js';
import { report } from '../fixtures/dist/report.js';
import { pair } from '../support/connections.ts';
import { runProgram } from '../support/programs.ts';
import { Channel, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const dumps = (value: unknown) => closures.ForkingPickler.dumps(value);
/** There and back, in this process. */
const copy = async <T>(value: T) =>
  (await loadsFromParent(unbundled.ForkingPickler.dumps(value))) as T;

test('a function of another realm, as each file of tests is one in jest', async () => {
  const made = runInNewContext(`
    const factor = 2;
    (function () { return { own(x) { return x * factor; }, Plain: function (x) { this.x = x; } }; })()
  `) as { own: (x: number) => number; Plain: new (x: number) => { x: number } };
  expect((await copy(made.own))(21)).toBe(42);
  const { Plain } = await copy({ Plain: made.Plain });
  expect(new Plain(1)).toEqual({ x: 1 });
  expect(Object.getPrototypeOf(Plain.prototype)).toBe(Object.prototype);
});

describe('refusals', () => {
  class Parent {
    name() {
      return 'parent';
    }
  }
  class Child extends Parent {
    later() {
      return () => super.name();
    }
    #hidden() {
      return 1;
    }
    hidden() {
      return this.#hidden;
    }
    usesHidden() {
      return () => this.#hidden();
    }
  }
  function Target(this: object) {
    return () => new.target;
  }
  const withSuper = {
    __proto__: { m: () => 1 },
    m() {
      return super.toString();
    },
  };
  function* running() {
    yield 1;
  }
  const captured: Readonly<Record<string, readonly [value: unknown, why: RegExp]>> = {
    'a WeakMap': [new WeakMap(), /a WeakMap cannot be sent: its content cannot be listed/],
    'a Promise': [Promise.resolve(), /a Promise cannot be sent: await it/],
    'a running generator': [running(), /a generator cannot be sent: send an array/],
    'a Proxy': [new Proxy({}, {}), /a Proxy cannot be sent: send what it stands for/],
    'a native handle': [new MessageChannel().port1, /give the class a/],
    'a symbol of this process': [Symbol('own'), /unique to its process/],
    'a SharedArrayBuffer': [new SharedArrayBuffer(8), /multiprocessing\/shared_memory/],
    'super of the method around it': [new Child().later(), /it uses super/],
    'a method with super': [withSuper.m, /it uses super/],
    'new.target of the function around it': [
      Reflect.construct(Target, []),
      /it uses new\.target of the function around it/,
    ],
    'a direct eval': [targets.directEval(), /it uses eval, which can see every/],
    'a private method': [new Child().hidden(), /a private method cannot be sent without its class/],
    'an instance with private members of a class that goes by name': [
      new targets.Sealed(),
      /its class has private members \(#value\), which only its constructor can make.*multiprocessing\.reduce/,
    ],
    'a function that uses private members': [
      new Child().usesHidden(),
      /it uses private members, which only code in its class can: send the object, or the class/,
    ],
  };

  for (const [what, [value, why]] of Object.entries(captured)) {
    test(`${what} names its place`, () => {
      const db = { socket: value };
      const target = () => db;
      let error: unknown;
      try {
        dumps({ target });
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ name: 'PicklingError', code: 'ERR_MP_PICKLING' });
      const { message } = error as Error;
      expect(message).toMatch(why);
      expect(message).toMatch(/found at property "target" → scope "db" → property "socket"/);
    });
  }

  test('a function that stands inside of Node, and one that is native', () => {
    const native = (() => {}).bind(undefined);
    expect(() => dumps(native)).not.toThrow();
    expect(() => dumps(Object.getOwnPropertyDescriptor(process, 'stdout')?.get)).toThrow(
      mp.PicklingError,
    );
  });

  test('the error of the default says what to do', () => {
    const local = () => 1;
    expect(() => ForkingPickler.dumps(local)).toThrow(
      /export it.*or let it travel by value: `ctx\.allowClosures = true`/s,
    );
  });

  test('after an error the next message is as any other', async () => {
    for (let i = 0; i < 20; i++) {
      const weak = new WeakMap();
      expect(() => dumps([() => i, () => weak])).toThrow(mp.PicklingError);
      expect(((await copy(() => i)) as () => number)()).toBe(i);
    }
  });
});

describe('who may read functions by value', () => {
  const message = dumps({ f: () => 1 });

  test('ForkingPickler does not', async () => {
    await expect(ForkingPickler.loads(message)).rejects.toThrow(/from the own parent only/);
    expect(() => ForkingPickler.loadsSync(message)).toThrow(mp.UnpicklingError);
  });

  test('a Connection does not', async () => {
    const [here, there] = pair();
    await there.sendBytes(message);
    await expect(here.recv()).rejects.toThrow(mp.UnpicklingError);
    there.sendBytesSync(message);
    expect(() => here.recvSync()).toThrow(/from the own parent only/);
    await expect(there.send(() => 1)).rejects.toThrow(mp.PicklingError);
  });

  test('a queue sends none, also where children get them', () => {
    const queue = mp.getContext('fork').SimpleQueue();
    expect(() => queue.putSync(() => 1)).toThrow(mp.PicklingError);
    queue.close();
  });

  test('a message that refers to code which it does not have is refused', async () => {
    for (const bytes of [
      [0x4d, 0, 0xcb, 0],
      [0x4d, 0, 0xcd, 0],
      [0x4d, 0, 0xd0, 0x80],
      [0x43, 0, 0, 0, 0, 0x4d, 0, 0xcb, 0],
      [0x43, 255, 255, 255, 255],
    ]) {
      await expect(ForkingPickler.loads(Uint8Array.from(bytes))).rejects.toThrow(
        mp.UnpicklingError,
      );
    }
    const table = Buffer.from('{"functions":[],"imports":[]}');
    const head = Buffer.from([0x43, table.length, 0, 0, 0]);
    const refers = (code: number) =>
      loadsFromParent(Buffer.concat([head, table, Buffer.from([0x4d, 0, code, 0])]));
    await expect(refers(0xcb)).rejects.toThrow('no such function');
    await expect(refers(0xcd)).rejects.toThrow('no such import');
    await expect(
      loadsFromParent(Buffer.from([0x43, 2, 0, 0, 0, 0x5b, 0x5d, 0x4d, 0, 0xcb, 0])),
    ).rejects.toThrow('no table of its functions');
  });
});

forEachStartMethod(['spawn', 'forkserver'], (ctx) => {
  afterEach(() => {
    ctx.allowClosures = false;
  });

  test('allowClosures lets a context take what has no name', async () => {
    const channel = new Channel();
    const { path } = channel;
    const start = async () => {
      const p = new ctx.Process({ target: () => report(path, ctx.getStartMethod()) });
      await p.start();
      await p.join();
      return p.exitcode;
    };
    await expect(start()).rejects.toThrow(/allowClosures/);
    ctx.allowClosures = true;
    expect(await start()).toBe(0);
    expect(channel.all()).toEqual([ctx.getStartMethod()]);
  });

  test('a function that came by value can be sent on', async () => {
    ctx.allowClosures = true;
    const channel = new Channel();
    const { path } = channel;
    let n = 0;
    const inc = () => ++n;
    const get = () => n;
    const descend = async (depth: number): Promise<void> => {
      inc();
      if (depth === 0) return report(path, [inc(), get()]);
      const own = mp.getContext(ctx.getStartMethod() as 'spawn');
      own.allowClosures = true;
      const p = new own.Process({ target: descend, args: [depth - 1] });
      await p.start();
      await p.join();
      if (p.exitcode !== 0) throw new mp.SystemExit(p.exitcode);
    };
    const p = new ctx.Process({ target: descend, args: [2] });
    await p.start();
    await p.join();
    expect([p.exitcode, channel.all()]).toEqual([0, [[4, 4]]]);
  });
});

test('allowClosures is true or false, and under fork true', () => {
  const fork = mp.getContext('fork');
  expect(fork.allowClosures).toBe(true);
  expect(() => {
    fork.allowClosures = false;
  }).toThrow(mp.ValueError);
  for (const name of ['spawn', 'forkserver'] as const) {
    const ctx = mp.getContext(name);
    expect(ctx.allowClosures).toBe(false);
    expect(() => {
      ctx.allowClosures = 1 as never;
    }).toThrow(TypeError);
  }
});

describe('looking into a function', () => {
  test('runs nothing of it', async () => {
    const ran: string[] = [];
    let n = 0;
    const note = (what: string) => {
      ran.push(what);
      return 1;
    };
    class Holder {
      value = 7;
      arrow = (a = note('default'), { b = note('pattern') } = {}, ...[c = note('rest')]) => {
        note('body');
        for (;;) n += a + b + c;
      };
      asynchronous = async (a = note('default')) => {
        note('async body');
        return [this.value, a];
      };
    }
    const holder = new Holder();
    const before = n;
    const inc = (by = note('default')) => {
      n += by;
      note('inc');
    };
    const get = () => n;
    let promises = 0;
    const hook = createHook({
      init: (_id, type) => {
        if (type === 'PROMISE') promises++;
      },
    }).enable();
    for (let i = 0; i < 25; i++) dumps([holder, inc, get]);
    hook.disable();
    expect(ran).toEqual([]);
    expect(n).toBe(before);
    expect(await holder.asynchronous()).toEqual([7, 1]); // nothing is left that would stop it
    // Unlike a call that goes on, one that is ended settles nothing; it makes at most one promise each time.
    expect(promises).toBeLessThanOrEqual(50);
  });

  test('tells the variables of two calls apart, with the same values', async () => {
    const make = () => {
      let n = 0;
      return { inc: () => ++n, get: () => n };
    };
    for (let i = 0; i < 5; i++) {
      const [a, b] = await copy([make(), make()] as const);
      a.inc();
      a.inc();
      b.inc();
      expect([a.get(), b.get()]).toEqual([2, 1]);
    }
  });

  test('two generator functions share their variable', async () => {
    let n = 0;
    function* count() {
      yield ++n;
    }
    function* show() {
      yield n;
    }
    const [a, b] = await copy([count, show] as const);
    expect([...a(), ...a(), ...b()]).toEqual([1, 2, 2]);
    expect(n).toBe(0);
  });
});

test('a JSON module is copied', async () => {
  const { makeReader } = (await import(import.meta.resolve('../fixtures/closure_json.mjs'))) as {
    makeReader: () => () => number;
  };
  expect((await copy(makeReader()))()).toBe(42);
});

describe('a script with many comments', () => {
  const comments = '/** One of many. */\n'.repeat(10_000);
  const scripts = {
    'before its first line': [
      'cjs',
      `${comments}exports.make = () => function () { return this; };`,
    ],
    'before its directive': [
      'cjs',
      `${comments}'use strict';\nexports.make = () => function () { return this; };`,
    ],
    'after the word import': [
      'mjs',
      `// import\n${comments}export const make = () => function () { return this; };`,
    ],
  } as const;
  for (const [where, [extension, text]] of Object.entries(scripts)) {
    test(`${where} is read once`, async () => {
      const file = `${scratchFile('commented')}.${extension}`;
      writeFileSync(file, text);
      const { make } = createRequire(file)(file) as { make: () => () => unknown };
      const copied = await copy(make());
      expect(Reflect.apply(copied, undefined, [])).toBe(Reflect.apply(make(), undefined, []));
    });
  }
});

test('an error of a function by value tells the original place', async () => {
  const place = (fn: () => never) => {
    try {
      return fn();
    } catch (error) {
      return /\n.*?(file:\S+:\d+:\d+)/.exec(String((error as Error).stack))?.[1];
    }
  };
  const original = targets.makeFailing();
  const { text } = await copy({ original, text: 'other' });
  expect(text).toBe('other');
  expect(place(original)).toMatch(/closure_targets\.js:\d+:\d+$/);
  expect(place(await copy(original))).toBe(place(original));
});

test('who does not use it loads no parser', async () => {
  const { stdout, stderr } = await runProgram('loads_little');
  expect([stdout, stderr]).toEqual(['true false\n', '']);
});
