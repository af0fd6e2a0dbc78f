/**
 * @multiprocessing/futures: Python's concurrent.futures over the workers of a pool (core's room pool).
 *
 *     executor.ts  Executor: what all of them have
 *     future.ts    Future
 *     process.ts   ProcessPoolExecutor
 *     reusable.ts  one executor for a whole program
 *     waiting.ts   wait and asCompleted
 */
export {
  BrokenExecutor,
  BrokenProcessPool,
  CancelledError,
  type OnWorkerDeath,
  TimeoutError,
  WorkerLostError,
} from '@multiprocessing/core/pool/pool';
export { Executor, type MapOptions, type Results, type ShutdownOptions } from './executor.ts';
export { Future, InvalidStateError } from './future.ts';
export { ProcessPoolExecutor, type ProcessPoolExecutorOptions } from './process.ts';
export { getReusableExecutor, type ReusableExecutorOptions } from './reusable.ts';
export {
  ALL_COMPLETED,
  asCompleted,
  type Completed,
  type CompletedFuture,
  type DoneAndNotDone,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  type ReturnWhen,
  type WaitOptions,
  wait,
  waitSync,
} from './waiting.ts';
