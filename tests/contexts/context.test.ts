/**
 * Contexts and start methods. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import * as mp from 'multiprocessing';
import { expect, test } from 'vitest';
import * as context from '../fixtures/dist/context_targets.js';
import * as targets from '../fixtures/dist/targets.js';
import { runNode, runProgram } from '../support/programs.ts';
import { Channel, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod, type Method } from '../support/start_methods.ts';

const methods: Method[] = ['spawn', 'fork', 'forkserver'];

async function withDefault(method: Method, body: () => Promise<void>): Promise<void> {
  const before = mp.getStartMethod({ allowNone: true });
  mp.setStartMethod(method, { force: true });
  try {
    await body();
  } finally {
    mp.setStartMethod(before, { force: true });
  }
}

test('cpuCount is a whole number of at least one', () => {
  for (const count of [
    mp.cpuCount(),
    mp.getContext().cpuCount(),
    mp.getContext('spawn').cpuCount(),
  ]) {
    expect(Number.isInteger(count)).toBe(true);
    expect(count).toBeGreaterThanOrEqual(1);
  }
});

test('getAllStartMethods lists what this system can do, the default first', async () => {
  const here = mp.getAllStartMethods();
  expect(new Set(here).size).toBe(here.length);
  if (process.platform === 'linux') expect([...here].sort()).toEqual([...methods].sort());
  for (const flags of [[], ['--single-threaded']]) {
    const { stdout, stderr } = await runNode([
      ...flags,
      '--input-type=module',
      '-e',
      `import * as mp from '${import.meta.resolve('multiprocessing')}';
       console.log(JSON.stringify([mp.getAllStartMethods(), mp.getContext().getStartMethod()]));`,
    ]);
    expect(stderr).toBe('');
    const [all, first] = JSON.parse(stdout) as [Method[], Method];
    expect(all[0]).toBe(first);
    expect(all).toEqual(expect.arrayContaining(['spawn', 'fork']));
  }
});

test('the start method is chosen once, by setting or by use, unless it is forced', async () => {
  const { stdout, stderr } = await runProgram('start_methods');
  expect(stderr).toBe('');
  const linux = process.platform === 'linux';
  const standard = linux ? 'forkserver' : 'spawn';
  const twice = {
    name: 'RuntimeError',
    message: 'context has already been set: pass { force: true } to set it again',
    code: 'ERR_MP_RUNTIME',
  };
  expect(JSON.parse(stdout)).toEqual([
    null,
    { name: 'ValueError', message: "cannot find context for 'nonsense'", code: 'ERR_MP_VALUE' },
    null,
    linux ? ['forkserver', 'spawn', 'fork'] : ['spawn', 'fork'],
    null,
    standard,
    standard,
    twice,
    null,
    'spawn',
    null,
    null,
    null,
    twice,
    '<ForkContext emulated>',
    null,
    null,
  ]);
});

test('an unknown start method has no context', () => {
  for (const name of ['x', 'toString', '__proto__', '', 1 as unknown as string]) {
    expect(() => mp.getContext(name)).toThrow(mp.ValueError);
    expect(() => mp.getContext('spawn').getContext(name)).toThrow('cannot find context for ');
  }
  expect(() => mp.getContext('x')).toThrow(new mp.ValueError("cannot find context for 'x'"));
});

test('the reducer of all contexts can be replaced', async () => {
  const ctx = mp.getContext('spawn');
  const original = ctx.reducer;
  expect(mp.getContext('fork').reducer).toBe(original);
  expect(mp.reducer.ForkingPickler).toBeDefined();
  for (const wrong of [undefined, {}, { ForkingPickler: {} }, 1]) {
    expect(() => {
      ctx.reducer = wrong as unknown as typeof original;
    }).toThrow(TypeError);
  }
  let pickled = 0;
  const { ForkingPickler } = original;
  ctx.reducer = {
    ForkingPickler: {
      dumps(object) {
        pickled++;
        return ForkingPickler.dumps(object);
      },
    },
  };
  try {
    const p = new ctx.Process({ target: targets.empty });
    await p.start();
    await p.join();
    expect([p.exitcode, pickled]).toEqual([0, 1]);
  } finally {
    ctx.reducer = original;
  }
});

test('a context offers the errors and functions of the package', () => {
  const ctx = mp.getContext('spawn');
  expect(ctx.TimeoutError).toBe(mp.TimeoutError);
  expect(ctx.ProcessError).toBe(mp.ProcessError);
  expect(ctx.currentProcess()).toBe(mp.currentProcess());
  expect(ctx.parentProcess()).toBeUndefined();
  expect(ctx.activeChildren()).toEqual([]);
  expect(ctx.getLogger()).toBe(mp.getLogger());
  expect(ctx.freezeSupport()).toBeUndefined();
  expect(ctx.allowConnectionPickling()).toBeUndefined();
  expect(String(ctx)).toBe('<SpawnContext>');
});

test.skipIf(process.platform !== 'linux')(
  'spawned children run compiled code that none of them can change',
  async () => {
    const channel = new Channel();
    const { code, stderr } = await runProgram('code_cache', [channel.path, scratchFile('cache')]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [first, accessMode, changes, second, ...withBadFiles] = channel.all();
    expect([first, second]).toEqual([false, false]); // V8 has rejected none
    expect(accessMode).toBe(constants.O_RDONLY);
    expect(changes).toEqual(['EPERM', 'EPERM', 'EPERM', 'EPERM']);
    expect(withBadFiles).toEqual(Array(7).fill('no cache'));
  },
);

forEachStartMethod(['spawn', 'forkserver'], (_ctx, method) => {
  test('a node flag that children do not get is left out with its value', async () => {
    const channel = new Channel();
    const execArgv = [
      ...['--cpu-prof', '--cpu-prof-interval', '5000', '--cpu-prof-dir', dirname(channel.path)],
      ...['--inspect-port', '0', '-C', 'unusual', '--stack-trace-limit=7'],
    ];
    const { stderr } = await runProgram('flags', [method, channel.path], { method, execArgv });
    expect(stderr).toBe('');
    const reports = (channel.all() as [string[], number][]).map(([flags]) => flags.join(' '));
    expect(reports).toHaveLength(3);
    for (const flags of reports.slice(1)) {
      expect(flags).toContain('-C unusual --stack-trace-limit=7');
      expect(flags).not.toMatch(/inspect|cpu-prof|5000/);
    }
  });
});

forEachStartMethod((ctx, method) => {
  test('a grandchild runs under the node flags of the first process', async () => {
    const flags = ['--no-warnings', '--stack-trace-limit=7', '--conditions=unusual'];
    const channel = new Channel();
    const { stderr } = await runProgram('flags', [method, channel.path], {
      method,
      execArgv: flags,
    });
    expect(stderr).toBe('');
    // What the library itself adds for a process that is to fork.
    const added = ['--single-threaded', '--v8-pool-size=1'];
    const reports = channel.all() as [string[], number][];
    expect(reports).toHaveLength(3);
    for (const [execArgv, stackTraceLimit] of reports) {
      expect(execArgv.filter((flag) => !added.includes(flag))).toEqual(flags);
      expect(stackTraceLimit).toBe(7);
    }
  });

  test('a concrete context keeps to its method, here and in its children', async () => {
    expect(ctx.getStartMethod()).toBe(method);
    expect(ctx.getStartMethod({ allowNone: true })).toBe(method);
    expect(ctx.getContext()).toBe(ctx);
    expect(mp.getContext(method)).toBe(ctx);
    for (const other of ['spawn', 'fork', undefined]) {
      expect(() => ctx.setStartMethod(other)).toThrow(
        new mp.ValueError('cannot set start method of concrete context'),
      );
    }
    expect(() => ctx.getContext('x')).toThrow(new mp.ValueError("cannot find context for 'x'"));
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.reportStartMethod, args: [channel.path] });
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([method]);
  });

  test('a forced setStartMethod changes the default here and in the children', async () => {
    await withDefault(method, async () => {
      expect(mp.getStartMethod()).toBe(method);
      const current = mp.getContext();
      expect(current.getStartMethod()).toBe(method);
      expect(current.constructor.name.toLowerCase()).toBe(`${method}context`);
      expect(current.Process.name.toLowerCase()).toBe(`${method}process`);
      expect(() => mp.setStartMethod('spawn')).toThrow(mp.RuntimeError);
      expect(() => mp.setStartMethod('spawn')).toThrow('context has already been set');
      const channel = new Channel();
      for (const target of [targets.reportStartMethod, context.reportSetAgain]) {
        const p = new mp.Process({ target, args: [channel.path] });
        await p.start();
        await p.join();
        expect(p.exitcode).toBe(0);
      }
      expect(channel.all()).toEqual([method, expect.objectContaining({ name: 'RuntimeError' })]);
    });
  });

  test('a child can hand its own arguments on to a child it starts the same way', async () => {
    await withDefault(method, async () => {
      const channel = new Channel();
      const box = new context.Box(channel.path);
      const p = new mp.Process({ target: context.putTwoAndNest, args: [box] });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      expect(channel.all()).toEqual([
        [2, method],
        [1, method],
      ]);
    });
  });

  test('a child can start children by another method', async () => {
    const channel = new Channel();
    const inner = method === 'spawn' ? (['spawn', 'forkserver'] as const) : methods;
    for (const other of inner) {
      const p = new ctx.Process({
        target: context.startBy,
        args: [channel.path, other as 'spawn'],
      });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      const [own, [nested, parent], [exitcode]] = channel.all() as [
        Method,
        [Method, number],
        [number],
      ];
      expect([own, nested, parent, exitcode]).toEqual([method, other, p.pid, 0]);
    }
  });
});
