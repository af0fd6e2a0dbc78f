/**
 * A main module that takes some time to import, and starts children with a function of another one. What benchmarks/main_of_use.ts
 * measures: `METHOD ROUNDS` on stdin is answered by milliseconds from start to exit, one by one. With the word `asks` behind the
 * program it asks isMain, so that its children import it; without, it runs.
 */
import { createInterface } from 'node:readline';
import { check } from 'fast-check';
import * as mp from 'multiprocessing';
import { nothing } from './nothing.ts';

async function serve(): Promise<void> {
  if (typeof check !== 'function') throw new Error('fast-check is not what it was');
  for await (const line of createInterface({ input: process.stdin })) {
    const [method = '', count] = line.split('\t');
    const ctx = mp.getContext(method);
    const times: number[] = [];
    for (let i = 0; i < Number(count); i++) {
      const begin = performance.now();
      const p = new ctx.Process({ target: nothing });
      await p.start();
      await p.join();
      times.push(performance.now() - begin);
    }
    console.log(times.join(' '));
  }
}

if (process.argv[2] !== 'asks' || mp.isMain(import.meta)) await serve();
