/** `multiprocessing/queues`: queues between processes. */
import { queues } from '@multiprocessing/core';

export const { Empty, Full, JoinableQueue, Queue, SimpleQueue } = queues;
export type Empty = queues.Empty;
export type Full = queues.Full;
export type JoinableQueue<T = unknown> = queues.JoinableQueue<T>;
export type Queue<T = unknown> = queues.Queue<T>;
export type SimpleQueue<T = unknown> = queues.SimpleQueue<T>;
