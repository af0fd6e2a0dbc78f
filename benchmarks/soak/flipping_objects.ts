/**
 * What flipping.ts shares, and how it writes into the memory of that.
 */
import { writeSync } from 'node:fs';
import type * as mp from 'multiprocessing';
import type { JoinableQueue, Queue, SimpleQueue } from 'multiprocessing/queues';
import type { Synchronized, SynchronizedString } from 'multiprocessing/sharedctypes';
import type {
  Barrier,
  BoundedSemaphore,
  Condition,
  Event,
  Lock,
  RLock,
  Semaphore,
} from 'multiprocessing/synchronize';
import type { Insides as InsidesOfAny, NativeLock } from '../../tests/support/damage.ts';

export type Shared =
  | { kind: 'Lock'; object: Lock }
  | { kind: 'RLock'; object: RLock }
  | { kind: 'Semaphore'; object: Semaphore | BoundedSemaphore }
  | { kind: 'Condition'; object: Condition }
  | { kind: 'Event'; object: Event }
  | { kind: 'Barrier'; object: Barrier }
  | { kind: 'Queue'; object: Queue }
  | { kind: 'JoinableQueue'; object: JoinableQueue }
  | { kind: 'SimpleQueue'; object: SimpleQueue }
  | { kind: 'Value'; object: Synchronized<number> }
  | { kind: 'Array'; object: SynchronizedString };

type Context = mp.ForkServerContext;

const MAKERS: ((ctx: Context) => Shared)[] = [
  (ctx) => ({ kind: 'Lock', object: ctx.Lock() }),
  (ctx) => ({ kind: 'RLock', object: ctx.RLock() }),
  (ctx) => ({ kind: 'Semaphore', object: ctx.Semaphore(1) }),
  (ctx) => ({ kind: 'Semaphore', object: ctx.BoundedSemaphore(2) }),
  (ctx) => ({ kind: 'Condition', object: ctx.Condition() }),
  (ctx) => ({ kind: 'Condition', object: ctx.Condition(ctx.Lock()) }),
  (ctx) => ({ kind: 'Event', object: ctx.Event() }),
  (ctx) => ({ kind: 'Barrier', object: ctx.Barrier(2) }),
  (ctx) => ({ kind: 'Queue', object: ctx.Queue() }),
  (ctx) => ({ kind: 'Queue', object: ctx.Queue(2) }),
  (ctx) => ({ kind: 'JoinableQueue', object: ctx.JoinableQueue() }),
  (ctx) => ({ kind: 'SimpleQueue', object: ctx.SimpleQueue() }),
  (ctx) => ({ kind: 'Value', object: ctx.Value('i', 0) }),
  (ctx) => ({ kind: 'Array', object: ctx.Array('c', 16) as SynchronizedString }),
];

export function makeObject(ctx: Context, index: number): Shared {
  return (MAKERS[index % MAKERS.length] as (typeof MAKERS)[number])(ctx);
}

/** Values and arrays with a lock have these. */
interface Insides extends InsidesOfAny {
  getLock?: () => { _semlock: NativeLock };
  getObj?: () => unknown;
}

/** All shared memory of an object. */
export function wordsOf({ object }: Shared): Int32Array[] {
  const inner = object as unknown as Insides;
  const locks = [
    inner._semlock,
    inner._lock?._semlock,
    inner.getLock?.()._semlock,
    inner._channel?.putLock,
    inner._channel?.getLock,
  ];
  const memories = [
    ...locks.map((lock) => lock?.state.memory),
    inner._waits?.state?.memory,
    inner._phases?.state.memory,
    inner._memory,
    inner._channel?.memory,
  ];
  return memories
    .filter((memory) => memory !== undefined)
    .map(({ buffer }) => new Int32Array(buffer, 0, buffer.byteLength >>> 2));
}

/** The table in which all of a program look up whom they wake. */
function membersOf({ object }: Shared): Int32Array | undefined {
  const inner = object as unknown as Insides;
  const lock = inner._semlock ?? inner._lock?._semlock ?? inner._channel?.putLock;
  return lock && new Int32Array(lock.state.members.buffer);
}

const pick = <T>(random: () => number, from: ArrayLike<T>): T =>
  from[Math.floor(random() * from.length)] as T;

/** One of the values at which something may break. */
function anyWord(random: () => number, before: number, size: number): number {
  const bit = 1 << Math.floor(random() * 32);
  const any = Math.floor(random() * 2 ** 32);
  return pick(random, [0, 1, -1, 0x7fffffff, -0x80000000, size, size + 1, before ^ bit, any]) | 0;
}

const DOUBLES = [Number.NaN, Infinity, -Infinity, -1, 0.5, 1, 7, 2 ** 18, 2 ** 40, 2 ** 53, 1e300];

/** Words at which most of what counts stands; behind them come a queue's ring, and tables. */
const HEAD = 100;

/** Writes something somewhere. @returns takes back what other objects would suffer from, too */
export function flip(shared: Shared, random: () => number): () => void {
  const members = random() < 0.03 ? membersOf(shared) : undefined;
  const words = members ?? pick(random, wordsOf(shared));
  const { kind, object } = shared;
  if (kind.endsWith('Queue') && random() < 0.1) {
    const position = random() < 0.8 ? 0 : 2 ** 45 + 36 * 2 ** 20;
    const at = position + 4 * Math.floor(random() * 16);
    writeSync((object as unknown as { _fd: number })._fd, anyBytes(random), 0, 8, at);
  }
  if (words.length > 4096 && random() < 0.5) {
    const doubles = new Float64Array(words.buffer, 0, HEAD / 2);
    doubles[Math.floor(random() * doubles.length)] = pick(random, DOUBLES);
    return () => {};
  }
  const length = random() < 0.7 ? Math.min(HEAD, words.length) : words.length;
  const index = Math.floor(random() * length);
  const before = words[index] as number;
  words[index] = anyWord(random, before, pick(random, [length, 2, 64, 256, 1024]));
  return members === undefined ? () => {} : () => (members[index] = before);
}

function anyBytes(random: () => number): Uint8Array {
  return new Uint8Array(Float64Array.of(pick(random, DOUBLES)).buffer);
}
