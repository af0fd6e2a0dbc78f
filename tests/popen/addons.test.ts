/** Processes with threads that are none of Node's: no start method hangs. D-109, D-110. */
import { fileURLToPath } from 'node:url';
import * as mp from 'multiprocessing';
import { forkAvailable } from 'multiprocessing/os';
import { afterEach, describe, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import * as targets from '../fixtures/dist/targets.js';
import { noStrace, runUnder } from '../support/limits.ts';
import { type Outcome, type ProgramOptions, runProgram } from '../support/programs.ts';
import { Channel, Gate, scratchFile } from '../support/scratch.ts';

const module = (name: string) => new URL(`../fixtures/dist/${name}.js`, import.meta.url).href;

const SERVER_SAYS = /ForkServerWarning: an addon has threads in the forkserver.*: \S.* \(2\)\./g;
const FORK_SAYS =
  /DeprecationWarning: This process \(pid=\d+\) is multi-threaded, use of fork\(\) may lead to deadlocks in the child\..*\(2\)\./g;

interface Report {
  readonly context: string;
  readonly exitcodes: readonly number[];
  /** Children that have imported the main module themselves. */
  readonly fresh: number;
  /** Children of the program itself. */
  readonly own: number;
  readonly forked?: readonly number[];
}

async function run(args: readonly string[], options: ProgramOptions = {}) {
  const outcome = await runProgram('with_threads', args, options);
  return { outcome, report: JSON.parse(outcome.stdout || 'null') as Report };
}

const count = ({ stderr }: Outcome, pattern: RegExp) => [...stderr.matchAll(pattern)].length;

const { available } = forkAvailable();
const SINGLE = ['--single-threaded'];
const EXITCODES = [7, 7, 7];

const ways = [
  ['default', [], { context: '<ForkServerContext>', fresh: 3, own: 0 }, 'server'],
  ['forkserver', [], { context: '<ForkServerContext>', fresh: 3, own: 0 }, 'server'],
  ['spawn', [], { context: '<SpawnContext>', fresh: 3, own: 2 }, 'nobody'],
  ['fork', [], { context: '<ForkContext emulated>', fresh: 0, own: 0 }, 'nobody'],
  ['fork', SINGLE, { context: '<ForkContext emulated>', fresh: 0, own: 0 }, 'fork'],
] as const;

describe.skipIf(!available).each(ways)('%s %j', (method, execArgv, expected, who) => {
  function expectSaid(outcome: Outcome): void {
    expect(count(outcome, SERVER_SAYS)).toBe(who === 'server' ? 1 : 0);
    expect(count(outcome, FORK_SAYS)).toBe(who === 'fork' ? 1 : 0);
    expect(outcome.stderr.match(/Warning/g)?.length ?? 0).toBe(who === 'nobody' ? 0 : 1);
  }

  test.each([[], ['blocking']])('threads of the main module %j', async (...how) => {
    const { outcome, report } = await run([method, 'here', ...how], { execArgv });
    expect(report).toEqual({ ...expected, exitcodes: EXITCODES });
    expectSaid(outcome);
  });

  test.each([
    ['--import', module('with_foreign_threads')],
    ['--require', fileURLToPath(new URL('../fixtures/with_foreign_threads.cjs', import.meta.url))],
  ])('threads of what %s loads', async (...preload) => {
    const { outcome, report } = await run([method], { execArgv: [...preload, ...execArgv] });
    // Here the server of emulated forks has them too.
    expect(report).toEqual({ ...expected, exitcodes: EXITCODES });
    if (method !== 'fork') expectSaid(outcome);
    else expect(count(outcome, SERVER_SAYS)).toBe(1);
  });

  test('none of them: nothing is said, and nothing is spawned', async () => {
    const { outcome, report } = await run([method], { execArgv });
    const real = { context: '<ForkContext>', fresh: 0, own: 2 };
    const forked = who === 'server' ? { ...expected, fresh: 0 } : who === 'fork' ? real : expected;
    expect(report).toEqual({ ...forked, exitcodes: EXITCODES });
    expect(outcome.stderr).toBe('');
  });
});

describe.skipIf(!available)('the forkserver', () => {
  afterEach(() => {
    mp.setForkserverPreload(['__main__']);
    _forkserver._stop();
  });

  test('sees threads of a preload', async () => {
    const { outcome, report } = await run([
      'forkserver',
      `preload=${module('with_foreign_threads')}`,
    ]);
    expect(report).toMatchObject({ fresh: 3, exitcodes: EXITCODES });
    expect(count(outcome, SERVER_SAYS)).toBe(1);
  });

  test('sees those that begin while it serves', async () => {
    const [gate, channel, pids] = [new Gate(), new Channel(), new Channel()];
    process.env.FOREIGN_THREAD_GATE = gate.path;
    process.env.FOREIGN_THREAD_CHANNEL = channel.path;
    mp.setForkserverPreload([module('foreign_thread_later')]);
    const isSpawned = async () => {
      const p = new mp.ForkServerProcess({
        target: targets.reportCommandLine,
        args: [pids.path],
      });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
      return ((await pids.next()) as { argv: string[] }).argv.includes('--spawned');
    };
    const before = [await isSpawned(), await isSpawned()];
    gate.open();
    expect(await channel.next()).toBe('started');
    expect([...before, await isSpawned(), await isSpawned()]).toEqual([false, false, true, true]);
    delete process.env.FOREIGN_THREAD_GATE;
    delete process.env.FOREIGN_THREAD_CHANNEL;
  });

  test.skipIf(noStrace)('counts them where it cannot tell whose they are', async () => {
    const command = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=get_robust_list'];
    const under = { command: [...command, '-e', 'inject=get_robust_list:error=ENOSYS'] };
    const spawned = await runUnder(under, 'with_threads', ['forkserver', 'here']);
    expect(JSON.parse(spawned.stdout)).toMatchObject({ fresh: 3, exitcodes: EXITCODES });
    expect(spawned.stderr).toMatch(/^\(node:\d+\) ForkServerWarning: .*\n.*--trace-warnings.*\n$/);
    const forked = await runUnder(under, 'with_threads', ['forkserver']);
    expect(JSON.parse(forked.stdout)).toMatchObject({ fresh: 0, exitcodes: EXITCODES });
    expect(forked.stderr).toBe('');
  });
});

describe.skipIf(!available)('allowThreads', () => {
  test('has the forkserver fork all the same', async () => {
    const { outcome, report } = await run(['forkserver', 'here', 'allow']);
    expect(report).toMatchObject({ exitcodes: EXITCODES, own: 0 });
    expect(report.fresh).toBe(1); // the grandchild, whose parent does not allow them
    expect(count(outcome, SERVER_SAYS)).toBe(1);
  });

  test('has a process forked all the same, with a warning', async () => {
    const args = ['fork', 'here', 'allow', 'os'];
    const { outcome, report } = await run(args, { execArgv: SINGLE });
    expect(report).toEqual({
      context: '<ForkContext>',
      exitcodes: EXITCODES,
      fresh: 0,
      own: 2,
      forked: [1, 2],
    });
    expect(count(outcome, FORK_SAYS)).toBe(1);
  });

  test('is true or false, and each context has its own', () => {
    const contexts = (['spawn', 'fork', 'forkserver'] as const).map((name) => mp.getContext(name));
    expect(contexts.map((ctx) => ctx.allowThreads)).toEqual([false, false, false]);
    for (const ctx of contexts) {
      ctx.allowThreads = true;
      expect(contexts.map((each) => each.allowThreads)).toEqual(contexts.map((c) => c === ctx));
      ctx.allowThreads = false;
      expect(() => {
        ctx.allowThreads = 1 as never;
      }).toThrow(TypeError);
    }
  });
});

test.skipIf(!available)('os.fork warns as Python does, once, and forks', async () => {
  const { outcome, report } = await run(['spawn', 'here', 'os'], { execArgv: SINGLE });
  expect(report.forked).toEqual([1, 2]);
  expect(count(outcome, FORK_SAYS)).toBe(1);
  const silent = ['--no-deprecation', ...SINGLE];
  const again = await run(['spawn', 'here', 'os'], { execArgv: silent });
  expect(again.report.forked).toEqual([1, 2]);
  expect(again.outcome.stderr).toBe('');
});

/** Flags that bring threads, some with a file that they write. */
const flags: readonly (readonly string[])[] = [
  [],
  ['--v8-pool-size=0'],
  ['--v8-pool-size=8'],
  ['--inspect=127.0.0.1:0'],
  ['--cpu-prof', '--cpu-prof-dir='],
  ['--heap-prof', '--heap-prof-dir='],
  ['--prof', '--no-logfile-per-isolate', '--logfile='],
  ['--trace-events-enabled', '--trace-event-file-pattern='],
  ['--report-on-signal'],
  ['--heapsnapshot-signal=SIGUSR2'],
  ['--expose-gc', '--stress-compaction'],
];

describe.skipIf(!available)("threads of Node's own are none of an addon", () => {
  async function expectForked(execArgv: readonly string[], env = {}): Promise<void> {
    const written = execArgv.map((flag) => (flag.endsWith('=') ? flag + scratchFile() : flag));
    const options = { execArgv: [...SINGLE, ...written], env };
    const outcome = await runProgram('own_threads', [], options);
    expect(outcome.stderr).not.toMatch(/ForkServerWarning|DeprecationWarning/);
    expect(outcome.stdout.split('\n').filter(Boolean)).toEqual(['<ForkContext>', 'forked', '0']);
  }

  test.each(flags.map((each) => [each]))('%j', (each) => expectForked(each));

  const environments = [
    { UV_THREADPOOL_SIZE: '16' },
    { UV_THREADPOOL_SIZE: '1' },
    { UV_USE_IO_URING: '1' },
    { OWN_THREADS_INSPECTOR: '1' },
  ];
  test.each(environments)('%j', (each) => expectForked([], each));
});
