import * as mp from 'multiprocessing';
import type { Queue } from 'multiprocessing/queues';

type Item = [name: string, result: number];

export async function square(queue: Queue<Item>, x: number): Promise<void> {
  await queue.put([mp.currentProcess().name, x * x]);
}

async function main(method: string | undefined): Promise<void> {
  const ctx = mp.getContext(method);
  const queue = ctx.Queue<Item>();
  const p = new ctx.Process({ target: square, args: [queue, 7] });
  await p.start();
  const [name, result] = await queue.get();
  await p.join();
  console.log(method, name, result, p.exitcode);
}

if (mp.isMain(import.meta)) void main(process.argv[2]);
