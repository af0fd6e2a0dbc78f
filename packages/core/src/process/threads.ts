/**
 * The worker threads of a child: it waits for those that it started before it ends, as Python waits for
 * threads that are no daemons. A worker that was unref()ed is a daemon here.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';
import { calledByChildren } from '@multiprocessing/posix';

const running = new Set<Worker>();
let watching = false;

/** Forgets the workers noted so far: a forked child has none of its parent's threads. @internal */
export function forgetThreads(): void {
  if (running.size > 0) running.clear();
}

/** Begins to note the workers that this process starts. @internal */
export function watchThreads(): void {
  if (watching) return;
  watching = true;
  // Told at once: the process's 'worker' event comes a tick later, when a target may have returned.
  subscribe('worker_threads', (message) => {
    const { worker } = message as { worker: Worker };
    running.add(worker);
    worker.once('exit', () => running.delete(worker));
    const { ref, unref } = worker;
    worker.ref = () => {
      running.add(worker);
      return ref.call(worker);
    };
    worker.unref = () => {
      running.delete(worker);
      return unref.call(worker);
    };
  });
}

/** A promise that all running workers have ended; undefined when there are none. @internal */
export function pendingThreads(): Promise<unknown> | undefined {
  if (running.size === 0) return undefined;
  return Promise.all(
    [...running].map((worker) => new Promise((resolve) => worker.once('exit', resolve))),
  );
}

calledByChildren(forgetThreads, watchThreads, pendingThreads);
