/** `multiprocessing/queues`: queues between processes. */
export {
  Empty,
  Full,
  JoinableQueue,
  Queue,
  SimpleQueue,
} from '@multiprocessing/core/queues/queues';
