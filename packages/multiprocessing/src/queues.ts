/** `multiprocessing/queues`: queues between processes. */
export {
  Empty,
  Full,
  JoinableQueue,
  Queue,
  type QueueOptions,
  SimpleQueue,
} from '@multiprocessing/core/queues/queues';
