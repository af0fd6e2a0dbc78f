/**
 * Who may start processes: what a target begins, and nothing that the import of a module begins in a child or a server.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type ProgramOptions, runProgram } from '../support/programs.ts';
import { linesOf, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod, type Method } from '../support/start_methods.ts';

const commonjs = fileURLToPath(new URL('../fixtures/programs/chain_commonjs.cjs', import.meta.url));

/** Runs one of the programs. @returns what its processes wrote */
async function run(
  name: string,
  method: Method,
  words: readonly string[] = [],
  options: ProgramOptions = {},
): Promise<string[]> {
  const file = scratchFile('outcomes');
  writeFileSync(file, '');
  const { code, stderr } = await runProgram(name, [method, ...words, file], { method, ...options });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(processesWith(file)).toEqual([]);
  return linesOf(file);
}

/** The pids of processes that have such a word on their command line: a chain goes on without its program. */
function processesWith(word: string): string[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(word);
    } catch {
      return false; // it has ended
    }
  });
}

/** The error, and that it speaks of bootstrapping. */
const REFUSED = 'RuntimeError true';

const EVERYWHERE = [
  'at once',
  'a microtask',
  'a thousand awaits',
  'an awaited timer',
  'a tick',
  'an immediate',
  'a timer',
  'an unreferenced timer',
  'timers one after the other',
  'an event of an emitter',
  'the guard of ES modules',
];

/** What a child of the forkserver does not have of the server: its I/O, its handlers. */
const UNDER_SPAWN = ['a callback of node:fs', 'a server', 'signal', 'exit', 'finalizer', 'worker'];

forEachStartMethod(['spawn', 'forkserver'], (_ctx, method) => {
  const kinds = method === 'spawn' ? [...EVERYWHERE, ...UNDER_SPAWN] : EVERYWHERE;
  test.each(kinds)('what the import began starts no process: %s', async (kind) => {
    const outcomes = await run('chain', method, [kind]);
    const others = outcomes.filter((line) => line !== REFUSED);
    expect(others.sort()).toEqual(['ended 0', 'started', 'target 0']);
    expect(outcomes).toContain(REFUSED);
  });

  test('nor does the import of a module that is not the main one', async () => {
    const outcomes = await run('chain_module', method);
    expect(outcomes).toEqual(['RuntimeError']);
  });

  test('nor that of a CommonJS program that catches its errors', async () => {
    const outcomes = await run(commonjs, method);
    expect(outcomes.sort()).toEqual(['RuntimeError', 'ended 0', 'loaded', 'loaded', 'started']);
  });
});

forEachStartMethod(['fork'], (_ctx, method) => {
  test('processes that start each other without a target come to an end', async () => {
    const outcomes = await run('chain', method, ['hooks']);
    expect(outcomes.sort()).toEqual([REFUSED, ...Array(4).fill('started')]);
  });
});

forEachStartMethod(['spawn', 'forkserver'], (_ctx, method) => {
  test.each(['nothing', 'prints', 'timer', 'work'])(
    'a target does not pay for what the import has left, once that is over: %s',
    async (kind) => {
      const { stdout } = await runProgram('awaits', [method, kind]);
      expect(stdout).toBe('0\n');
    },
  );
});
