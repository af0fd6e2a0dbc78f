/**
 * Uses each part of the library once, while somebody makes calls of the kernel fail (benchmarks/soak/kernel.ts), and says how each
 * went: a line of JSON. It waits for a byte on stdin before it begins, and before it ends, to be looked at from outside.
 *
 *     kernel METHOD cold|warm      warm: a process has been started before, so that the server runs
 */
import { readSync, writeSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { Client, Listener } from 'multiprocessing/connection';
import type { Queue } from 'multiprocessing/queues';
import { SharedMemory } from 'multiprocessing/shared_memory';
import type { Synchronized } from 'multiprocessing/sharedctypes';
import type { Lock } from 'multiprocessing/synchronize';

type Method = 'fork' | 'spawn' | 'forkserver';
type Context = mp.SpawnContext | mp.ForkContext | mp.ForkServerContext;

const SECONDS = 10;

/** What the child does. */
export function work(lock: Lock, value: Synchronized<number>, queue: Queue<number>): void {
  lock.acquireSync();
  value.value++;
  lock.release();
  queue.putSync(value.value);
}

export function nothing(): void {}

async function startAndJoin(ctx: Context): Promise<string> {
  const lock = ctx.Lock();
  const value = ctx.Value('i', 41);
  const queue = ctx.Queue<number>();
  const p = new ctx.Process({ target: work as () => void, args: [lock, value, queue] as never });
  await p.start();
  try {
    await p.join(SECONDS);
  } finally {
    // What nobody has waited for has its fds still.
    if (p.exitcode === undefined) {
      p.kill();
      p.joinSync(SECONDS);
    }
  }
  if (p.exitcode !== 0) return `exit code ${p.exitcode}`;
  return (await queue.get(true, SECONDS)) === 42 ? 'well' : 'wrong';
}

async function connect(): Promise<string> {
  const [a, b] = mp.Pipe();
  try {
    await a.send('x');
    if ((await b.recv()) !== 'x') return 'wrong';
  } finally {
    a.close();
    b.close();
  }
  const authkey = Buffer.from('secret');
  const listener = new Listener(undefined, { authkey });
  try {
    const client = Client(listener.address, { authkey, authTimeout: 2 });
    client.catch(() => listener.close()); // nobody will come to be accepted
    const sides = await Promise.allSettled([client, listener.accept()]);
    for (const side of sides) if (side.status === 'fulfilled') side.value.close();
    const errors = sides.flatMap((side) => (side.status === 'rejected' ? [side.reason] : []));
    // When one side fails the other is told that it has gone, or waits in vain.
    const cause = errors.find(
      ({ code }) => !['EPIPE', 'ERR_MP_EOF', 'ERR_MP_TIMEOUT'].includes(code),
    );
    if (errors.length > 0) throw cause ?? errors[0];
  } finally {
    listener.close();
  }
  return 'well';
}

function shareSegment(): string {
  const segment = new SharedMemory({ create: true, size: 4096 });
  try {
    const other = new SharedMemory({ name: segment.name });
    other.close();
  } finally {
    segment.close();
    segment.unlink();
  }
  return 'well';
}

function say(line: object): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function waitForByte(): void {
  readSync(0, Buffer.alloc(1));
}

async function attempt(step: string, body: () => string | Promise<string>): Promise<void> {
  try {
    say({ step, outcome: await body() });
  } catch (error) {
    const { name, code, syscall, message } = error as NodeJS.ErrnoException;
    const typed = error instanceof mp.OSError;
    say({ step, error: { name, code, syscall, message, typed } });
  }
}

async function main(method: Method, warm: boolean): Promise<void> {
  const ctx = mp.getContext(method) as Context;
  if (warm) {
    const p = new ctx.Process({ target: nothing });
    await p.start();
    await p.join();
  }
  say({ ready: process.pid });
  waitForByte();
  await attempt('process', () => startAndJoin(ctx));
  await attempt('connection', connect);
  await attempt('segment', shareSegment);
  await attempt('again', () => startAndJoin(ctx));
  for (let i = 0; i < 10; i++) {
    (globalThis as { gc?: () => void }).gc?.();
    await new Promise((resolve) => setTimeout(resolve, 5)); // what was collected is closed in tasks of their own
  }
  say({ done: true });
  waitForByte();
}

if (mp.isMain(import.meta)) {
  await main(process.argv[2] as Method, process.argv[3] === 'warm');
}
