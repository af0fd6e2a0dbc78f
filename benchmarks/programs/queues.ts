/**
 * What benchmarks/queues.ts measures: queues and connections, on request. A line of words on stdin is answered by a
 * number on stdout; benchmarks/queues.py and programs/queues_node.ts are its twins. HOW is sync, blocking calls on both
 * sides, or async, awaited ones. The clock starts after a fifth of all: both sides run compiled code then.
 *
 *     queue HOW COUNT         messages a second through a Queue, as they arrive
 *     trip HOW COUNT          microseconds from one process to another and back, through a Pipe
 *     bytes SIZE COUNT        bytes a second through a Pipe, in messages of SIZE bytes
 *     array LENGTH COUNT      milliseconds for a Float64Array through a Queue
 *     copies LENGTH COUNT     milliseconds for a copy of one out of shared memory, while a child copies others into it
 */
import { createInterface } from 'node:readline';
import * as mp from 'multiprocessing';
import type { Connection } from 'multiprocessing/connection';
import type { Queue } from 'multiprocessing/queues';
import type { Barrier } from 'multiprocessing/synchronize';

const ctx = mp.getContext('forkserver');

interface Item {
  readonly i: number;
  readonly s: string;
}

export async function produce(queue: Queue<Item>, how: string, count: number): Promise<void> {
  if (how === 'sync') for (let i = 0; i < count; i++) queue.putSync({ i, s: 'hello' });
  else for (let i = 0; i < count; i++) await queue.put({ i, s: 'hello' });
}

async function queue(how: string, count: number): Promise<number> {
  const queue = ctx.Queue<Item>();
  const child = new ctx.Process({ target: produce, args: [queue, how, count] });
  await child.start();
  const take = async (n: number) => {
    let item: Item | undefined;
    if (how === 'sync') for (let i = 0; i < n; i++) item = queue.getSync();
    else for (let i = 0; i < n; i++) item = await queue.get();
    return item;
  };
  await take(count / 5);
  const begin = performance.now();
  const item = await take((count * 4) / 5);
  const seconds = (performance.now() - begin) / 1000;
  if (item?.i !== count - 1) throw new Error(`the last item is ${item?.i}`);
  await child.join();
  queue.close();
  return (count * 4) / 5 / seconds;
}

export async function echo(connection: Connection, how: string, count: number): Promise<void> {
  if (how === 'sync') for (let i = 0; i < count; i++) connection.sendSync(connection.recvSync());
  else for (let i = 0; i < count; i++) await connection.send(await connection.recv());
}

async function trip(how: string, count: number): Promise<number> {
  const [here, there] = ctx.Pipe();
  const child = new ctx.Process({ target: echo, args: [there, how, count] });
  await child.start();
  const item = { i: 0, s: 'hello' };
  const go = async (n: number) => {
    for (let i = 0; i < n; i++) {
      if (how === 'sync') {
        here.sendSync(item);
        here.recvSync();
      } else {
        await here.send(item);
        await here.recv();
      }
    }
  };
  await go(count / 5);
  const begin = performance.now();
  await go((count * 4) / 5);
  const time = ((performance.now() - begin) * 1000) / ((count * 4) / 5);
  await child.join();
  here.close();
  there.close();
  return time;
}

export function pour(connection: Connection, size: number, count: number): void {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < count; i++) connection.sendBytesSync(bytes);
}

async function pourBytes(size: number, count: number): Promise<number> {
  const [here, there] = ctx.Pipe();
  const child = new ctx.Process({ target: pour, args: [there, size, count] });
  await child.start();
  here.recvBytesSync();
  const begin = performance.now();
  for (let i = 1; i < count; i++) {
    if (here.recvBytesSync().length !== size) throw new Error('a message of another size');
  }
  const seconds = (performance.now() - begin) / 1000;
  await child.join();
  here.close();
  there.close();
  return (size * (count - 1)) / seconds;
}

export async function putArrays(
  queue: Queue<Float64Array>,
  length: number,
  count: number,
): Promise<void> {
  const array = new Float64Array(length).fill(1.5);
  for (let i = 0; i < count; i++) await queue.put(array);
}

async function array(length: number, count: number): Promise<number> {
  const queue = ctx.Queue<Float64Array>();
  const child = new ctx.Process({ target: putArrays, args: [queue, length, count] });
  await child.start();
  let begin = 0;
  for (let i = 0; i < count; i++) {
    if (i === count / 5) begin = performance.now();
    if ((await queue.get()).at(-1) !== 1.5) throw new Error('another array');
  }
  const time = (performance.now() - begin) / ((count * 4) / 5);
  await child.join();
  queue.close();
  return time;
}

/** Arrays that the window of a queue holds. */
const PLACES = 4;

const bytesOf = (array: Float64Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

type Copy = (to: Uint8Array, from: Uint8Array) => void;

/** What queues copy with, which nobody else can import by name. */
async function findCopy(): Promise<Copy> {
  const file = new URL('../../../packages/posix/dist/memory/streaming_copy.js', import.meta.url);
  return ((await import(file.href)) as { copyBytes: Copy }).copyBytes;
}

/** Copies arrays one after the other, when the other one does, too. @returns milliseconds for each */
async function copyAll(
  barrier: Barrier,
  length: number,
  count: number,
  copy: (place: number) => void,
): Promise<number> {
  for (let i = 0; i < PLACES; i++) copy(i * length);
  await barrier.wait();
  const begin = performance.now();
  for (let i = 0; i < count; i++) copy((i % PLACES) * length);
  return (performance.now() - begin) / count;
}

export async function copyIn(
  memory: Float64Array,
  barrier: Barrier,
  length: number,
  count: number,
): Promise<void> {
  const copyBytes = await findCopy();
  const array = bytesOf(new Float64Array(length).fill(1.5));
  await copyAll(barrier, length, count, (place) => {
    copyBytes(bytesOf(memory.subarray(place, place + length)), array);
  });
}

async function copies(length: number, count: number): Promise<number> {
  const copyBytes = await findCopy();
  const memory = ctx.RawArray('d', PLACES * length) as unknown as Float64Array;
  const barrier = ctx.Barrier(2);
  const child = new ctx.Process({ target: copyIn, args: [memory, barrier, length, count] });
  await child.start();
  const array = bytesOf(new Float64Array(length));
  const time = await copyAll(barrier, length, count, (place) => {
    copyBytes(array, bytesOf(memory.subarray(place, place + length)));
  });
  await child.join();
  return time;
}

async function answer(what: string, words: string[]): Promise<number> {
  const [how = '', ...rest] = words;
  const count = Number(rest[0]);
  if (what === 'queue') return queue(how, count);
  if (what === 'trip') return trip(how, count);
  if (what === 'bytes') return pourBytes(Number(how), count);
  if (what === 'array') return array(Number(how), count);
  if (what === 'copies') return copies(Number(how), count);
  throw new Error(`what is ${what}?`);
}

if (mp.isMain(import.meta)) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, ...words] = line.split('\t') as [string, ...string[]];
    console.log(await answer(what, words));
  }
}
