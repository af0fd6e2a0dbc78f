/** What a user writes, in an ES module. */
import * as mp from 'multiprocessing';
import * as connection from 'multiprocessing/connection';
import * as context from 'multiprocessing/context';
import 'multiprocessing/forkable';
import * as heap from 'multiprocessing/heap';
import * as os from 'multiprocessing/os';
import * as pickle from 'multiprocessing/pickle';
import * as processes from 'multiprocessing/process';
import * as queues from 'multiprocessing/queues';
import * as reduction from 'multiprocessing/reduction';
import * as sharer from 'multiprocessing/resource_sharer';
import * as tracker from 'multiprocessing/resource_tracker';
import * as memory from 'multiprocessing/shared_memory';
import * as ctypes from 'multiprocessing/sharedctypes';
import * as synchronize from 'multiprocessing/synchronize';
import * as util from 'multiprocessing/util';

export const modules = [connection, context, heap, os, pickle, processes, queues, reduction];
export const more = [sharer, tracker, memory, ctypes, synchronize, util];

export function square(x: number): number {
  return x * x;
}

export const p = new mp.Process({ target: square, args: [7] });
export const base: processes.BaseProcess = p;
// @ts-expect-error: a string is no number
new mp.Process({ target: square, args: ['7'] });

export class Worker extends mp.Process {
  override async run(): Promise<void> {}
}

export const called: queues.Queue<number> = mp.Queue<number>();
export const constructed: queues.Queue<number> = new mp.Queue<number>(3);
export const joinable: queues.JoinableQueue<string> = mp
  .getContext('spawn')
  .JoinableQueue<string>();
export const item: number = await called.get();
// @ts-expect-error: as above
await called.put('7');

export const lock: synchronize.Lock = mp.Lock();
export const guard: { [Symbol.dispose](): void } = lock.guardSync();
await p[Symbol.asyncDispose]();

export const number: number = mp.Value('d', 0).value;
export const constructedNumber: number = new mp.Value('d', 0).value;
export const constructedArray: Int32Array = new mp.RawArray('i', 3);
export const bigint: bigint = mp.Value('q', 0n).value;
export const array = mp.RawArray('i', 3);
export const buffer: ArrayBuffer = array.buffer;
export const chars: Uint8Array = mp.RawArray('c', 3).value;
export const charBuffer: ArrayBuffer = mp.RawArray('c', 3).buffer;
export const segment: ArrayBuffer = new memory.SharedMemory({ create: true, size: 1 }).buf.buffer;

export const [left, right] = mp.Pipe();
export const ready = await connection.wait([left, right, 3]);
os.kill(os.getpid(), 'SIGTERM');
// @ts-expect-error: no signal
os.kill(os.getpid(), 'TERM');

export async function consume(queue: queues.Queue<{ a: number }>): Promise<void> {
  for await (const { a } of queue) a.toFixed();
  // @ts-expect-error: what comes is no string
  for await (const text of queue) text.padEnd(3);
}

export class Telling extends queues.Queue<number> {
  override _onQueueFeederError(error: unknown, item: unknown): void {
    super._onQueueFeederError(error, item);
  }
}

export function named(a: number, b: string, options: { readonly deep: boolean }): void {
  void [a, b, options];
}
new mp.Process({ target: named, args: [1, 'b', { deep: true }] });
new mp.Process({ target: named, args: [1, 'b'], kwargs: { deep: true } });
// @ts-expect-error: the others are missing
new mp.Process({ target: named, kwargs: { deep: true } });
// @ts-expect-error: it has no such option
new mp.Process({ target: named, args: [1, 'b'], kwargs: { deep: true, wide: 1 } });
// @ts-expect-error: locks are made by a context
new synchronize.SemLock();
mp.setForkserverPreload(['fs'], { onError: undefined });
