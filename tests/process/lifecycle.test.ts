/**
 * From the launch to the end: how processes end, what they wait for, what they leave and inherit.
 * Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';
import * as mp from 'multiprocessing';
import { wait } from 'multiprocessing/connection';
import { describe, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import { dup, pipe } from '../../packages/posix/dist/index.js';
import * as lifecycle from '../fixtures/dist/lifecycle_targets.js';
import * as targets from '../fixtures/dist/targets.js';
import { untilGone } from '../support/processes.ts';
import { type ProgramOptions, runProgram, startProgram } from '../support/programs.ts';
import { Channel, Gate, linesOf, scratchFile } from '../support/scratch.ts';
import { type Context, forEachStartMethod, type Method } from '../support/start_methods.ts';

/** Runs `body` with this default start method. */
async function withDefault(method: Method, body: () => Promise<void>): Promise<void> {
  const before = mp.getStartMethod({ allowNone: true });
  mp.setStartMethod(method, { force: true });
  try {
    await body();
  } finally {
    mp.setStartMethod(before, { force: true });
  }
}

/** Runs a target in a child of a program of its own, where stderr can be read. */
function runTarget(
  method: Method,
  name: string,
  calls: readonly unknown[][],
  options: ProgramOptions = {},
) {
  const args = calls.map((call) => JSON.stringify(call));
  return runProgram('run', [method, 'lifecycle_targets', name, ...args], { method, ...options });
}

const openFds = () => readdirSync('/proc/self/fd').length;

/** Ends a child by `end`, once in each way of not ending by itself. */
async function endStayingChildren(
  ctx: Context,
  end: (p: InstanceType<Context['Process']>) => void,
  exitcode: number,
): Promise<void> {
  const channel = new Channel();
  const all = [
    new ctx.Process({ target: lifecycle.reportThenStay, args: [channel.path, 'await'] }),
    new ctx.Process({ target: lifecycle.reportThenStay, args: [channel.path, 'sleep'] }),
    new ctx.Process({ target: lifecycle.reportThenStay, args: [channel.path, 'busy'] }),
    new ctx.Process({ target: lifecycle.reportThenBlock, args: [channel.path, 'busy'] }),
  ];
  for (const p of all) {
    p.daemon = true;
    await p.start();
    expect(await channel.next()).toBe(p.pid);
    expect([p.isAlive(), p.exitcode]).toEqual([true, undefined]);
    expect(mp.activeChildren()).toContain(p);
    for (const timeout of [0, -1]) {
      expect(await p.join(timeout)).toBeUndefined();
      expect(p.joinSync(timeout)).toBeUndefined();
    }
    await p.join(0.01);
    p.joinSync(0.01);
    expect(p.isAlive()).toBe(true);
    end(p as unknown as InstanceType<Context['Process']>);
    await p.join();
    expect([p.isAlive(), p.exitcode]).toEqual([false, exitcode]);
    expect(mp.activeChildren()).not.toContain(p);
    await p.join();
    p.joinSync();
    end(p as unknown as InstanceType<Context['Process']>); // nobody is there to be hit
  }
}

forEachStartMethod((ctx, method) => {
  test('a grandchild sees its parent alive and then sees it die', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const p = new ctx.Process({
      target: lifecycle.startGrandchild,
      args: [channel.path, gate.path],
    });
    await p.start();
    const [pid, ...parent] = (await channel.next()) as [number, ...unknown[]];
    expect(parent).toEqual([p.pid, p.name, true]);
    p.terminate();
    await p.join();
    expect(p.exitcode).toBe(-15);
    expect(await channel.next()).toBe(false);
    await untilGone(pid);
  });

  test('terminate ends a sleeping child with exit code -15', async () => {
    await endStayingChildren(ctx, (p) => p.terminate(), -15);
  });

  test('kill ends a sleeping child with exit code -9', async () => {
    await endStayingChildren(ctx, (p) => p.kill(), -9);
  });

  test('interrupt ends a child with exit code -2', async () => {
    await endStayingChildren(ctx, (p) => p.interrupt(), -2);
  });

  test('many children at once all end by themselves, or all by SIGTERM', async () => {
    const n = method === 'spawn' ? 5 : 100;
    const warm = new ctx.Process();
    await warm.start();
    await warm.join();
    const fds = openFds();
    const start = async (seconds: number) => {
      const all = Array.from(
        { length: n },
        () => new ctx.Process({ target: lifecycle.sleepTarget, args: [seconds] }),
      );
      for (const p of all) await p.start();
      return all;
    };
    const short = await start(0.01);
    for (const p of short) await p.join();
    expect(short.map((p) => p.exitcode)).toEqual(Array(n).fill(0));
    const long = await start(1e6);
    for (const p of long) p.terminate();
    for (const p of long) await p.join();
    expect(long.map((p) => p.exitcode)).toEqual(Array(n).fill(-15));
    await targets.turn();
    expect(openFds()).toBe(fds);
  });

  test('a parent with broken output streams gets exit code 0 from its child', async () => {
    const [reader, unread] = pipe();
    closeSync(reader);
    try {
      for (const stream of ['stdout', 'stderr'] as const) {
        for (const action of ['close', 'remove', 'pipe']) {
          const channel = new Channel();
          const broken = action === 'pipe' ? unread : 'pipe';
          const { code } = await runProgram(
            'broken_stdio',
            [method, stream, action, channel.path],
            {
              method,
              stdio: [
                'ignore',
                stream === 'stdout' ? broken : 'pipe',
                stream === 'stderr' ? broken : 'pipe',
              ],
            },
          );
          expect({ stream, action, code, reports: channel.all() }).toEqual({
            stream,
            action,
            code: 0,
            reports: ['ready', 0],
          });
        }
      }
    } finally {
      closeSync(unread);
    }
  });

  test('a child that breaks its own output streams ends with exit code 0', async () => {
    const channel = new Channel();
    const calls = [];
    for (const stream of ['stdout', 'stderr'] as const) {
      for (const action of ['close', 'remove', 'print']) calls.push([stream, action]);
    }
    const { stdout } = await runTarget(
      method,
      'breakStdio',
      calls.map((call) => [channel.path, ...call]),
    );
    expect(channel.all()).toEqual(calls);
    expect(JSON.parse(stdout)).toEqual(calls.map(() => 0));
  });

  test('the whole stack of an uncaught error is on stderr once the process has ended', async () => {
    for (const [name, target] of [
      ['now', lifecycle.throwError],
      ['later', lifecycle.throwLater],
      ['timer', lifecycle.throwInTimer],
      ['rejection', lifecycle.rejectUnhandled],
    ] as const) {
      const file = scratchFile(name);
      const p = new ctx.Process({
        target: lifecycle.withStderrTo,
        args: [file, target, `marker ${name}`],
      });
      // vitest listens for these in its workers, and so do their forked children.
      if (method === 'fork' && (name === 'timer' || name === 'rejection')) continue;
      await p.start();
      await p.join();
      const text = readFileSync(file, 'utf8');
      expect(p.exitcode).toBe(1);
      expect(text.split('\n')[0]).toBe(`Process ${p.name}:`);
      expect(text).toContain(`RangeError: marker ${name}`);
      expect(text).toMatch(/\n {4}at .*lifecycle_targets\.js/);
      expect(text.endsWith('\n')).toBe(true);
    }
  });

  test('an error of any length, of any kind and with its cause is printed whole', async () => {
    const long = await runTarget(method, 'throwError', [['123456789 ', 20_000]]);
    expect(long.stderr.length).toBeGreaterThan(200_000);
    expect(long.stderr).toContain('123456789 '.repeat(20_000));
    const { stderr, stdout } = await runTarget(method, 'throwWithCause', [[]]);
    expect(stdout).toBe('[1]\n');
    expect(stderr).toMatch(/^Process Runner:\nError: outer\n {4}at .*/);
    expect(stderr).toMatch(/\[cause\]: RangeError: inner\n +at .*lifecycle_targets\.js/);
    for (const name of ['throwInTimer', 'rejectUnhandled']) {
      const late = await runTarget(method, name, [['too late']]);
      expect(late.stdout).toBe('[1]\n');
      expect(late.stderr).toMatch(/^Process Runner:\nRangeError: too late\n {4}at .*/);
    }
    const text = await runTarget(method, 'throwText', [['just text']]);
    expect(text).toMatchObject({ stdout: '[1]\n', stderr: "Process Runner:\n'just text'\n" });
  });

  test('what SystemExit carries decides the exit code, and text goes to stderr', async () => {
    for (const [name, codes] of [
      ['exitWith', [[true], [false], [8], [null], [], [256], [300], [-1]]],
      ['exitWithLater', [[true], [false], [8], [null], [], [256], [300], [-1]]],
    ] as const) {
      const args = codes.map((code) => JSON.stringify(code));
      const outcome = await runProgram('run', [method, 'targets', name, ...args], { method });
      expect(outcome.stderr).toBe('');
      expect(JSON.parse(outcome.stdout)).toEqual([1, 0, 8, 0, 0, 0, 44, 255]);
    }
    const texts = await runProgram(
      'run',
      [method, 'targets', 'exitWith', '["ignore this"]', '[[1,2,3]]'],
      { method },
    );
    expect(texts).toMatchObject({ stdout: '[1,1]\n', stderr: 'ignore this\n[ 1, 2, 3 ]\n' });
  });

  test('join goes on waiting when a signal arrives', async () => {
    for (const join of ['join', 'joinSync'] as const) {
      let signals = 0;
      const handler = () => signals++;
      process.on('SIGUSR2', handler);
      try {
        const gate = new Gate();
        const b = new ctx.Process({ target: targets.passGate, args: [gate.path] });
        const a = new ctx.Process({
          target: lifecycle.signalParent,
          args: [gate.path, 'SIGUSR2'],
        });
        await b.start();
        await a.start();
        await b[join](); // the gate is opened by a, after its signal
        expect(b.exitcode).toBe(0);
        await a[join]();
        expect(a.exitcode).toBe(0);
        while (signals === 0) await targets.turn();
        expect(signals).toBe(1);
      } finally {
        process.off('SIGUSR2', handler);
      }
    }
  });

  test('a child without the stdin of its parent can start a child of its own', async () => {
    const channel = new Channel();
    const outcome = await runProgram('stdin_parent', [method, channel.path], {
      method,
      input: 'for the parent only',
    });
    expect(outcome).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(channel.all()).toEqual(['', '', 0, 0, 'for the parent only']);
  });

  test('output that the parent wrote before the start appears once', async () => {
    const run = async (times: number, sync: string) => {
      const args = [method, String(times), sync];
      const { child, outcome } = startProgram('buffered_output', args, { method });
      if (times > 1) {
        // A reader that is slower than the writer.
        const stdout = child.stdout as NodeJS.ReadableStream;
        stdout.pause();
        await targets.turn();
        stdout.resume();
      }
      const { code, stdout, stderr } = await outcome;
      expect([code, stderr]).toEqual([0, '']);
      return stdout;
    };
    for (const sync of ['sync', 'async']) {
      expect(await run(1, sync)).toBe('before\nchild\nafter\n');
      // Node writes in the background what the pipe does not take: the child's line may be in its middle.
      const text = await run(30_000, sync);
      expect(text.split('child\n')).toHaveLength(2);
      expect(text.replace('child\n', '') === `${'before\n'.repeat(30_000)}after\n`).toBe(true);
    }
    const file = scratchFile('stdout');
    const fd = openSync(file, 'w');
    await runProgram('buffered_output', [method, '1', 'async'], {
      method,
      stdio: ['ignore', fd, 'inherit'],
    });
    closeSync(fd);
    expect(linesOf(file)).toEqual(['before', 'child', 'after']);
  });

  test('what a child has printed is out when it ends, however much', async () => {
    for (const name of ['printMuch', 'printMuchLater']) {
      const { stdout } = await runTarget(method, name, [['0123456789\n', 20_000]]);
      const lines = stdout.split('\n');
      expect(lines.filter((line) => line === '0123456789')).toHaveLength(20_000);
      expect(lines.slice(-2)).toEqual(['[0]', '']);
    }
  });

  test('a main module without the main guard starts no chain of processes', async () => {
    for (const sync of ['async', 'sync']) {
      const file = scratchFile('pids');
      const { code, stdout, stderr } = await runProgram('no_guard', [method, file, sync], {
        method,
      });
      const loads = linesOf(file).length;
      if (method === 'fork') {
        expect({ code, stdout, stderr, loads }).toEqual({
          code: 0,
          stdout: '123\n',
          stderr: '',
          loads: 1,
        });
        continue;
      }
      expect(code).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toContain('RuntimeError');
      expect(stderr).toContain('before the current process has finished its\nbootstrapping phase');
      expect(stderr).toContain('if (mp.isMain(import.meta))');
      // The program, the server that fails to preload it, the child.
      expect(loads).toBeLessThanOrEqual(method === 'spawn' ? 2 : 3);
    }
  });

  test('an open socket of the parent is open in a forked child only', async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const fds: number[] = [];
    try {
      let high = 0;
      while (high < 50) {
        high = dup((server as unknown as { _handle: { fd: number } })._handle.fd);
        fds.push(high);
      }
      // A server that starts now must not get it either.
      if (method === 'forkserver') _forkserver._stop();
      const channel = new Channel();
      const p = new ctx.Process({ target: lifecycle.reportFd, args: [channel.path, high] });
      await p.start();
      await p.join();
      expect(channel.all()).toEqual([method === 'fork' ? true : 'EBADF']);
    } finally {
      for (const fd of fds) closeSync(fd);
      await new Promise((resolve) => server.close(resolve));
      _forkserver._stop();
    }
  });

  test('a target whose promise never settles ends with exit code 13 and a message', async () => {
    const { stdout, stderr } = await runTarget(method, 'neverSettles', [[]]);
    expect(stdout).toBe('[13]\n');
    expect(stderr).toMatch(/^Process Runner:\n.*never settled/);
  });

  test('a signal that ends a child is its exit code', async () => {
    for (const [signal, code] of [
      ['SIGTERM', -15],
      ['SIGKILL', -9],
      ['SIGSEGV', -11],
      ['SIGHUP', -1],
    ] as const) {
      const p = new ctx.Process({ target: lifecycle.signalSelf, args: [signal] });
      await p.start();
      await p.join();
      expect([signal, p.exitcode]).toEqual([signal, code]);
    }
  });

  test('wait tells which of several children have ended', async () => {
    const gates = [new Gate(), new Gate(), new Gate()];
    const all = gates.map(
      (gate) => new ctx.Process({ target: targets.passGate, args: [gate.path] }),
    );
    for (const p of all) await p.start();
    const sentinels = all.map((p) => p.sentinel);
    gates[1]?.open();
    expect(await wait(sentinels)).toEqual([sentinels[1]]);
    gates[0]?.open();
    await all[0]?.join();
    expect(await wait(sentinels)).toEqual(sentinels.slice(0, 2));
    gates[2]?.open();
    for (const p of all) {
      await p.join();
      p.close();
    }
  });

  for (const kind of ['busy daemon', 'idle daemon']) {
    test(`a ${kind} dies with its killed parent`, async () => {
      const channel = new Channel();
      const gate = new Gate();
      const { child, outcome } = startProgram(
        'leave_running',
        [method, channel.path, gate.path, kind],
        { method },
      );
      const pid = (await channel.next()) as number;
      child.kill('SIGKILL');
      // Settles when the daemon is gone, too: it holds the program's stdout.
      expect(await outcome).toMatchObject({ signal: 'SIGKILL', stdout: '', stderr: '' });
      await untilGone(pid);
    });
  }

  test('a process that ends terminates its daemons and waits for its other children', async () => {
    for (const [how, code] of [
      ['return', 0],
      ['exit', 3],
      ['throw', 1],
    ] as const) {
      const channel = new Channel();
      const gate = new Gate();
      const { child, outcome } = startProgram(
        'leave_running',
        [method, channel.path, gate.path, how],
        { method },
      );
      const pids = (await channel.next()) as [number, number];
      if (how === 'return') expect(await channel.next()).toBe('end of main');
      await untilGone(pids[0]);
      expect(child.exitCode).toBeNull();
      gate.open();
      const { code: exitcode, stderr } = await outcome;
      expect({ how, code: exitcode, reports: channel.all() }).toEqual({
        how,
        code,
        reports: ['after the gate'],
      });
      if (how !== 'throw') expect(stderr).toBe('');
      await untilGone(pids[1]);
    }
  });

  test('a child that ends does so, too', async () => {
    await withDefault(method, async () => {
      const channel = new Channel();
      const gate = new Gate();
      const p = new ctx.Process({
        target: lifecycle.leaveChildrenRunning,
        args: [channel.path, gate.path],
      });
      await p.start();
      const pids = (await channel.next()) as [number, number];
      await untilGone(pids[0]);
      expect(p.isAlive()).toBe(true);
      gate.open();
      await p.join();
      expect(p.exitcode).toBe(0);
      expect(channel.all()).toEqual(['after the gate']);
    });
  });

  test('exit handlers of the parent run in the parent', async () => {
    const channel = new Channel();
    const { child, outcome } = startProgram('exit_handlers', [method, channel.path], { method });
    expect(await outcome).toMatchObject({ code: 0, stderr: '' });
    const reports = channel.all() as unknown[][];
    const [pid] = reports.find((entry) => entry[1] === 0) as [number, number];
    const ofMain = [
      [pid, 0],
      ['main module', true, child.pid],
      ['main process', true, child.pid],
    ];
    expect(reports).toEqual(
      {
        // A spawned child imports the main module anew, and so has a handler of its own.
        spawn: [['main module', false, pid], 'child', ...ofMain],
        fork: ofMain,
        forkserver: ['child', ...ofMain],
      }[method],
    );
  });

  test('leaves nothing when it is terminated while it starts', async () => {
    for (let i = 0; i < 5; i++) {
      const p = new ctx.Process({ target: targets.empty });
      await p.start();
      p.terminate();
      await p.join();
      expect([0, -15]).toContain(p.exitcode);
    }
  });
});

forEachStartMethod(['spawn', 'forkserver'], (ctx) => {
  test('an exit handler that the child registered runs when the child ends', async () => {
    const channel = new Channel();
    for (const target of [lifecycle.reportAtExit, lifecycle.reportAtExitLater]) {
      const p = new ctx.Process({ target, args: [channel.path, 'the end'] });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      expect(channel.all()).toEqual(['the end']);
    }
  });

  test('children of one parent all have the same number of open fds', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const all = Array.from(
      { length: 5 },
      () => new ctx.Process({ target: lifecycle.reportFdCount, args: [channel.path, gate.path] }),
    );
    for (const p of all) await p.start();
    const counts = await channel.take(5);
    expect(counts).toEqual(Array(5).fill(counts[0]));
    gate.open(5);
    for (const p of all) await p.join();
  });
});

forEachStartMethod(['fork'], (ctx) => {
  test('an exit handler that a forked child registered does not run', async () => {
    const channel = new Channel();
    for (const target of [lifecycle.reportAtExit, lifecycle.reportAtExitLater]) {
      const p = new ctx.Process({ target, args: [channel.path, 'the end'] });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      expect(channel.all()).toEqual([]);
    }
  });
});

describe('spawn', () => {
  test('a program that is no node ends as it ends', async () => {
    const ctx = mp.getContext('spawn');
    for (const [program, code] of [
      ['/bin/false', 1],
      ['/bin/true', 0],
    ] as const) {
      ctx.setExecutable(program);
      try {
        const p = new ctx.Process({ target: targets.empty });
        await p.start();
        await p.join();
        expect(p.exitcode).toBe(code);
      } finally {
        ctx.setExecutable(undefined);
      }
    }
  });
});

forEachStartMethod((ctx) => {
  test('a child waits for the worker threads it left running, but not for unreferenced ones', async () => {
    const channel = new Channel();
    const gate = new Gate();
    for (const target of [lifecycle.leaveThreadsRunning, lifecycle.leaveThreadsRunningLater]) {
      const p = new ctx.Process({ target, args: [channel.path, gate.path] });
      await p.start();
      expect(await channel.take(2)).toEqual(['ready', 'ready']);
      expect(p.isAlive()).toBe(true);
      gate.open();
      await p.join();
      expect(channel.all()).toEqual(['first']);
      expect(p.exitcode).toBe(0);
    }
  });
});
