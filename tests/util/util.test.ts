/**
 * Finalizers, what runs after a fork, and the temporary directory. Counterparts of CPython's tests:
 * docs/cpython-tests.md.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import { _runFinalizers, Finalize, isExiting, registerAfterFork } from 'multiprocessing/util';
import { expect, test } from 'vitest';
import { report } from '../fixtures/dist/report.js';
import * as util from '../fixtures/dist/util_targets.js';
import { collected } from '../support/garbage.ts';
import { runProgram } from '../support/programs.ts';
import { Channel, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

/** Values of TMPDIR where a listener cannot have its socket. */
const unfitFolders: [string, () => string][] = [
  ['is not there', () => scratchFile('gone')],
  ['cannot be written', () => '/proc/self'],
  ['is empty', () => ''],
  [
    'is long',
    () => {
      const folder = join(scratchFile('workspace'), 'é'.repeat(40));
      mkdirSync(folder, { recursive: true });
      return folder;
    },
  ],
];

test('finalizers may come and go while the finalizers run', async () => {
  const calls = new Map<number, number>();
  const made: InstanceType<typeof Finalize>[] = [];
  const cancelled = new Set<number>();
  // Park and Miller's generator: the same disorder in every run.
  let seed = 1;
  const random = (n: number) => {
    seed = (seed * 16807) % 2147483647;
    return seed % n;
  };
  const make = () => {
    const id = made.length;
    const callback = () => {
      calls.set(id, (calls.get(id) ?? 0) + 1);
      const action = random(4);
      const other = random(made.length);
      if (action === 0 && made[other]?.stillActive()) {
        made[other].cancel();
        cancelled.add(other);
      } else if (action === 1 && made.length < 400) make();
      else if (action === 2) _runFinalizers(1 + random(100));
      else {
        // Garbage in a cycle that has a finalizer of its own.
        const cycle: { self?: object } = {};
        cycle.self = cycle;
        new Finalize(cycle, () => {});
      }
    };
    made.push(new Finalize(null, callback, { exitpriority: 1 + random(100) }));
  };
  for (let i = 0; i < 200; i++) make();
  _runFinalizers(1);
  await collected(new WeakRef({}));
  // Those that were made meanwhile.
  while (made.some((finalizer) => finalizer.stillActive())) _runFinalizers(1);
  expect(made.length).toBeGreaterThan(200);
  for (const [id, finalizer] of made.entries()) {
    expect(calls.get(id) ?? 0).toBe(cancelled.has(id) ? 0 : 1);
    expect(finalizer.stillActive()).toBe(false);
  }
});

test('a finalizer says what it is and hands its arguments over', () => {
  const seen: unknown[] = [];
  function callback(...args: unknown[]): string {
    seen.push(args);
    return 'result';
  }
  const owner = {};
  const f = new Finalize<unknown[]>(owner, callback, {
    args: [1, 'two'],
    kwargs: { three: 3 },
    exitpriority: 7,
  });
  expect(String(f)).toBe(
    "<Finalize object, callback=callback, args=[ 1, 'two', { three: 3 } ], exitpriority=7>",
  );
  expect(inspect(f)).toBe(String(f));
  expect(f.stillActive()).toBe(true);
  expect(f.call()).toBe('result');
  expect(f.call()).toBeUndefined();
  expect(seen).toEqual([[1, 'two', { three: 3 }]]);
  expect(f.stillActive()).toBe(false);
  expect(String(f)).toBe('<Finalize object, dead>');
  const g = new Finalize(owner, callback);
  g.cancel();
  expect([g.call(), g.stillActive(), seen.length]).toEqual([undefined, false, 1]);
  expect(isExiting()).toBe(false);
});

test('a finalizer without an object needs a priority', () => {
  expect(() => new Finalize(null, () => {})).toThrow(mp.ValueError);
  expect(() => new Finalize(undefined, () => {})).toThrow(mp.ValueError);
  expect(() => new Finalize({}, () => {}, { exitpriority: 1.5 })).toThrow(TypeError);
  expect(() => new Finalize({}, 'x' as unknown as () => void)).toThrow(TypeError);
});

forEachStartMethod((ctx, method) => {
  test('a finalizer runs once: at collection, when called, or at exit by priority', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: util.finalizeInOrder, args: [channel.path] });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(channel.all()).toEqual(['a', 'b', 'x', 'd10', 'd03', 'd02', 'd01', 'e', 'STOP']);
  });

  test('finalizers of a child run at its end, and those of its parent do not', async () => {
    const channel = new Channel();
    const inherited = new Finalize(null, report, { args: [channel.path, 'mine'], exitpriority: 1 });
    try {
      for (const target of [util.finalizeAtEnd, util.finalizeAtEndLater]) {
        const p = new ctx.Process({ target, args: [channel.path] });
        await p.start();
        await p.join();
        expect(p.exitcode).toBe(0);
        expect(channel.all()).toEqual([
          ['run', false],
          ['early', true],
          ['late', true],
        ]);
      }
    } finally {
      inherited.cancel();
    }
  });

  test('the after-fork registry does not grow from generation to generation', async () => {
    const before = mp.getStartMethod({ allowNone: true });
    mp.setStartMethod(method, { force: true });
    try {
      const channel = new Channel();
      const owner = { pid: process.pid };
      registerAfterFork(owner, ({ pid }) => report(channel.path, ['after fork', pid]));
      const size = util.afterForkers();
      const p = new mp.Process({ target: util.descend, args: [channel.path, 5] });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      const reports = channel.all() as [string, number][];
      const registered = reports.pop() as [string, number];
      expect(registered[0]).toBe('registered');
      expect(registered[1]).toBeLessThanOrEqual(size);
      // One process per generation, and each is a copy that knows the owner.
      expect(reports).toEqual(method === 'fork' ? Array(5).fill(['after fork', owner.pid]) : []);
    } finally {
      mp.setStartMethod(before, { force: true });
    }
  });

  test('what is registered for an object that is gone does not run', async () => {
    const channel = new Channel();
    const ref = (() => {
      const owner = {};
      registerAfterFork(owner, () => report(channel.path, 'not gone'));
      return new WeakRef(owner);
    })();
    expect(await collected(ref)).toBe(true);
    const failing = {};
    registerAfterFork(failing, () => {
      throw new Error('does not matter');
    });
    const p = new ctx.Process({ target: util.registerInChild, args: [channel.path] });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(channel.all()).toEqual([expect.any(Number)]);
    expect(failing).toEqual({});
  });

  test('the temporary directory of a child is gone with it', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: util.useTempDir, args: [channel.path] });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    const [[path, existed, same]] = channel.all() as [[string, boolean, boolean]];
    expect([dirname(path), existed, same]).toEqual([tmpdir(), true, true]);
    expect(existsSync(path)).toBe(false);
  });

  test.each(unfitFolders)(
    'the temporary directory is where a listener can be: TMPDIR %s',
    async (_, make) => {
      const TMPDIR = make();
      const env = { TMPDIR, TEMP: undefined, TMP: undefined };
      const { stdout, stderr } = await runProgram('temp_dir', [method], { method, env });
      const [child, main, swept] = stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line));
      const usable = [expect.stringMatching(/^\/tmp\/pymp-\w{6}$/), true, 'heard'];
      expect([child, main, swept, stderr]).toEqual([usable, usable, [true], '']);
      expect([existsSync(child[0]), existsSync(main[0])]).toEqual([false, false]);
    },
  );
});
