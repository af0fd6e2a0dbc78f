/**
 * Wrong arguments: a typed error that names the argument, before any process is made, and nothing left.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { wait, waitSync } from 'multiprocessing/connection';
import { describe, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import { Secretive } from '../fixtures/dist/classes.js';
import * as targets from '../fixtures/dist/targets.js';
import { runNode, runProgram } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

type Options = ConstructorParameters<typeof mp.Process>[0];

/** Children, zombies included, and fds of this process. */
function held() {
  const tasks = readdirSync('/proc/self/task').map((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8'),
  );
  return { fds: readdirSync('/proc/self/fd').length, children: tasks.join('') };
}

const notExported = () => {};

describe('new Process()', () => {
  const refused = (options: unknown, message: string | RegExp) => {
    for (const cls of [mp.Process, mp.SpawnProcess, mp.ForkProcess, mp.ForkServerProcess]) {
      const make = () => new (cls as unknown as typeof mp.Process)(options as Options);
      expect(make).toThrow(TypeError);
      expect(make).toThrow(message);
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_MP_TYPE' }));
    }
  };

  test('refuses unknown options', () => {
    refused({ tagret: targets.empty }, "Process: unknown option 'tagret'");
    refused({ group: null }, "Process: unknown option 'group'");
  });

  test('refuses options of the wrong type', () => {
    refused({ target: 'empty' }, "Process: target must be a function, not 'empty'");
    refused({ target: null }, 'Process: target must be a function, not null');
    refused({ args: 'abc' }, "Process: args must be an array, not 'abc'");
    refused({ args: { length: 1 } }, 'Process: args must be an array');
    refused({ args: new Set([1]) }, 'Process: args must be an array');
    refused({ kwargs: 1 }, 'Process: kwargs must be an object, not 1');
    refused({ kwargs: null }, 'Process: kwargs must be an object, not null');
    refused({ name: 5 }, 'Process: name must be a string, not 5');
    refused({ daemon: 'yes' }, "Process: daemon must be a boolean, not 'yes'");
  });

  test('takes options that are undefined', () => {
    const p = new mp.Process({ target: undefined, name: undefined, daemon: undefined } as Options);
    expect([p.daemon, p.name.length > 0]).toEqual([false, true]);
  });

  test('refuses what is no options object', () => {
    refused('target', /./);
    refused(null, /./);
    refused(targets.empty, /./);
  });
});

test('wait refuses a timeout that is no number', async () => {
  for (const [timeout, cls] of [
    [Number.NaN, mp.ValueError],
    ['1', TypeError],
    [null, TypeError],
    [1n, TypeError],
  ] as const) {
    await expect(wait([], timeout as number)).rejects.toThrow(cls);
    expect(() => waitSync([], timeout as number)).toThrow(cls);
  }
  await expect(wait([999_999], 0)).rejects.toThrow(expect.objectContaining({ code: 'EBADF' }));
  expect(() => waitSync([999_999])).toThrow(expect.objectContaining({ code: 'EBADF' }));
});

test('setExecutable refuses what is no path', () => {
  for (const wrong of [1, '', {}, null, new URL('https://example.org/')]) {
    expect(() => mp.setExecutable(wrong as string)).toThrow(TypeError);
  }
});

forEachStartMethod((ctx) => {
  test('join refuses a timeout that is no number', async () => {
    const p = new ctx.Process({ target: targets.empty });
    await p.start();
    for (const [timeout, cls, text] of [
      [Number.NaN, mp.ValueError, 'timeout is NaN'],
      ['1', TypeError, "timeout must be a number of seconds or undefined, not '1'"],
      [null, TypeError, 'timeout must be a number of seconds or undefined, not null'],
    ] as const) {
      await expect(p.join(timeout as number)).rejects.toThrow(cls);
      await expect(p.join(timeout as number)).rejects.toThrow(text);
      expect(() => p.joinSync(timeout as number)).toThrow(cls);
    }
    await p.join(Number.POSITIVE_INFINITY);
    expect(p.exitcode).toBe(0);
  });
});

forEachStartMethod(['spawn', 'forkserver'], (ctx, method) => {
  /** Starting it, in both ways, is refused, and makes nothing. */
  const refused = async (options: object, cls: new (...args: never[]) => Error, text: RegExp) => {
    // What a first start brings is there to stay.
    const warm = new ctx.Process({ target: targets.empty });
    await warm.start();
    await warm.join();
    const before = held();
    const p = new ctx.Process(options as Options);
    const error = await p.start().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(cls);
    expect((error as Error).message).toMatch(text);
    expect(() => p.startSync()).toThrow(cls);
    expect([p.pid, p.isAlive(), p.exitcode]).toEqual([undefined, false, undefined]);
    expect(mp.activeChildren()).toEqual([]);
    expect(held()).toEqual(before);
  };

  test('a target that is not exported cannot be started', async () => {
    await refused({ target: notExported }, mp.PicklingError, /notExported.*export/s);
    await refused({ target: () => 1 }, mp.PicklingError, /export/);
  });

  test('an argument that cannot be pickled is named', async () => {
    await refused(
      { target: targets.reportArgs, args: ['x', { deep: [1, Symbol('no')] }] },
      mp.PicklingError,
      /args\[1\]\.deep\[1\]/,
    );
    await refused(
      { target: targets.reportArgs, args: ['x'], kwargs: { f: notExported } },
      mp.PicklingError,
      /kwargs\.f/,
    );
    await refused(
      { target: targets.reportArgs, args: [new WeakMap()] },
      mp.PicklingError,
      /args\[0\]/,
    );
    await refused(
      { target: targets.reportArgs, args: [Promise.resolve()] },
      mp.PicklingError,
      /args\[0\]/,
    );
  });

  test('a subclass with private members cannot be sent', async () => {
    const before = mp.getStartMethod({ allowNone: true });
    mp.setStartMethod(method, { force: true });
    try {
      const p = new Secretive();
      await expect(p.start()).rejects.toThrow(mp.PicklingError);
      await expect(p.start()).rejects.toThrow(/'Secretive'.*private/);
      expect(() => p.startSync()).toThrow(mp.PicklingError);
    } finally {
      mp.setStartMethod(before, { force: true });
    }
  });

  test('a start that was refused can be tried again', async () => {
    const p = new ctx.Process({ target: targets.empty });
    const { reducer } = ctx;
    ctx.reducer = {
      ForkingPickler: {
        dumps() {
          throw new mp.PicklingError('not today');
        },
      },
    };
    try {
      await expect(p.start()).rejects.toThrow('not today');
    } finally {
      ctx.reducer = reducer;
    }
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
  });

  test('an executable that does not exist is an OSError, and nothing is left', async () => {
    _forkserver._stop();
    const notExecutable = scratchFile();
    writeFileSync(notExecutable, '', { mode: 0o600 });
    for (const [path, code] of [
      ['/no/such/node', 'ENOENT'],
      [notExecutable, 'EACCES'],
    ] as const) {
      mp.setExecutable(path);
      try {
        const before = held();
        const p = new ctx.Process({ target: targets.empty });
        await expect(p.start()).rejects.toThrow(
          expect.objectContaining({ name: 'OSError', code, syscall: 'posix_spawn' }),
        );
        await expect(p.start()).rejects.toThrow(path);
        expect(() => p.startSync()).toThrow(expect.objectContaining({ code }));
        expect(p.pid).toBeUndefined();
        expect(held()).toEqual(before);
      } finally {
        mp.setExecutable(undefined);
      }
    }
  });

  test('a main module whose file is gone is an OSError before the start', async () => {
    const { code, stdout, stderr } = await runProgram('vanished_main', [method]);
    expect([code, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toEqual([
      { name: 'OSError', code: 'ENOENT', message: expect.stringMatching(/main module.*vanished/) },
      { name: 'OSError', code: 'ENOENT', message: expect.stringMatching(/main module.*vanished/) },
    ]);
  });

  test('a target of a program without a file says that there is nothing to import', async () => {
    const { stdout, code } = await runNode([
      '--input-type=module',
      '-e',
      `import * as mp from '${import.meta.resolve('multiprocessing')}';
       const p = new (mp.getContext('${method}').Process)({ target: function f() {} });
       await p.start().catch((error) => console.log(error.name, error.message));`,
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^PicklingError function 'f' cannot be sent: .*export/);
  });
});
