/**
 * The server of the forkserver method. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { readFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { afterEach, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import * as context from '../fixtures/dist/context_targets.js';
import * as lifecycle from '../fixtures/dist/lifecycle_targets.js';
import * as targets from '../fixtures/dist/targets.js';
import { parentOf, untilGone } from '../support/processes.ts';
import { runProgram, startProgram } from '../support/programs.ts';
import { Channel, Gate, linesOf, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

afterEach(() => _forkserver._stop());

const serverPid = () => _forkserver._forkserverPid as number;

test('setForkserverPreload takes a list of strings and nothing else', () => {
  for (const wrong of [[1, 2, 3], 'module', undefined, [undefined], new Set(['a'])]) {
    for (const set of [
      mp.setForkserverPreload,
      (names: string[]) => mp.getContext('forkserver').setForkserverPreload(names),
    ]) {
      expect(() => set(wrong as unknown as string[])).toThrow(TypeError);
      expect(() => set(wrong as unknown as string[])).toThrow(
        'module_names must be a list of strings',
      );
    }
  }
  expect(() => mp.setForkserverPreload([], { onError: 'explode' as 'fail' })).toThrow(
    mp.ValueError,
  );
  mp.setForkserverPreload(['node:fs', '__main__'], { onError: 'warn' });
  mp.setForkserverPreload(['__main__']);
});

forEachStartMethod(['forkserver'], (ctx) => {
  test('any number of starts can wait for the server to get ready', async () => {
    for (let i = 0; i < 13; i++) {
      await Promise.all(Array.from({ length: 8 }, () => _forkserver.ready()));
      _forkserver._stop();
    }
  });

  test('SIGINT leaves the forkserver and its children alone', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const a = new ctx.Process({
      target: lifecycle.reportAfterGate,
      args: [channel.path, gate.path],
    });
    await a.start();
    const pid = serverPid();
    process.kill(pid, 'SIGINT');
    // The server takes requests in turn: when it has answered this one, the signal has come.
    const b = new ctx.Process({ target: targets.add, args: [channel.path, 1, 2] });
    await b.start();
    await b.join();
    expect([b.exitcode, channel.all()]).toEqual([0, [3]]);
    expect(serverPid()).toBe(pid);
    expect(a.isAlive()).toBe(true);
    gate.open();
    await a.join();
    expect([a.exitcode, channel.all()]).toEqual([0, ['after the gate']]);
    expect(readFileSync(`/proc/${pid}/status`, 'utf8')).not.toMatch(/State:\s*Z/);
  });

  test('a killed forkserver is replaced at the next start and its orphan counts as 255', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const a = new ctx.Process({
      target: context.reportPidsThenWait,
      args: [channel.path, gate.path],
    });
    await a.start();
    const pid = serverPid();
    expect(await channel.next()).toEqual([a.pid, pid]);
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
    const b = new ctx.Process({ target: context.reportPids, args: [channel.path, 0] });
    await b.start();
    await b.join();
    expect(b.exitcode).toBe(0);
    expect(serverPid()).not.toBe(pid);
    expect(await channel.next()).toEqual([b.pid, serverPid()]);
    await a.join();
    expect(a.exitcode).toBe(255);
    const orphan = a.pid as number;
    expect(parentOf(orphan)).not.toBe(pid);
    gate.open();
    expect(await channel.next()).toBe('after the gate');
    await untilGone(orphan);
  });

  test('a blocking join and a blocking start do as well', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const a = new ctx.Process({
      target: context.reportPidsThenWait,
      args: [channel.path, gate.path],
    });
    a.startSync();
    const pid = serverPid();
    await channel.next();
    process.kill(pid, 'SIGKILL');
    await untilGone(pid);
    const b = new ctx.Process({ target: targets.exitWith, args: [5] });
    b.startSync();
    b.joinSync();
    a.joinSync();
    expect([a.exitcode, b.exitcode]).toEqual([255, 5]);
    gate.open();
    await untilGone(a.pid as number);
  });

  test('children and their children come from one server', async () => {
    const before = mp.getStartMethod({ allowNone: true });
    mp.setStartMethod('forkserver', { force: true });
    try {
      const channel = new Channel();
      const p = new mp.Process({ target: context.reportPids, args: [channel.path, 2] });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      const reports = channel.all() as [number, number][];
      expect(reports).toHaveLength(3);
      expect(reports.map(([, parent]) => parent)).toEqual(Array(3).fill(serverPid()));
      expect(reports[0]?.[0]).toBe(p.pid);
    } finally {
      mp.setStartMethod(before, { force: true });
    }
  });

  test('a module that uses this library can be preloaded without a word on stderr', async () => {
    const log = scratchFile('log');
    const { code, stdout, stderr } = await runProgram('preload', ['fail'], {
      env: { PRELOAD_LOG: log },
    });
    expect([code, stderr]).toEqual([0, '']);
    const children = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' '));
    expect(children.map(([ok]) => ok)).toEqual(['ok', 'ok']);
    // It was loaded in the server and in the program, and in no child.
    const loads = linesOf(log);
    expect(loads).toHaveLength(2);
    for (const [, pid, parent] of children) {
      expect(loads).toContain(parent);
      expect(loads).not.toContain(pid);
    }
  });

  test('a preload that fails is ignored, reported, or the end of the start', async () => {
    const run = (onError: string) =>
      runProgram('preload', [onError, './no/such/module.js'], {
        env: { PRELOAD_LOG: scratchFile('log') },
      });
    const ignored = await run('ignore');
    expect(ignored).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^ok /) });
    const warned = await run('warn');
    expect(warned).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok /) });
    expect(warned.stderr).toContain('forkserver: cannot preload ./no/such/module.js');
    const failed = await run('fail');
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain("start method 'forkserver' cannot be used by this program");
    expect(failed.stderr).toContain('no/such/module.js');
  });

  test('the server goes when the last process is gone, and not before', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const { child, outcome } = startProgram('orphan', ['forkserver', channel.path, gate.path]);
    const [pid, server] = (await channel.next()) as [number, number];
    child.kill('SIGKILL');
    await untilGone(child.pid as number);
    expect(parentOf(pid)).toBe(server);
    gate.open();
    expect(await channel.next()).toBe('after the gate');
    await untilGone(pid);
    await untilGone(server);
    expect(await outcome).toMatchObject({ signal: 'SIGKILL', stderr: '' });
  });

  test('a program that ends leaves no server', async () => {
    const channel = new Channel();
    const gate = new Gate();
    gate.open();
    const { code } = await runProgram('orphan', ['forkserver', channel.path, gate.path]);
    const [[, server]] = channel.all() as [[number, number]];
    expect(code).toBe(0);
    await untilGone(server);
  });
});
