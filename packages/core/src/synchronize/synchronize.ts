/**
 * Counterpart of multiprocessing/synchronize.py: what processes wait for. Its classes stand in files of their own,
 * in CPython's order: SemLock, Semaphore, BoundedSemaphore, Lock and RLock in locks.ts.
 *
 *     barrier.ts          Barrier
 *     barrier_phases.ts   the state of a barrier in shared memory
 *     condition.ts        Condition
 *     condition_waits.ts  who waits for a condition, in shared memory
 *     dead_owner.ts       the warning for a lock whose owner has died
 *     event.ts            Event
 *     locks.ts            SemLock, Semaphore, BoundedSemaphore, Lock, RLock
 *     semlock.ts          the counterpart of CPython's C class: the lock itself, in shared memory
 *     semlock_async.ts    waits for a lock that do not block the event loop
 *     semlock_words.ts    the words of a lock
 *     turns.ts            who waits for a lock, and who may go next
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
