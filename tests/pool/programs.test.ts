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

const all = ['apply', 'map', 'imap', 'imapUnordered', 'submit', 'executor.map'];
const isWhole = process.env.MULTIPROCESSING_TEST_MATRIX === 'whole';
// The engine is the same for all.
if (!isWhole) console.warn('two of six ways to call in programs: `pnpm test:hang` takes all');
const calls = isWhole ? all : ['apply', 'submit'];

forEachWay((how) => {
  const { name, options } = ways(how);
  const run = (words: readonly string[], execArgv: readonly string[] = []) =>
    runProgram('pool_ends', [name, ...words], { ...options, execArgv });

  test.each([
    ['exit', / exit code 0 /, []],
    ['heap out of memory', / SIG(ABRT|TRAP|ILL) /, ['--max-old-space-size=60']],
  ] as const)('a task and: %s', async (item, how, execArgv) => {
    const { stdout } = await run(['lost', item, ...calls], execArgv);
    const lines = stdout.split('\n');
    for (const name of calls) {
      const [error, values, ...more] = lines.filter((line) => line.startsWith(`${name}: `));
      expect(error).toMatch(/: WorkerLostError: /);
      expect(error).toMatch(how);
      expect([values, more]).toEqual([`${name}: 1,4,9`, []]);
    }
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
    test.each(calls)('ends a program and its workers: %s', async (way) => {
      const { child, outcome } = startProgram('pool_ends', [name, 'loop', way], {
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
