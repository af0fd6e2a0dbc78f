/**
 * Writing into the memory that objects share, and what they may say to that.
 */
import * as mp from 'multiprocessing';
import type { JoinableQueue, Queue, SimpleQueue } from 'multiprocessing/queues';
import type { Barrier, Condition, Event, SemLock } from 'multiprocessing/synchronize';
import type { Form } from '../fixtures/dist/synchronize_targets.js';

export const forms = ['sync', 'async'] as const;

interface Memory {
  buffer: ArrayBuffer;
}

export interface NativeLock {
  state: { memory: Memory; members: Memory };
}

/** What objects hold inside, by which their memory is found. */
export interface Insides {
  _semlock?: NativeLock;
  _lock?: { _semlock: NativeLock };
  _waits?: { state?: { memory: Memory } };
  _phases?: { state: { memory: Memory } };
  _memory?: Memory;
  _channel?: { memory: Memory; putLock: NativeLock; getLock: NativeLock };
}

/** Of a queue's memory, the words before the ring and the first of the ring. */
const QUEUE_WORDS = 520;

/** The memory of an object: its own first, then that of the locks that it has. */
export function memoriesOf(object: object): Int32Array[] {
  const inner = object as Insides;
  const memories = [
    inner._waits?.state?.memory ?? inner._phases?.state.memory ?? inner._memory,
    inner._channel?.memory,
    inner._semlock?.state.memory,
    inner._lock?._semlock.state.memory,
    inner._channel?.putLock.state.memory,
    inner._channel?.getLock.state.memory,
  ];
  return memories
    .filter((memory) => memory !== undefined)
    .map(({ buffer }) => {
      return new Int32Array(buffer, 0, Math.min(buffer.byteLength >>> 2, QUEUE_WORDS));
    });
}

/** What is written into a word, of so many. */
export function valuesFor(size: number): number[] {
  return [0, 1, -1, 0x7fffffff, -0x80000000, size, size + 1];
}

/** Numbers of a queue are of 64 bits. */
export const DOUBLES = [Number.NaN, Infinity, -1, 0.5, 1, 2 ** 18, 2 ** 18 + 8, 2 ** 52, 1e300];

const DAMAGED =
  /^the memory of this \w+ is damaged: nothing of it can be trusted any more; make a new one and end the processes that use it$/;
const ORDINARY = [
  'Empty',
  'Full',
  'BrokenBarrierError',
  'ValueError', // released, or done, too many times
  'AssertionError', // a lock that another one has
  'UnpicklingError', // an item that cannot be made again
];

/** What is wrong with an error, in words; undefined if it may be. */
export function complain(error: unknown): string | undefined {
  const { name, message } = error as Error;
  if (ORDINARY.includes(name)) return undefined;
  if (name === 'RuntimeError' && DAMAGED.test(message)) return undefined;
  return `${name}: ${message}`;
}

type Call = (form: Form) => unknown;

export interface Kind {
  readonly name: string;
  make(): object;
  /** Calls that end within a millisecond or so, all that the object has. */
  calls(object: never): Call[];
}

const T = 0.001;

function lockCalls(lock: SemLock | Condition): Call[] {
  return [
    (form) => (form === 'sync' ? lock.acquireSync(true, T) : lock.acquire(true, T)),
    () => lock.release(),
    (form) => (form === 'sync' ? lock.acquireSync(false) : lock.acquire(false)),
    () => String(lock),
  ];
}

function conditionCalls(condition: Condition): Call[] {
  const held = (act: Call): Call => {
    return async (form) => {
      if (!condition.acquireSync(true, T)) return;
      try {
        await act(form);
      } finally {
        condition.release();
      }
    };
  };
  return [
    held((form) => (form === 'sync' ? condition.waitSync(T) : condition.wait(T))),
    held(() => condition.notify()),
    held(() => condition.notifyAll()),
    ...lockCalls(condition),
  ];
}

function queueCalls(queue: Queue): Call[] {
  return [
    (form) => (form === 'sync' ? queue.putSync('item', true, T) : queue.put('item', true, T)),
    (form) => (form === 'sync' ? queue.putSync(large, true, T) : queue.put(large, true, T)),
    (form) => (form === 'sync' ? queue.getSync(true, T) : queue.get(true, T)),
    () => [queue.qsize(), queue.empty(), queue.full()],
    (form) => (form === 'sync' ? queue.getSync(true, T) : queue.get(true, T)),
    () => queue.putNowait(1),
    () => queue.getNowait(),
  ];
}

const large = new Uint8Array(70_000);

function filled<Q extends Queue>(queue: Q): Q {
  queue.putSync('first');
  return queue;
}

export const kinds: Kind[] = [
  { name: 'Lock', make: () => mp.Lock(), calls: lockCalls },
  { name: 'RLock', make: () => mp.RLock(), calls: lockCalls },
  { name: 'Semaphore', make: () => mp.Semaphore(2), calls: lockCalls },
  { name: 'BoundedSemaphore', make: () => mp.BoundedSemaphore(2), calls: lockCalls },
  { name: 'Condition', make: () => mp.Condition(), calls: conditionCalls },
  {
    name: 'Event',
    make: () => mp.Event(),
    calls: (event: Event): Call[] => [
      (form) => (form === 'sync' ? event.waitSync(T) : event.wait(T)),
      () => event.set(),
      () => event.clear(),
      () => String(event),
    ],
  },
  {
    name: 'Barrier',
    make: () => mp.Barrier(2),
    calls: (barrier: Barrier): Call[] => [
      (form) => (form === 'sync' ? barrier.waitSync(T) : barrier.wait(T)),
      () => String(barrier),
    ],
  },
  { name: 'Queue', make: () => filled(mp.Queue()), calls: queueCalls },
  { name: 'Queue with a maxsize', make: () => filled(mp.Queue(2)), calls: queueCalls },
  {
    name: 'JoinableQueue',
    make: () => filled(mp.JoinableQueue()),
    calls: (queue: JoinableQueue): Call[] => [
      ...queueCalls(queue),
      (form) => (form === 'sync' ? queue.joinSync(T) : queue.join(T)),
      () => queue.taskDone(),
    ],
  },
  {
    name: 'SimpleQueue',
    make: () => mp.SimpleQueue(),
    calls: (queue: SimpleQueue): Call[] => [() => queue.empty()],
  },
];
