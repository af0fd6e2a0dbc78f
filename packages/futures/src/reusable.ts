/**
 * One executor for a whole program, as that of the third-party package loky is. No counterpart in CPython.
 */
import { isDeepStrictEqual } from 'node:util';
import { processCpuCount } from '@multiprocessing/core/base/cpus';
import { processWide } from '@multiprocessing/core/base/state';
import { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from './process.ts';

/** Options of `getReusableExecutor`. */
export interface ReusableExecutorOptions extends ProcessPoolExecutorOptions {
  /** Seconds without a call after which a worker ends; 10, without. The next call starts it again. */
  timeout?: number | undefined;
}

const state = processWide('futures.reusable', () => ({
  executor: undefined as ProcessPoolExecutor | undefined,
  /** What it was made with, but for the number of workers. */
  made: {} as Omit<ReusableExecutorOptions, 'maxWorkers'>,
}));

/**
 * The executor that all of a program shares. It is made at the first call, resized where another number of workers is asked
 * for, and made anew where it is broken, shut down, or other options are asked for.
 */
export function getReusableExecutor(options: ReusableExecutorOptions = {}): ProcessPoolExecutor {
  const { timeout = 10, maxWorkers = processCpuCount(), ...rest } = options;
  const { executor } = state;
  const isSame = areSame({ timeout, ...rest }, state.made);
  if (executor !== undefined && !executor._isOver && isSame && maxWorkers <= executor._places) {
    if (executor._maxWorkers !== maxWorkers) executor._resize(maxWorkers);
    return executor;
  }
  if (executor !== undefined && !executor._isOver) void executor.shutdown();
  state.made = { timeout, ...rest };
  state.executor = new ProcessPoolExecutor({ ...rest, maxWorkers, idleTimeout: timeout });
  return state.executor;
}

/** Contexts are compared by identity, all else by value. */
function areSame(
  { mpContext: a, ...some }: ReusableExecutorOptions,
  { mpContext: b, ...others }: ReusableExecutorOptions,
): boolean {
  return a === b && isDeepStrictEqual(some, others);
}
