/**
 * Results in the order in which they are there: Python's `as_completed`, over processes.
 *
 *     npx tsx examples/executor_as_completed.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import { asCompleted, ProcessPoolExecutor } from 'multiprocessing/futures';

async function* runInProcessPool<P, R>(fn: (params: P) => Promise<R>, all: readonly P[]) {
  await using executor = new ProcessPoolExecutor({ maxWorkers: all.length });
  const futures = all.map((params) => executor.submit(fn, params));
  for await (const future of asCompleted(futures)) yield await future.result();
}

export async function foo({ t, name }: { t: number; name: string }): Promise<[number, string]> {
  await sleep(t * 300);
  return [t, name];
}

if (mp.isMain(import.meta)) {
  const results = runInProcessPool(foo, [
    { t: 7, name: 'process_1' },
    { t: 3, name: 'process_2' },
    { t: 4, name: 'process_3' },
    { t: 5, name: 'process_4' },
    { t: 1, name: 'process_5' },
  ]);
  const begin = performance.now();
  let sum = 0;
  for await (const [t, name] of results) {
    console.log(t, name);
    sum += t;
  }
  const total = (performance.now() - begin) / 300;
  console.log(`at the same time: ${total < sum}`);
}
