/**
 * Programs with pools: their ends, and what needs a process of its own.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { untilGone } from '../support/processes.ts';
import { runProgram, startProgram } from '../support/programs.ts';
import { forEachWay, ways } from '../support/start_methods.ts';

forEachWay((how) => {
  const { name, options } = ways(how);
  const run = (words: readonly string[], execArgv: readonly string[] = []) =>
    runProgram('pool_ends', [name, ...words], { ...options, execArgv });

  test('process.exit() in a task', async () => {
    const { stdout, stderr } = await run(['lost', 'exit']);
    expect(stderr).toBe('');
    expect(stdout.match(/WorkerLostError: .* exit code 0 /g)?.length).toBe(2);
    expect(stdout).toMatch(/\[ 1, 4, 9 \] 16\n$/);
  });

  test('no memory left for V8', async () => {
    const { stdout } = await run(['lost', 'heap out of memory'], ['--max-old-space-size=60']);
    expect(stdout.match(/WorkerLostError: .* SIG(ABRT|TRAP|ILL) /g)?.length).toBe(2);
    expect(stdout).toMatch(/\[ 1, 4, 9 \] 16\n$/);
  });

  test('no fd for the start of a worker', async () => {
    const squares = '[ 1, 4, 9 ]';
    expect(await run(['no fds'])).toEqual({
      code: 0,
      signal: null,
      stdout: `${squares}\nEMFILE\n${squares}\n`,
      stderr: '',
    });
  });

  test('no program for workers', async () => {
    const { code, stdout, stderr } = await run(['no program']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.match(/BrokenProcessPool: the pool is broken: .*ENOENT/g)?.length).toBe(2);
  });

  test('a program ends though it has an idle pool', async () => {
    expect(await run(['idle'])).toEqual({
      code: 0,
      signal: null,
      stdout: '[ 1, 4, 9 ]\nends\n',
      stderr: '',
    });
  });

  test('process.exit() of the program, with tasks that never end', async () => {
    expect(await run(['exit'])).toEqual({ code: 5, signal: null, stdout: '', stderr: '' });
  });

  test('a pool that is forgotten ends, with a warning', async () => {
    const { code, stdout } = await run(['forgotten'], ['--expose-gc']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: '9\nResourceWarning: a pool was forgotten while it runs: close() or terminate() it\n',
    });
  });

  describe.each(['SIGKILL', 'SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
    test.each(['loop', 'executor loop'])('ends a program and its workers: %s', async (what) => {
      const { child, outcome } = startProgram('pool_ends', [name, what], {
        ...options,
        detached: true,
      });
      const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [
        string,
      ];
      const pids = line.split(' ').map(Number);
      expect(pids.length).toBe(2);
      // To the whole group, as a terminal does; SIGKILL to the program alone.
      process.kill(signal === 'SIGKILL' ? (child.pid as number) : -(child.pid as number), signal);
      await outcome;
      for (const pid of pids) await untilGone(pid);
    });
  });
});
