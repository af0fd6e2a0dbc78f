/** What the bundle exports: the package's sub-paths, and the programs of children. */

export { forkserverMain, spawnMain } from '@multiprocessing/popen';
export * as connection from './connection.ts';
export * as context from './context.ts';
export * as forkable from './forkable.ts';
export * as heap from './heap.ts';
export * as index from './index.ts';
export * as os from './os.ts';
export * as pickle from './pickle.ts';
export * as process from './process.ts';
export * as queues from './queues.ts';
export * as reduction from './reduction.ts';
export * as resource_sharer from './resource_sharer.ts';
export * as resource_tracker from './resource_tracker.ts';
export * as shared_memory from './shared_memory.ts';
export * as sharedctypes from './sharedctypes.ts';
export * as synchronize from './synchronize.ts';
export * as util from './util.ts';
