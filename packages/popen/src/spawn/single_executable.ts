/**
 * Single executables: node with a program in it, which runs that program whatever it is told to run. So this library takes
 * such a child over, in the first line that imports it; Python's `freeze_support`. Deviations: D-128.
 */
import { close, isSingleExecutable } from '@multiprocessing/posix';
import { entryPath } from '../base/entries.ts';
import { FLAG, spawnMain } from './spawn.ts';

/** What is thrown so that the program does not begin. */
const taken = new Error('this process is a child of multiprocessing: its program does not begin');

/**
 * In a child that is a single executable: runs the process object, and never returns.
 * @internal
 */
export function takeOver(): void {
  const program = process.argv.indexOf(FLAG) - 1;
  if (program < 1 || !isSingleExecutable()) return;
  if (process.argv[program] !== entryPath('spawn_main')) return;
  const [passed = 0, cacheFd] = process.argv.slice(program + 2).map(Number);
  if (cacheFd !== undefined) close(cacheFd); // the program has loaded this library already
  process.prependListener('uncaughtException', stop);
  spawnMain(passed);
  throw taken;
}

function stop(error: unknown): void {
  process.off('uncaughtException', stop);
  if (error !== taken) throw error;
}
