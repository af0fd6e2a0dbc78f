/**
 * Counterpart of multiprocessing/synchronize.py: what processes wait for. Its classes stand in files of their own,
 * in CPython's order: SemLock, Semaphore, BoundedSemaphore, Lock and RLock in locks.ts.
 */

export type { SharingContext } from '../process/sharing.ts';
export { Barrier, type BarrierOptions } from './barrier.ts';
export { Condition } from './condition.ts';
export { Event } from './event.ts';
export {
  BoundedSemaphore,
  Lock,
  RLock,
  Semaphore,
  SemLock,
  type SynchronizeOptions,
} from './locks.ts';
