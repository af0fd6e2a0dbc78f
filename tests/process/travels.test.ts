/**
 * Arguments that reach a child under each start method: values of other realms, loggers, hundreds of pipes, long ones.
 * Those of more than 2 GiB take minutes: benchmarks/soak/large_arguments.ts.
 */
import { describe, expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';
import type { Method } from '../support/start_methods.ts';

const ways: [name: string, method: Method, execArgv: string[]][] = [
  ['spawn', 'spawn', []],
  ['forkserver', 'forkserver', []],
  ['emulated fork', 'fork', []],
  ['fork', 'fork', ['--single-threaded', '--v8-pool-size=1']],
];
const onLinux = process.platform === 'linux';
const usable = ways.filter(([name]) => name === 'spawn' || onLinux);
if (!onLinux) console.warn('no tests under forkserver and fork: they need Linux');

describe.each(usable)('%s', (name, method, execArgv) => {
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await runProgram('travels', [method, ...args], { execArgv });
    expect([stdout, stderr, code]).toEqual(['right\n', '', 0]);
  };

  test('console and the logger are the child’s own', () => run('loggers'));

  // A child that is forked has the parent's own.
  if (name !== 'fork') test('values of another realm', () => run('realms'));

  test.each([248, 249, 250, 251, 252, 253, 300, 2000])('%i pipes', (count) =>
    run('pipes', String(count)),
  );

  // What is longer than a page or two stands beside the message, and is not copied into it.
  test.each([1, 65_536, 65_537, 5_000_000])('an argument of %i bytes', (length) =>
    run('large', String(length)),
  );
});
