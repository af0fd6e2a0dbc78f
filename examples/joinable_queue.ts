/**
 * Tasks for workers, and a parent that waits until all are done: not until the queue is empty, which is earlier. Workers are
 * daemons: they wait for more for as long as the program runs.
 *
 *     npx tsx examples/joinable_queue.ts
 */
import * as mp from 'multiprocessing';
import type { JoinableQueue, Queue } from 'multiprocessing/queues';

interface Task {
  n: number;
  /** How many new tasks it makes. */
  more: number;
}

export async function work(tasks: JoinableQueue<Task>, results: Queue<number>): Promise<void> {
  for (;;) {
    const { n, more } = await tasks.get();
    try {
      await results.put(n * n);
      // Before this one is done: join() goes on to wait.
      for (let i = 1; i <= more; i++) await tasks.put({ n: n * 10 + i, more: 0 });
    } finally {
      tasks.taskDone();
    }
  }
}

if (mp.isMain(import.meta)) {
  const tasks = mp.JoinableQueue<Task>();
  const results = mp.Queue<number>();
  for (let i = 0; i < 3; i++) {
    const worker = new mp.Process({ target: work, args: [tasks, results], daemon: true });
    await worker.start();
  }
  for (let n = 1; n <= 4; n++) await tasks.put({ n, more: n === 2 ? 2 : 0 });
  await tasks.join();
  const squares: number[] = [];
  while (!results.empty()) squares.push(await results.get());
  console.log(`done: ${squares.sort((a, b) => a - b).join(' ')}`);
}
