/** `multiprocessing/synchronize`: locks, semaphores, and what else processes wait for. */
export {
  Barrier,
  type BarrierOptions,
  BoundedSemaphore,
  Condition,
  Event,
  Lock,
  RLock,
  Semaphore,
  SemLock,
  type SynchronizeOptions,
} from '@multiprocessing/core/synchronize/synchronize';
