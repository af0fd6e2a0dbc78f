/**
 * What benchmarks/synchronize.ts measures: locks, events and shared arrays, on request. A line of words on stdin is
 * answered by a line of numbers on stdout; benchmarks/synchronize.py is its twin.
 *
 *     pair KIND COUNT       nanoseconds for an acquire and a release that nobody contends
 *     add HOW COUNT         additions a second of two processes to one number, COUNT each
 *     pingpong COUNT        microseconds from one process to another and back, by two events
 *     sum COUNT             milliseconds for the sum of an ordinary Float64Array and of a RawArray
 *     wake COUNT            microseconds from the set() in a child to the end of `await event.wait()` here
 *     turns COUNT           for each of eight processes, the most turns of others during one of its waits, in COUNT turns of its own
 */
import { createInterface } from 'node:readline';
import * as mp from 'multiprocessing';
import type { Synchronized } from 'multiprocessing/sharedctypes';
import type { Barrier, Event, Lock } from 'multiprocessing/synchronize';

const ctx = mp.getContext('forkserver');

/** A loop of its own for each kind: in one for all V8 would have to ask which it is. */
const loopOf = new Function(
  'return (lock, count) => { for (let i = 0; i < count; i++) { lock.acquireSync(); lock.release(); } }',
);

function pair(kind: string, count: number): number {
  const lock = kind === 'Lock' ? ctx.Lock() : kind === 'RLock' ? ctx.RLock() : ctx.Semaphore(1);
  const loop = loopOf() as (lock: object, count: number) => void;
  loop(lock, count / 10);
  const begin = performance.now();
  loop(lock, count);
  return ((performance.now() - begin) * 1e6) / count;
}

/** The lock that a Value has. */
export function addToValue(value: Synchronized<number>, gate: Barrier, count: number): void {
  const lock = value.getLock();
  gate.waitSync();
  for (let i = 0; i < count; i++) {
    lock.acquireSync();
    value.value += 1;
    lock.release();
  }
}

/** A lock beside shared memory without one. */
export function addToCell(cells: Int32Array, lock: Lock, gate: Barrier, count: number): void {
  gate.waitSync();
  for (let i = 0; i < count; i++) {
    lock.acquireSync();
    cells[0] = (cells[0] as number) + 1;
    lock.release();
  }
}

async function add(how: string, count: number): Promise<number> {
  const gate = ctx.Barrier(3);
  const cells = ctx.RawArray('i', 1);
  const lock = ctx.Lock();
  const value = ctx.Value('i', 0);
  const children = [0, 1].map(() =>
    how === 'Value'
      ? new ctx.Process({ target: addToValue, args: [value, gate, count] })
      : new ctx.Process({ target: addToCell, args: [cells, lock, gate, count] }),
  );
  for (const child of children) await child.start();
  gate.waitSync();
  const begin = performance.now();
  for (const child of children) child.joinSync();
  const seconds = (performance.now() - begin) / 1000;
  const sum = how === 'Value' ? value.value : cells[0];
  if (sum !== 2 * count) throw new Error(`counted ${sum}, not ${2 * count}`);
  return (2 * count) / seconds;
}

export function pong(ping: Event, pong: Event, count: number): void {
  for (let i = 0; i < count; i++) {
    ping.waitSync();
    ping.clear();
    pong.set();
  }
}

async function pingpong(count: number): Promise<number> {
  const [there, back] = [ctx.Event(), ctx.Event()];
  const child = new ctx.Process({ target: pong, args: [there, back, count + 1] });
  await child.start();
  const round = () => {
    there.set();
    back.waitSync();
    back.clear();
  };
  round(); // the child runs now
  const begin = performance.now();
  for (let i = 0; i < count; i++) round();
  const time = ((performance.now() - begin) * 1000) / count;
  await child.join();
  return time;
}

/** Both loops have one body but not one function: V8 compiles each for the arrays that it sees. */
const sumOf = new Function(
  'return (array) => { let sum = 0; for (let i = 0; i < array.length; i++) sum += array[i]; return sum; }',
);

/** The best of some loops over each, in turn. */
function sum(count: number): number[] {
  const arrays = [new Float64Array(count), ctx.RawArray('d', count)].map((array) => ({
    array: array.fill(1),
    add: sumOf() as (array: Float64Array) => number,
    time: Number.POSITIVE_INFINITY,
  }));
  for (let i = 0; i < 5; i++) {
    for (const each of arrays) {
      const begin = performance.now();
      if (each.add(each.array) !== count) throw new Error('a wrong sum');
      each.time = Math.min(each.time, performance.now() - begin);
    }
  }
  return arrays.map(({ time }) => time);
}

export function wakeUp(ready: Event, event: Event, stamps: BigInt64Array, count: number): void {
  for (let i = 0; i < count; i++) {
    ready.waitSync();
    ready.clear();
    stamps[0] = process.hrtime.bigint();
    event.set();
  }
}

async function wake(count: number): Promise<number[]> {
  const [ready, event] = [ctx.Event(), ctx.Event()];
  const stamps = ctx.RawArray('q', 1);
  const child = new ctx.Process({ target: wakeUp, args: [ready, event, stamps, count] });
  await child.start();
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const wait = event.wait();
    ready.set();
    await wait;
    times.push(Number(process.hrtime.bigint() - (stamps[0] as bigint)) / 1000);
    event.clear();
  }
  await child.join();
  return times;
}

/** Half of them wait in the kernel, half in the event loop. Turns count from the moment at which a wait begins. */
export async function takeTurns(
  sync: boolean,
  lock: Lock,
  cells: Int32Array,
  index: number,
  gate: Barrier,
  count: number,
): Promise<void> {
  let begun = -1;
  const native = lock._semlock;
  const { enter } = native;
  native.enter = (...args) => {
    const taken = enter.apply(native, args);
    if (begun < 0) begun = Atomics.load(cells, 0);
    return taken;
  };
  gate.waitSync();
  let longest = 0;
  for (let i = 0; i < count; i++) {
    begun = -1;
    if (sync) lock.acquireSync();
    else await lock.acquire();
    const turn = Atomics.add(cells, 0, 1);
    if (begun >= 0) longest = Math.max(longest, turn - begun);
    lock.release();
  }
  cells[index + 1] = longest;
}

async function turns(count: number): Promise<number[]> {
  const gate = ctx.Barrier(8);
  const lock = ctx.Lock();
  const cells = ctx.RawArray('i', 9);
  const children = Array.from(
    { length: 8 },
    (_, i) =>
      new ctx.Process({ target: takeTurns, args: [i % 2 === 0, lock, cells, i, gate, count] }),
  );
  for (const child of children) await child.start();
  for (const child of children) await child.join();
  return [...cells.subarray(1)];
}

async function answer(what: string, words: string[]): Promise<number | number[]> {
  const count = Number(words.at(-1));
  if (what === 'pair') return pair(words[0] as string, count);
  if (what === 'add') return add(words[0] as string, count);
  if (what === 'pingpong') return pingpong(count);
  if (what === 'sum') return sum(count);
  if (what === 'wake') return wake(count);
  if (what === 'turns') return turns(count);
  throw new Error(`what is ${what}?`);
}

if (mp.isMain(import.meta)) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, ...words] = line.split('\t') as [string, ...string[]];
    console.log([await answer(what, words)].flat().join(' '));
  }
}
