/**
 * @multiprocessing/contexts: which start method a Process uses. The composition root.
 */
export * from './context.ts';
export * from './default_context.ts';
export { ForkProcess, ForkServerProcess, SpawnProcess } from './processes.ts';
