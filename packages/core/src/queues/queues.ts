/**
 * Counterpart of multiprocessing/queues.py.
 *
 * An item goes the way that it goes in CPython: put() → buffer → feeder → channel → get(). CPython's feeder is a thread that
 * writes to a pipe. Here put() itself writes to the channel, which always has room; the buffer holds only what has to
 * wait for a slot (`maxsize`) or for another process in the middle of its put, and the event loop feeds it.
 *
 *     queue.ts           Queue
 *     joinable_queue.ts  JoinableQueue
 *     simple_queue.ts    SimpleQueue
 *     base.ts            what all three have, and how they travel
 *     feeder.ts          the half that puts: from the buffer to the channel
 *     reader.ts          the half that gets: from the channel to objects
 *     channel.ts         what is between the processes: a ring in shared memory, a lock at each end
 *     file.ts            the memory behind the ring, for what is too large for it
 *     checks.ts          looks at what other processes have written there
 *     layout.ts          where everything of a channel stands
 *     members.ts         which threads have a queue
 *     record.ts          an item in the ring
 */
export { Empty, Full } from '../base/errors.ts';
export type { QueueOptions } from './base.ts';
export { JoinableQueue } from './joinable_queue.ts';
export { Queue } from './queue.ts';
export { SimpleQueue } from './simple_queue.ts';
