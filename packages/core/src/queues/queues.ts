/**
 * multiprocessing/queues.py as one module.
 */
export { JoinableQueue } from './joinable_queue.ts';
export { Empty, Full, Queue } from './queue.ts';
export { SimpleQueue } from './simple_queue.ts';
