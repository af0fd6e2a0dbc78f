/**
 * Three processes work in steps: none begins a step before all have done the last one.
 *
 *     npx tsx examples/barrier.ts
 *
 * Each gets a number of its own from wait(); the one that gets 0 prints.
 */
import * as mp from 'multiprocessing';
import type { Barrier } from 'multiprocessing/synchronize';

export function work(index: number, results: Int32Array, steps: Barrier): void {
  for (let step = 1; step <= 3; step++) {
    results[index] = step * (index + 1);
    steps.waitSync(); // all results are there
    const sum = results.reduce((a, b) => a + b, 0);
    if (steps.waitSync() === 0) console.log(`step ${step}: ${[...results].join(' + ')} = ${sum}`);
    steps.waitSync(); // it is printed
  }
}

if (mp.isMain(import.meta)) {
  const results = mp.RawArray('i', 3);
  const steps = mp.Barrier(3);
  const workers = [0, 1, 2].map(
    (index) => new mp.Process({ target: work, args: [index, results, steps] }),
  );
  for (const p of workers) await p.start();
  for (const p of workers) await p.join();
}
