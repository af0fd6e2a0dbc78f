/**
 * One executor for a whole program, as that of the third-party package loky is. No counterpart in CPython.
 */
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
  key: '' as string,
  initializer: undefined as unknown,
}));

/**
 * The executor that all of a program shares. It is made at the first call, resized where another number of workers is asked
 * for, and made anew where it is broken, shut down, or other options are asked for.
 */
export function getReusableExecutor(options: ReusableExecutorOptions = {}): ProcessPoolExecutor {
  const { timeout = 10, maxWorkers = processCpuCount(), ...rest } = options;
  const { mpContext, initializer, ...plain } = rest;
  const key = JSON.stringify([timeout, mpContext?._name, plain]);
  const { executor } = state;
  const isSame = key === state.key && initializer === state.initializer;
  if (executor !== undefined && !executor._isOver && isSame && maxWorkers <= executor._places) {
    if (executor._maxWorkers !== maxWorkers) executor._resize(maxWorkers);
    return executor;
  }
  if (executor !== undefined && !executor._isOver) void executor.shutdown();
  state.key = key;
  state.initializer = initializer;
  state.executor = new ProcessPoolExecutor({ ...rest, maxWorkers, idleTimeout: timeout });
  return state.executor;
}
