/**
 * What the kernel refuses, to a program, to its forkserver, to a child before its first line. docs/kernel.md; all calls and
 * all errors are tried by benchmarks/soak/kernel.ts.
 */
import { fileURLToPath } from 'node:url';
import * as mp from 'multiprocessing';
import { afterEach, describe, expect, test } from 'vitest';
import { _forkserver } from '../../packages/popen/dist/index.js';
import * as targets from '../fixtures/dist/targets.js';
import {
  nodeBehind,
  nodeWithThreads,
  noStrace,
  noThreadLimit,
  noUnshare,
  runUnder,
} from '../support/limits.ts';
import { untilAsleep, untilGone } from '../support/processes.ts';
import { runProgram, startProgram } from '../support/programs.ts';
import { Channel } from '../support/scratch.ts';
import type { Method } from '../support/start_methods.ts';

afterEach(() => {
  mp.setExecutable(undefined);
  _forkserver._stop();
});

const METHODS: readonly Method[] = ['spawn', 'fork', 'forkserver'];
const WELL = { code: 0, stdout: '[7]\n', stderr: '' };

describe('a forkserver that the kernel refuses something', () => {
  interface Report {
    readonly errors: unknown[];
    readonly codes: number[];
    readonly last: number;
    readonly sameServer: boolean;
  }

  async function fill(node: string): Promise<Report & { stderr: string }> {
    const { stdout, stderr } = await runProgram('full_server', [node]);
    return { ...(JSON.parse(stdout) as Report), stderr };
  }

  /** It goes on, says nothing, and its children keep their exit codes. */
  function expectServed({
    codes,
    last,
    sameServer,
    stderr,
  }: Awaited<ReturnType<typeof fill>>): void {
    expect(codes.length).toBeGreaterThan(0);
    expect(codes).toEqual(codes.map((_, i) => i + 1));
    expect({ last, sameServer, stderr }).toEqual({ last: 0, sameServer: true, stderr: '' });
  }

  // Of neighbouring limits some leave a request without room for its fds, others a fork without room for its pipe.
  test.each([40, 41, 42, 43, 44, 45])('tells EMFILE, with %i fds', async (count) => {
    const report = await fill(nodeBehind(`ulimit -n ${count}; exec`));
    expect(report.errors).toEqual(
      Array(2).fill({
        name: 'OSError',
        code: 'EMFILE',
        syscall: expect.stringMatching(/^(recvmsg|pipe2|open)$/),
      }),
    );
    expectServed(report);
  });

  test.skipIf(noThreadLimit)('tells EAGAIN of its fork', async () => {
    const report = await fill(nodeWithThreads(24));
    expect(report.errors).toEqual(
      Array(2).fill({ name: 'OSError', code: 'EAGAIN', syscall: 'fork' }),
    );
    expectServed(report);
  });
});

describe.skipIf(noThreadLimit)('a node that cannot have all threads of its pool', () => {
  /** Its main thread and the one for delayed tasks. */
  const TOO_FEW = 2;

  test('is ended, and says which limit it was', async () => {
    const node = nodeWithThreads(TOO_FEW);
    const { code, stdout, stderr } = await runProgram('stuck_child', ['spawn', node]);
    expect({ code, stdout: JSON.parse(stdout.split('\n')[1] as string) as unknown }).toEqual({
      code: 0,
      stdout: { exitcode: -9 },
    });
    expect(stderr).toMatch(
      /^Process Stuck:\nOSError: pthread_create: EAGAIN, .*ulimit -u is 2, pids\.max/m,
    );
  });

  test('is ended when nobody waits for it', async () => {
    const p = new mp.SpawnProcess({ target: targets.empty });
    mp.setExecutable(nodeWithThreads(TOO_FEW));
    await p.start();
    await untilGone(p.pid as number);
    expect(p.exitcode).toBe(-9);
  });

  test('is an OSError of start() where it is the forkserver', async () => {
    mp.setExecutable(nodeWithThreads(TOO_FEW));
    const p = new mp.ForkServerProcess({ target: targets.empty });
    await expect(p.start()).rejects.toMatchObject({ code: 'EAGAIN', syscall: 'pthread_create' });
    expect(() => p.startSync()).toThrow(/ulimit -u is 2/);
    mp.setExecutable(undefined);
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
  });

  test.each(['spawn', 'forkserver'])('ends with its parent, under %s', async (method) => {
    const { child, outcome } = startProgram('stuck_child', [method, nodeWithThreads(TOO_FEW)]);
    const pid = await new Promise<number>((resolve) => {
      child.stdout?.once('data', (text) => resolve(Number(text)));
    });
    await untilAsleep(pid);
    child.kill('SIGKILL');
    await untilGone(pid);
    await outcome;
  });
});

// A file system from which nothing may be run makes glibc say the same as a want of memory.
test.skipIf(noUnshare)('an interface to the kernel that is not mapped is an OSError', async () => {
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
  const noexec = `mount --bind ${modules} ${modules} && mount -o remount,bind,noexec ${modules}`;
  const under = { command: ['unshare', '-m', 'sh', '-c', `${noexec} && exec "$@"`, 'sh'] };
  const { stdout, stderr } = await runUnder(under, 'calls_kernel', []);
  expect({ ...(JSON.parse(stdout || '{}') as object), stderr }).toEqual({
    name: 'OSError',
    code: 'ENOMEM',
    syscall: 'mmap',
    message: expect.stringMatching(/no memory, or a file system mounted noexec: .*koffi/),
    stderr: '',
  });
});

test('a spawned child has one thread in the pool, and passes no flag of ours on', async () => {
  const channel = new Channel();
  const p = new mp.SpawnProcess({ target: targets.reportCommandLine, args: [channel.path] });
  await p.start();
  await p.join();
  const { argv, execArgv } = (await channel.next()) as { argv: string[]; execArgv: string[] };
  expect(argv[1]).toBe('--v8-pool-size=1');
  expect(execArgv).toEqual(process.execArgv);
});

describe.each(METHODS)('%s', (method) => {
  test('starts processes under a limit of address space', async () => {
    const under = { shell: 'ulimit -v 4000000;' };
    const args = [method, 'targets', 'exitWith', '[7]'];
    expect(await runUnder(under, 'run', args, method)).toMatchObject(WELL);
  });

  test('at the limit of open files all errors are OSErrors, and nothing stays', async () => {
    const { stdout, stderr } = await runUnder(
      { shell: 'ulimit -n 64;' },
      'at_fd_limit',
      [method],
      method,
    );
    expect(JSON.parse(stdout || stderr)).toEqual({
      wrong: [],
      refused: true,
      more: { fds: 0, mappings: 0 },
      again: null,
    });
  });

  test.skipIf(noStrace).each(['ENOSYS', 'EPERM'])('does without pidfd_open (%s)', async (error) => {
    const command = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=pidfd_open'];
    const under = { command: [...command, '-e', `inject=pidfd_open:error=${error}`] };
    const calls = ['[7]', '[7]', '[7]'];
    const outcome = await runUnder(under, 'run', [method, 'targets', 'exitWith', ...calls], method);
    expect(outcome).toMatchObject({ ...WELL, stdout: '[7,7,7]\n' });
    const waited = await runUnder(under, 'join_timeouts', [method], method);
    expect(waited).toMatchObject({ ...WELL, stdout: '[null,null,0,0]\n' });
  });

  test.skipIf(noUnshare)(
    'says what is missing where there is no /proc, or does without',
    async () => {
      const under = { command: ['unshare', '-m', 'sh', '-c', 'umount -l /proc; exec "$@"', 'sh'] };
      const args = [method, 'targets', 'exitWith', '[7]'];
      const outcome = await runUnder(under, 'run', args, method);
      if (method !== 'forkserver') expect(outcome).toMatchObject(WELL);
      else expect(outcome.stderr).toMatch(/ForkServerUnavailableError.*\/proc is not mounted/);
    },
  );
});

test.skipIf(noUnshare)('without /proc the default is spawn', async () => {
  const under = { command: ['unshare', '-m', 'sh', '-c', 'umount -l /proc; exec "$@"', 'sh'] };
  const { stdout } = await runUnder(under, 'start_methods', []);
  expect(JSON.parse(stdout)).toEqual(expect.arrayContaining([['spawn', 'fork'], 'spawn']));
});
