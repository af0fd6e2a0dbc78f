/**
 * What only the fork method has: a child that is a copy, of a process with a live event loop.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import * as mp from 'multiprocessing';
import { expect, test } from 'vitest';
import * as fork from '../fixtures/dist/fork_targets.js';
import { report } from '../fixtures/dist/report.js';
import * as targets from '../fixtures/dist/targets.js';
import { runProgram } from '../support/programs.ts';
import { Channel } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod(['fork'], (ctx) => {
  const run = async (target: () => unknown): Promise<number | undefined> => {
    const p = new ctx.Process({ target });
    await p.start();
    await p.join();
    return p.exitcode;
  };

  test('closures, unexported functions and what they hold go over', async () => {
    const channel = new Channel();
    const local = { n: 1, f: () => local.n * 2, map: new WeakMap([[channel, 'weak']]) };
    local.n = 21;
    expect(await run(() => report(channel.path, [local.f(), local.map.get(channel)]))).toBe(0);
    expect(await run(async () => report(channel.path, local.n))).toBe(0);
    const p = new ctx.Process({
      target: (f: () => number, weak: object) => report(channel.path, [f(), weak === local.map]),
      args: [local.f, local.map],
    });
    p.startSync();
    p.joinSync();
    expect(p.exitcode).toBe(0);
    expect(channel.all()).toEqual([[42, 'weak'], 21, [42, true]]);
  });

  test('the state of modules is the parent’s at the fork, and its own from then on', async () => {
    const channel = new Channel();
    fork.state.value = 'changed';
    for (let i = 0; i < 2; i++) {
      const p = new ctx.Process({ target: fork.reportState, args: [channel.path] });
      await p.start();
      await p.join();
    }
    expect(channel.all()).toEqual([
      ['changed', 1],
      ['changed', 1],
    ]);
    expect(fork.state.calls).toBe(0);
  });

  test('nothing is pickled', async () => {
    const channel = new Channel();
    const args = [
      {
        [Symbol.for('multiprocessing.reduce')]() {
          throw new Error('pickled');
        },
      },
    ];
    expect(await run(() => report(channel.path, args.length))).toBe(0);
    const p = new ctx.Process({
      target: (value: object) => report(channel.path, typeof value),
      args: args as never,
    });
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([1, 'object']);
  });

  test('what the caller of start would do next happens in the parent only', async () => {
    const channel = new Channel();
    const log: string[] = [];
    const p = new ctx.Process({ target: targets.reportArgsLater, args: [channel.path, log] });
    try {
      await p.start();
      report(channel.path, ['parent', process.pid]);
    } finally {
      report(channel.path, 'finally');
    }
    await p.join();
    expect(p.exitcode).toBe(0);
    const reports = channel.all();
    expect(reports).toHaveLength(3);
    expect(reports).toContainEqual([[]]);
    expect(reports).toContainEqual(['parent', process.pid]);
    expect(reports).toContain('finally');
  });

  test('a process with a live event loop gives children that run nothing of it', async () => {
    const channel = new Channel();
    const { code, stdout, stderr } = await runProgram('live_loop', [channel.path, '5'], {
      method: 'fork',
    });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '0 true\n'.repeat(5), stderr: '' });
    const reports = channel.all();
    expect(reports).toHaveLength(15);
    expect(reports.filter((line) => line === true)).toHaveLength(5);
    expect(reports.filter((line) => line === 'function')).toHaveLength(5);
    expect(new Set(reports.filter((line) => /^answered by \d+$/.test(String(line)))).size).toBe(1);
  });

  test('a lock that libuv’s threads take is free in a child, whoever had it at the fork', async () => {
    // For a moment, each time that it has finished something, a thread of the pool has this lock. Here it is had nearly always.
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const holder = new Worker(new URL('../fixtures/programs/hold_lock.mjs', import.meta.url), {
      workerData: stop,
    });
    await once(holder, 'message');
    try {
      for (let i = 0; i < 150; i++) {
        const p = new ctx.Process({ target: fork.readSomething });
        await p.start();
        await p.join(20);
        if (p.exitcode === undefined) p.kill();
        await p.join();
        expect({ i, exitcode: p.exitcode }).toEqual({ i, exitcode: 0 });
      }
    } finally {
      Atomics.store(stop, 0, 1);
      await once(holder, 'exit');
    }
  });

  test('work that an asynchronous target begins at once is finished', async () => {
    const channel = new Channel();
    for (const target of [fork.awaitEarlyWork, fork.awaitEarlyWorker]) {
      const p = new ctx.Process({ target, args: [channel.path] });
      await p.start();
      await p.join();
      expect([target.name, p.exitcode]).toEqual([target.name, 0]);
    }
    expect(channel.all()).toEqual([true, 1]);
  });

  test('a server among the arguments works in the child', async () => {
    const channel = new Channel();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const p = new ctx.Process({ target: fork.answerOnce, args: [channel.path, server] });
      await p.start();
      // Nobody answers in the parent: it has no listener.
      const answered = fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      server.close();
      expect(await (await answered).text()).toBe(`child ${p.pid}`);
      await p.join();
      expect([p.exitcode, channel.all()]).toEqual([0, ['answered']]);
    } finally {
      if (server.listening) await once(server.close(), 'close');
    }
  });

  test('startSync refuses an asynchronous target, before the fork where it can tell', async () => {
    const p = new ctx.Process({ target: targets.turn });
    const q = new ctx.Process({ target: async () => {} });
    expect(() => q.startSync()).toThrow(mp.RuntimeError);
    expect(() => q.startSync()).toThrow('await process.start()');
    expect(q.pid).toBeUndefined();
    // A plain function that returns a promise shows only in the child.
    const { stdout, stderr } = await runProgram('run', ['fork', 'targets', 'turn', '[]'], {
      method: 'fork',
      env: { MULTIPROCESSING_BLOCKING: '1' },
    });
    expect(stdout).toBe('[1]\n');
    expect(stderr).toMatch(/^Process Runner:\nRuntimeError: startSync\(\) cannot fork an async/);
    await p.start(); // the asynchronous start can do it
    await p.join();
    expect(p.exitcode).toBe(0);
  });

  test('a child of startSync can print as much as it likes', async () => {
    const { code, stdout, stderr } = await runProgram(
      'run',
      ['fork', 'lifecycle_targets', 'printMuch', '["0123456789\\n",50000]'],
      { method: 'fork', env: { MULTIPROCESSING_BLOCKING: '1' } },
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout === `${'0123456789\n'.repeat(50_000)}[0]\n`).toBe(true);
  });

  test('a copy of a copy of a copy works', async () => {
    const channel = new Channel();
    const descend = async (depth: number): Promise<void> => {
      report(channel.path, [depth, mp.currentProcess().name.split(':').length]);
      if (depth === 0) return;
      const p = new ctx.Process({ target: descend, args: [depth - 1] });
      await p.start();
      await p.join();
      if (p.exitcode !== 0) throw new mp.SystemExit(p.exitcode);
    };
    expect(await run(() => descend(4))).toBe(0);
    const depths = (channel.all() as [number, number][]).map(([depth]) => depth);
    expect(depths).toEqual([4, 3, 2, 1, 0]);
  });

  test('a hundred children one after the other are all whole', async () => {
    for (let i = 0; i < 100; i++) {
      const p = new ctx.Process({ target: targets.exitWith, args: [i] });
      p.startSync();
      p.joinSync();
      expect(p.exitcode).toBe(i);
    }
  });
});
