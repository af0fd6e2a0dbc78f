/**
 * multiprocessing/queues.py as one module.
 */
export { JoinableQueue } from './joinable_queue.ts';
export { Empty, Full, Queue } from './queues.ts';
export { SimpleQueue } from './simple_queue.ts';
