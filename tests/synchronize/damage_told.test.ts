/**
 * Words that cannot be are told: what is damaged, and what to do. D-121.
 */
import { writeSync } from 'node:fs';
import * as mp from 'multiprocessing';
import type { JoinableQueue, Queue } from 'multiprocessing/queues';
import type { Barrier, Condition, SemLock } from 'multiprocessing/synchronize';
import { describe, expect, test } from 'vitest';
import { forms, memoriesOf } from '../support/damage.ts';

type Form = (typeof forms)[number];
type Write = (memory: Int32Array) => void;

function set(words: Record<number, number>): Write {
  return (memory) => {
    for (const [index, value] of Object.entries(words)) memory[Number(index)] = value;
  };
}

/** Writes a number that counts puts, into both of its places. */
function setPuts(field: number, value: number): Write {
  return ({ buffer }) => {
    const numbers = new Float64Array(buffer, 0, 24);
    numbers[8 + field] = value;
    numbers[16 + field] = value;
  };
}

/** Of a queue: where the ring begins, in words, and where the tasks are that are done. */
const RING = 464;
const TASKS_DONE = 201;

const acquire = (form: Form, lock: SemLock) =>
  form === 'sync' ? lock.acquireSync(true, 30) : lock.acquire(true, 30);
const get = (form: Form, queue: Queue) =>
  form === 'sync' ? queue.getSync(true, 30) : queue.get(true, 30);
const put = (form: Form, queue: Queue) =>
  form === 'sync' ? queue.putSync(1, true, 30) : queue.put(1, true, 30);

async function getTwo(form: Form, queue: Queue): Promise<void> {
  expect(await get(form, queue)).toBe('first');
  await get(form, queue);
}

async function notify(form: Form, condition: Condition): Promise<void> {
  if (form === 'sync') condition.acquireSync();
  else await condition.acquire();
  try {
    condition.notify();
  } finally {
    condition.release();
  }
}

function withFirst<Q extends Queue>(queue: Q): Q {
  queue.putSync('first');
  return queue;
}

function taken<L extends SemLock>(lock: L): L {
  lock.acquireSync();
  return lock;
}

type Case<T> = [what: string, make: () => T, write: Write, use: (form: Form, object: T) => unknown];

const locks: Case<SemLock>[] = [
  ['a semaphore below zero', () => mp.Semaphore(1), set({ 0: -1 }), acquire],
  ['the least word for a semaphore', () => mp.Semaphore(1), set({ 0: -(2 ** 31) }), acquire],
  ['a semaphore above its limit', () => mp.BoundedSemaphore(2), set({ 0: 3 }), acquire],
  ['one more than its limit', () => mp.BoundedSemaphore(2), set({ 0: 3 }), (_, s) => s.release()],
  ['an owner that is no thread', () => mp.Lock(), set({ 0: -1 }), acquire],
  ['an owner without an id', () => mp.Lock(), set({ 0: 1 << 22 }), acquire],
  ['more places than there are', () => mp.Lock(), set({ 1: 1, 6: 65 }), acquire],
  ['less places than none', () => mp.RLock(), set({ 1: 1, 6: -1 }), acquire],
  ['a lock held less than once', () => taken(mp.RLock()), set({ 4: -5 }), (_, l) => l.release()],
];

const conditions: Case<Condition>[] = [
  ['less who wait than none', () => mp.Condition(), set({ 5: -1 }), notify],
  ['more who wait than there can be', () => mp.Condition(), set({ 5: 2 ** 31 - 1 }), notify],
  ['a next one who is not there', () => mp.Condition(), set({ 0: 256 }), notify],
];

const me = process.pid;
const barriers: Case<Barrier>[] = [
  [
    'a barrier at which all are and which has not opened',
    () => mp.Barrier(2),
    set({ 67: me, 68: me }),
    (form, barrier) => (form === 'sync' ? barrier.waitSync(30) : barrier.wait(30)),
  ],
];

const queues: Case<Queue>[] = [
  ['more puts than items', () => withFirst(mp.Queue()), setPuts(1, 9), getTwo],
  ['less puts than gets', () => withFirst(mp.Queue()), setPuts(1, -1), (_, q) => q.qsize()],
  ['more items than its size', () => withFirst(mp.Queue(2)), setPuts(1, 9), put],
  ['an end of the ring that is no number', () => mp.Queue(), setPuts(0, Number.NaN), get],
  ['an end of the ring that is beyond', () => mp.Queue(), setPuts(0, 2 ** 40), get],
  ['an end of the ring before its begin', () => mp.Queue(), setPuts(0, -8), put],
  ['a record that leaves the ring', () => withFirst(mp.Queue()), set({ [RING]: 2 ** 30 }), get],
  ['a record of less than nothing', () => withFirst(mp.Queue()), set({ [RING]: -8 }), get],
  ['a record of no kind', () => withFirst(mp.Queue()), set({ [RING + 1]: 9 }), get],
  ['an overflow that is not there', () => mp.Queue(), setPuts(3, 2 ** 30), put],
  ['an overflow that ends within a record', () => mp.Queue(), setPuts(3, 13), put],
  [
    'more tasks done than put',
    () => withFirst(mp.JoinableQueue()),
    set({ [TASKS_DONE]: 9 }),
    (_, queue) => (queue as JoinableQueue).taskDone(),
  ],
];

async function checkTold<T extends object>(form: Form, [, make, write, use]: Case<T>) {
  const object = make();
  write(memoriesOf(object)[0] as Int32Array);
  const kind = object.constructor.name.replace('JoinableQueue', 'Queue');
  const call = async () => use(form, object);
  await expect(call()).rejects.toMatchObject({
    name: 'RuntimeError',
    message:
      `the memory of this ${kind} is damaged: nothing of it can be trusted any more;` +
      ' make a new one and end the processes that use it',
  });
  if ('close' in object) (object as unknown as Queue).close();
}

describe.each(forms)('what is damaged is told (%s)', (form) => {
  test.each(locks)('%s is told', async (...each) => checkTold(form, each));
  test.each(conditions)('%s is told', async (...each) => checkTold(form, each));
  test.each(barriers)('%s is told', async (...each) => checkTold(form, each));
  test.each(queues)('%s is told', async (...each) => checkTold(form, each));
});

/** Where the record of a large item has the numbers that say where it stands. */
const PLACE = RING / 2 + 1;
const HUGE = 2 ** 36;

const lengths: [string, (numbers: Float64Array, fd: number) => void][] = [
  ['of the message', (numbers) => numbers.fill(HUGE, PLACE + 1, PLACE + 2)],
  ['of the list of arrays', (numbers) => numbers.fill(HUGE, PLACE + 2, PLACE + 3)],
  ['of an array', (_, fd) => void writeSync(fd, new Float64Array([HUGE]), 0, 8, 0)],
  [
    'of a message in the file',
    (numbers) => {
      numbers.fill(HUGE, PLACE + 1, PLACE + 2);
      numbers.fill(2 * HUGE, PLACE + 3, PLACE + 4);
      for (const tail of [8 + 4, 16 + 4]) numbers[tail] = 2 * HUGE;
    },
  ],
];

test.each(lengths)('a length that is not there takes no memory: %s', async (_, write) => {
  for (const form of forms) {
    const queue = mp.Queue();
    queue.putSync(new Uint8Array(70_000));
    const [memory] = memoriesOf(queue) as [Int32Array];
    write(new Float64Array(memory.buffer, 0, 400), (queue as unknown as { _fd: number })._fd);
    await expect((async () => get(form, queue))()).rejects.toThrow('this Queue is damaged');
    queue.close();
  }
});
