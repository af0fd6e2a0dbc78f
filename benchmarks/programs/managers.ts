/**
 * What benchmarks/managers.ts measures, on request. A line of words on stdin is answered by a number on stdout; benchmarks/managers.py
 * is its twin. HOW is sync, blocking calls, async, awaited ones, or many, a thousand awaited at once.
 *
 *     get HOW COUNT       microseconds of a dict.get()
 *     clients HOW COUNT   calls of dict.get() a second, of 8 processes that make COUNT each
 *     queue HOW COUNT     microseconds of a put() and a get()
 *     start HOW COUNT     milliseconds from Manager() to its first answer
 */
import { createInterface } from 'node:readline';
import * as mp from 'multiprocessing';
import type { DictProxy } from 'multiprocessing/managers';
import type { Barrier } from 'multiprocessing/synchronize';

const ctx = mp.getContext('forkserver');

async function gets(dict: DictProxy<string, number>, how: string, count: number): Promise<void> {
  if (how === 'sync') for (let i = 0; i < count; i++) dict.getSync('a');
  else if (how === 'async') for (let i = 0; i < count; i++) await dict.get('a');
  else {
    for (let i = 0; i < count; i += 1000)
      await Promise.all(Array.from({ length: 1000 }, () => dict.get('a')));
  }
}

async function get(how: string, count: number): Promise<number> {
  const manager = await ctx.Manager();
  const dict = await manager.dict({ a: 1 });
  await gets(dict, how, count / 5);
  const begin = performance.now();
  await gets(dict, how, count);
  const micros = ((performance.now() - begin) * 1000) / count;
  await manager.shutdown();
  return micros;
}

export async function call(
  dict: DictProxy<string, number>,
  barrier: Barrier,
  how: string,
  count: number,
): Promise<void> {
  await gets(dict, how, 100);
  await barrier.wait();
  await gets(dict, how, count);
  await barrier.wait();
}

async function clients(how: string, count: number): Promise<number> {
  const manager = await ctx.Manager();
  const dict = await manager.dict({ a: 1 });
  const barrier = ctx.Barrier(9);
  const children = Array.from(
    { length: 8 },
    () => new ctx.Process({ target: call, args: [dict, barrier, how, count] }),
  );
  for (const child of children) await child.start();
  await barrier.wait();
  const begin = performance.now();
  await barrier.wait();
  const seconds = (performance.now() - begin) / 1000;
  for (const child of children) await child.join();
  await manager.shutdown();
  return (8 * count) / seconds;
}

async function queue(how: string, count: number): Promise<number> {
  const manager = await ctx.Manager();
  const queue = await manager.Queue<number>();
  const pairs = async (n: number) => {
    for (let i = 0; i < n; i++) {
      if (how === 'sync') {
        queue.putSync(1);
        queue.getSync();
      } else {
        await queue.put(1);
        await queue.get();
      }
    }
  };
  await pairs(count / 5);
  const begin = performance.now();
  await pairs(count);
  const micros = ((performance.now() - begin) * 1000) / count;
  await manager.shutdown();
  return micros;
}

async function start(how: string, count: number): Promise<number> {
  const begin = performance.now();
  for (let i = 0; i < count; i++) {
    const manager = how === 'sync' ? ctx.ManagerSync() : await ctx.Manager();
    (how === 'sync' ? manager.dictSync() : await manager.dict()).getSync('a');
    if (how === 'sync') manager.shutdownSync();
    else await manager.shutdown();
  }
  return (performance.now() - begin) / count;
}

const measures = { get, clients, queue, start };

if (mp.isMain(import.meta)) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, how = '', count] = line.split('\t');
    console.log(await measures[what as keyof typeof measures](how, Number(count)));
  }
}
