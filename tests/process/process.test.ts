/**
 * The Process object: what it says before, while and after its child runs, and what reaches the child.
 * Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { appendFileSync, chmodSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import { wait, waitSync } from 'multiprocessing/connection';
import { ForkingPickler } from 'multiprocessing/reduction';
import { describe, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import { report } from '../fixtures/dist/report.js';
import * as targets from '../fixtures/dist/targets.js';
import { collected } from '../support/garbage.ts';
import { runProgram } from '../support/programs.ts';
import { Channel, Gate, linesOf, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('the main process has a name, no parent and no exit code', () => {
  const main = mp.currentProcess();
  expect(main.name).toBe('MainProcess');
  expect(mp.parentProcess()).toBeUndefined();
  expect(main.isAlive()).toBe(true);
  expect(main.exitcode).toBeUndefined();
  expect(String(main)).toBe("<MainProcess name='MainProcess' parent=None started>");
  main.close();
  expect(main.isAlive()).toBe(true);
});

test('an authkey does not leave the process, except to a child that is being started', () => {
  const { authkey } = mp.currentProcess();
  for (const value of [authkey, { deep: [authkey] }]) {
    expect(() => ForkingPickler.dumps(value)).toThrow(TypeError);
    expect(() => ForkingPickler.dumps(value)).toThrow(
      'Pickling an AuthenticationString object is disallowed for security reasons',
    );
  }
});

forEachStartMethod((ctx, method) => {
  test('current process has a name, an authkey and a pid', async () => {
    const main = mp.currentProcess();
    expect(main.isAlive()).toBe(true);
    expect(main.daemon).toBe(false);
    expect(main.authkey).toBeInstanceOf(Uint8Array);
    expect(main.authkey.length).toBeGreaterThan(0);
    expect([main.ident, main.pid]).toEqual([process.pid, process.pid]);
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportCurrentProcess, args: [channel.path] });
    await p.start();
    await p.join();
    expect(await channel.next()).toEqual({
      name: p.name,
      daemon: false,
      ident: p.pid,
      pid: p.pid,
      alive: true,
      exitcode: null,
      authkey: hex(main.authkey),
      text: `<${p.constructor.name} name='${p.name}' parent=${process.pid} started>`,
    });
    expect(p.pid).not.toBe(process.pid);
  });

  test('a child runs the executable given to setExecutable as text, bytes or a file URL', async () => {
    const log = scratchFile('log');
    // The space makes the file's URL differ from its path.
    const script = scratchFile('a node');
    const forms = [script, Buffer.from(script), pathToFileURL(script)];
    writeFileSync(script, `#!/bin/sh\necho started >> '${log}'\nexec '${process.execPath}' "$@"\n`);
    chmodSync(script, 0o755);
    try {
      for (const [i, form] of forms.entries()) {
        if (method === 'forkserver') _forkserver._stop();
        mp.setExecutable(form);
        const p = new ctx.Process();
        await p.start();
        await p.join();
        expect(p.exitcode).toBe(0);
        expect(linesOf(log)).toHaveLength(method === 'fork' ? 0 : i + 1);
      }
    } finally {
      mp.setExecutable(undefined);
      _forkserver._stop();
    }
  });

  test('an argument reaches the target as it was: a number, a text, a list, a frozen list', async () => {
    const channel = new Channel();
    for (const value of [1, 'text', [1], Object.freeze([1])]) {
      for (const args of [[channel.path, value], Object.freeze([channel.path, value])] as const) {
        const p = new ctx.Process({
          target: targets.reportArgs,
          args: args as [string, unknown],
          daemon: true,
        });
        await p.start();
        await p.join();
        expect(p.exitcode).toBe(0);
        expect(channel.all()).toEqual([[value]]);
      }
    }
  });

  test('a new process takes the daemon flag of its creator unless it is told one', async () => {
    expect(new ctx.Process().daemon).toBe(mp.currentProcess().daemon);
    expect(new ctx.Process({ daemon: true }).daemon).toBe(true);
    expect(new ctx.Process({ daemon: false }).daemon).toBe(false);
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportDaemonOfNewProcess, args: [channel.path] });
    p.daemon = true;
    await p.start();
    expect(() => {
      p.daemon = false;
    }).toThrow(new mp.AssertionError('process has already started'));
    await p.join();
    const refusal = {
      name: 'AssertionError',
      message: 'daemonic processes are not allowed to have children',
      code: 'ERR_MP_ASSERTION',
    };
    expect(await channel.next()).toEqual([true, refusal, refusal]);
  });

  test('a child knows the pid and the name of its parent', async () => {
    expect(mp.parentProcess()).toBeUndefined();
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportParentProcess, args: [channel.path] });
    await p.start();
    await p.join();
    expect(await channel.next()).toEqual([process.pid, mp.currentProcess().name, true]);
  });

  test('a process goes from new to running to ended and hands args, kwargs, name and authkey over', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const p = new ctx.Process({
      target: targets.reportSelf,
      args: [channel.path, gate.path, 1, 2],
      kwargs: { hello: 23, bye: 2.54 },
      name: 'SomeProcess',
      daemon: true,
    });
    const { authkey } = mp.currentProcess();
    expect(p.authkey).toEqual(authkey);
    expect([p.isAlive(), p.daemon, p.exitcode, p.pid]).toEqual([false, true, undefined, undefined]);
    expect(mp.activeChildren()).toBeInstanceOf(Array);
    expect(mp.activeChildren()).not.toContain(p);
    await p.start();
    expect([p.isAlive(), p.exitcode]).toEqual([true, undefined]);
    expect(mp.activeChildren()).toContain(p);
    expect(await channel.next()).toEqual({
      rest: [1, 2, { hello: 23, bye: 2.54 }],
      name: 'SomeProcess',
      authkey: hex(authkey),
      pid: p.pid,
    });
    gate.open();
    await p.join();
    expect([p.isAlive(), p.exitcode]).toEqual([false, 0]);
    expect(mp.activeChildren()).not.toContain(p);
  });

  test.skipIf(process.platform !== 'linux')(
    'the main thread of a child has a system thread id of its own',
    async () => {
      const channel = new Channel();
      const p = new ctx.Process({ target: targets.reportThreadId, args: [channel.path] });
      await p.start();
      await p.join();
      expect(await channel.next()).toEqual([p.pid, `${p.pid}/task/${p.pid}`]);
    },
  );

  test('a child is among the active children only while it runs', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const options = {
      target: targets.reportThenWait,
      args: [channel.path, gate.path] as [string, string],
      daemon: true,
    };
    const p = new ctx.Process(options);
    expect(mp.activeChildren()).toEqual([]);
    await p.start();
    await channel.next();
    expect(mp.activeChildren()).toEqual([p]);
    gate.open();
    await p.join();
    expect(mp.activeChildren()).toEqual([]);

    const q = new ctx.Process(options);
    q.startSync();
    await channel.next();
    expect(mp.activeChildren()).toEqual([q]);
    gate.open();
    await wait([q.sentinel]);
    // Between the sentinel and the zombie lies the rest of the child's end.
    while (mp.activeChildren().length > 0) await targets.turn();
    expect(q.exitcode).toBe(0);
    q.close();
  });

  test('children start children of their own, and joins keep them in order', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportTree, args: [channel.path, []] });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(channel.all()).toEqual([[], [0], [0, 0], [0, 1], [1], [1, 0], [1, 1]]);
  });

  test('the sentinel turns readable when the process ends and not before', async () => {
    const gate = new Gate();
    const p = new ctx.Process({ target: targets.passGate, args: [gate.path] });
    expect(() => p.sentinel).toThrow(new mp.ValueError('process not started'));
    await p.start();
    const { sentinel } = p;
    expect(Number.isInteger(sentinel)).toBe(true);
    expect(await wait([sentinel], 0)).toEqual([]);
    expect(waitSync([sentinel], 0)).toEqual([]);
    const waits = Promise.all([wait([sentinel]), wait([sentinel])]);
    gate.open();
    expect(await waits).toEqual([[sentinel], [sentinel]]);
    expect(waitSync([sentinel])).toEqual([sentinel]);
    await p.join();
    expect(await wait([sentinel], 1)).toEqual([sentinel]);
    p.close();
  });

  test('a process can be closed only after its end and is of no use afterwards', async () => {
    const gate = new Gate();
    const p = new ctx.Process({
      target: targets.exitAfterGate,
      args: [gate.path, 0],
      daemon: true,
    });
    await p.start();
    expect(p.isAlive()).toBe(true);
    expect(() => p.close()).toThrow(mp.ValueError);
    expect(p.isAlive()).toBe(true);
    gate.open();
    await p.join();
    expect(p.exitcode).toBe(0);
    p.close();
    const closed = new mp.ValueError('process object is closed');
    for (const use of [
      () => p.isAlive(),
      () => p.joinSync(),
      () => p.startSync(),
      () => p.terminate(),
      () => p.interrupt(),
      () => p.kill(),
      () => p.exitcode,
      () => p.sentinel,
      () => p.pid,
      () => p.ident,
    ]) {
      expect(use).toThrow(closed);
    }
    await expect(p.join()).rejects.toThrow(closed);
    await expect(p.start()).rejects.toThrow(closed);
    expect(String(p)).toContain(' closed');
    p.close();

    // Without expect(), which holds on to what it saw.
    const closeOne = async () => {
      const q = new ctx.Process({ target: targets.empty });
      await q.start();
      await q.join();
      q.close();
      return new WeakRef(q);
    };
    expect(await collected(await closeOne())).toBe(true);
  });

  test('a started process no longer holds its target or its arguments', async () => {
    const channel = new Channel();
    const startOne = async () => {
      const [one, other] = [new targets.Token('a'), new targets.Token('b')];
      const p = new ctx.Process({
        target: targets.reportToken,
        args: [channel.path, one],
        kwargs: { other },
      });
      await p.start();
      return { p, one: new WeakRef(one), other: new WeakRef(other) };
    };
    const { p, one, other } = await startOne();
    await p.join();
    expect(await channel.next()).toEqual(['A', 'B']);
    expect(await collected(one)).toBe(true);
    expect(await collected(other)).toBe(true);
    expect(Object.values(p)).not.toContain(targets.reportToken);
    await expect(p.start()).rejects.toThrow(new mp.AssertionError('cannot start a process twice'));
    expect(() => p.startSync()).toThrow(new mp.AssertionError('cannot start a process twice'));
  });

  test('runs from start to end in the blocking calls, too', () => {
    const gate = new Gate();
    const p = new ctx.Process({ target: targets.exitAfterGate, args: [gate.path, 8] });
    p.startSync();
    expect(p.pid).toBeGreaterThan(0);
    expect(mp.activeChildren()).toEqual([p]);
    gate.open();
    p.joinSync();
    expect(p.exitcode).toBe(8);
    p.joinSync();
    p.joinSync(0);
  });

  test('can mix the blocking and the asynchronous calls', async () => {
    const p = new ctx.Process({ target: targets.exitWith, args: [3] });
    p.startSync();
    await p.join();
    const q = new ctx.Process({ target: targets.exitWith, args: [4] });
    await q.start();
    q.joinSync();
    expect([p.exitcode, q.exitcode]).toEqual([3, 4]);
  });

  test('runs an asynchronous target to its end', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportArgsLater, args: [channel.path, 'late'] });
    const q = new ctx.Process({ target: targets.returnThenable, args: [channel.path] });
    for (const process of [p, q]) {
      await process.start();
      await process.join();
      expect(process.exitcode).toBe(0);
    }
    expect(channel.all()).toEqual([['late'], 'thenable']);
  });

  test('nothing runs without a target', async () => {
    const p = new ctx.Process();
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
  });

  test('kwargs are one last object argument, and none when they are empty', async () => {
    const channel = new Channel();
    for (const kwargs of [{ a: 1, b: [2] }, {}]) {
      const p = new ctx.Process({ target: targets.reportArgs, args: [channel.path, 'x'], kwargs });
      await p.start();
      await p.join();
    }
    expect(channel.all()).toEqual([['x', { a: 1, b: [2] }], ['x']]);
  });

  test('an array changed after new Process() changes nothing', async () => {
    const channel = new Channel();
    const args = [channel.path, 1] as [string, ...number[]];
    const kwargs: Record<string, unknown> = { a: 1 };
    const p = new ctx.Process({ target: targets.reportArgs, args, kwargs });
    args.push(2);
    kwargs.b = 2;
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([[1, { a: 1 }]]);
  });

  test('process.exit() in a target is its exit code', async () => {
    // In programs of their own: vitest has replaced process.exit() here, and a forked child inherits that.
    const exitcodes = async (target: string, ...codes: number[]) => {
      const calls = codes.map((code) => JSON.stringify([code]));
      const { stdout, stderr } = await runProgram('run', [method, 'targets', target, ...calls], {
        method,
      });
      expect(stderr).toBe('');
      return JSON.parse(stdout);
    };
    expect(await exitcodes('processExit', 0, 7, 256)).toEqual([0, 7, 0]);
    expect(await exitcodes('processExitLater', 0, 9)).toEqual([0, 9]);
    expect(await exitcodes('setExitCode', 5)).toEqual([5]);
  });

  test('is named after its class and its ancestors, or as it is told', async () => {
    const channel = new Channel();
    const before = mp.getStartMethod({ allowNone: true });
    mp.setStartMethod(method, { force: true });
    try {
      const p = new mp.Process({ target: targets.reportFamily, args: [channel.path] });
      expect(p.name).toMatch(/^Process-\d+$/);
      await p.start();
      await p.join();
      expect(channel.all()).toEqual([
        [p.pid, p.name, true],
        `${p.name}:1`,
        [p.pid, p.name, true],
        `${p.name}:2`,
      ]);
      expect(new ctx.Process().name).toMatch(/^(Spawn|Fork|ForkServer)Process-\d+$/);
      const named = new ctx.Process({ name: 'first' });
      named.name = 'second';
      expect(named.name).toBe('second');
      expect(() => {
        named.name = 1 as unknown as string;
      }).toThrow(new mp.AssertionError('name must be a string'));
    } finally {
      mp.setStartMethod(before, { force: true });
    }
  });

  test('shows what it is and how it stands', async () => {
    const name = ctx.Process.name;
    const gate = new Gate();
    const p = new ctx.Process({ target: targets.passGate, args: [gate.path], name: "it's" });
    expect(String(p)).toBe(`<${name} name='it\\'s' parent=${process.pid} initial>`);
    await p.start();
    const head = `<${name} name='it\\'s' pid=${p.pid} parent=${process.pid}`;
    expect(String(p)).toBe(`${head} started>`);
    expect(inspect(p)).toBe(String(p));
    p.kill();
    await p.join();
    expect(String(p)).toBe(`${head} stopped exitcode=-SIGKILL>`);
    const q = new ctx.Process({ target: targets.exitWith, args: [3], daemon: true });
    await q.start();
    await q.join();
    expect(String(q)).toMatch(/ stopped exitcode=3 daemon>$/);
    q.close();
    expect(String(q)).toMatch(/ closed daemon>$/);
  });

  test('says what cannot be done with a process that was not started', async () => {
    const p = new ctx.Process({ target: targets.empty });
    for (const call of ['terminate', 'kill', 'interrupt'] as const) {
      expect(() => p[call]()).toThrow(mp.ValueError);
      expect(() => p[call]()).toThrow('not started');
    }
    const unstarted = new mp.AssertionError('can only join a started process');
    await expect(p.join()).rejects.toThrow(unstarted);
    expect(() => p.joinSync()).toThrow(unstarted);
    expect(() => p.sentinel).toThrow(new mp.ValueError('process not started'));
    expect([p.isAlive(), p.exitcode, p.pid, p.ident]).toEqual([
      false,
      undefined,
      undefined,
      undefined,
    ]);
    p.close();
    expect(() => p.isAlive()).toThrow(new mp.ValueError('process object is closed'));
  });

  test('says what cannot be done with the process of another process', async () => {
    const channel = new Channel();
    const foreign = new ctx.Process({ target: targets.empty });
    const p = new ctx.Process({
      target: targets.useForeignProcess,
      args: [channel.path, foreign as unknown as mp.Process],
    });
    await p.start();
    await p.join();
    const assertion = (message: string) => ({
      name: 'AssertionError',
      message,
      code: 'ERR_MP_ASSERTION',
    });
    expect(channel.all()).toEqual([
      assertion('can only start a process object created by current process'),
      assertion('can only start a process object created by current process'),
      assertion('can only join a child process'),
      assertion('can only join a child process'),
      assertion('can only test a child process'),
      `<${ctx.Process.name} name='${foreign.name}' parent=${process.pid} unknown>`,
    ]);
  });

  test('cannot be started again while its start is under way', async () => {
    const p = new ctx.Process({ target: targets.empty });
    const started = p.start();
    await expect(p.start()).rejects.toThrow(new mp.AssertionError('cannot start a process twice'));
    expect(() => p.startSync()).toThrow(new mp.AssertionError('cannot start a process twice'));
    expect(() => {
      p.daemon = true;
    }).toThrow(mp.AssertionError);
    await started;
    await p.join();
    expect(p.exitcode).toBe(0);
  });

  test('several can be started and joined at the same time', async () => {
    const channel = new Channel();
    const all = Array.from(
      { length: 5 },
      (_, i) => new ctx.Process({ target: targets.add, args: [channel.path, i, i] }),
    );
    await Promise.all(all.map((p) => p.start()));
    expect(new Set(all.map((p) => p.pid)).size).toBe(5);
    // Twice: two joins of one process are fine.
    await Promise.all([...all, ...all].map((p) => p.join()));
    expect(all.map((p) => p.exitcode)).toEqual([0, 0, 0, 0, 0]);
    expect((channel.all() as number[]).sort()).toEqual([0, 2, 4, 6, 8]);
  });

  test('await using waits for the child and closes the process', async () => {
    const channel = new Channel();
    let p: mp.ForkProcess | mp.SpawnProcess | mp.ForkServerProcess;
    {
      await using q = new ctx.Process({ target: targets.add, args: [channel.path, 1, 2] });
      await q.start();
      p = q as unknown as typeof p;
    }
    expect(channel.all()).toEqual([3]);
    expect(() => p.isAlive()).toThrow(new mp.ValueError('process object is closed'));
    await p[Symbol.asyncDispose]();
    await using unstarted = new ctx.Process();
    expect(unstarted.pid).toBeUndefined();
  });

  test('an authkey set on a process is the one its child has', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportCurrentProcess, args: [channel.path] });
    p.authkey = 'secret';
    await p.start();
    await p.join();
    expect(await channel.next()).toMatchObject({ authkey: hex(Buffer.from('secret')) });
  });

  test('large arguments and many of them arrive whole', async () => {
    const file = scratchFile('sum');
    const bytes = new Uint8Array(5_000_000).fill(7);
    const p = new ctx.Process({ target: targets.reportSize, args: [file, bytes, 'x'.repeat(1e6)] });
    await p.start();
    await p.join();
    expect(linesOf(file)).toEqual(['[5000000,35000000,1000000]']);
  });
});

describe('reports', () => {
  test('to a plain file are lines of it', () => {
    const file = scratchFile();
    report(file, { a: 1 });
    appendFileSync(file, '2\n');
    expect(linesOf(file)).toEqual(['{"a":1}', '2']);
  });
});
