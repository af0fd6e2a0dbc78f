/**
 * What the processes of flipping.ts do with an object, and which ends that may have.
 */
import type { JoinableQueue, Queue, SimpleQueue } from 'multiprocessing/queues';
import type { Barrier, Condition, Event, SemLock } from 'multiprocessing/synchronize';
import type { Shared } from './flipping_objects.ts';

/** How a call ended: what it says of itself, or its error. With a `!` in front, if that may not be. */
interface Use {
  readonly end: string;
  /** Whether it is to be over within its timeout. */
  readonly isTimed: boolean;
}

type Random = () => number;
type Call = () => unknown;

/** Errors that objects have when others have used them wrongly, too. */
const ORDINARY = [
  'Empty',
  'Full',
  'BrokenBarrierError',
  'ValueError',
  'AssertionError',
  'EOFError', // a call without a timeout, when nobody else seems to live
];
/** A damaged item is one that cannot be made again. */
const OF_ITEMS = ['UnpicklingError'];

function endOf(error: unknown): string {
  if (!(error instanceof Error)) return `! threw ${String(error)}`;
  const { name, message } = error;
  if (name === 'RuntimeError' && / is damaged: nothing of it can be trusted/.test(message)) {
    return 'damaged';
  }
  // The tables of those who wait are full of such as are none.
  if (name === 'RuntimeError' && /^more than \d+ threads wait/.test(message)) return 'crowded';
  if (ORDINARY.includes(name) || OF_ITEMS.includes(name)) return name;
  return `! ${error.stack}`;
}

/** Uses an object once, with a timeout where the call has one. */
export async function use(shared: Shared, random: Random): Promise<Use> {
  const sync = random() < 0.5;
  const timeout = Math.floor(random() * 4) / 1000;
  const isTimed = shared.kind !== 'Condition' && shared.kind !== 'SimpleQueue';
  try {
    const result = await callOf(shared, sync, timeout, random)();
    return { end: result === false ? 'false' : 'done', isTimed };
  } catch (error) {
    return { end: endOf(error), isTimed };
  }
}

function callOf(shared: Shared, sync: boolean, timeout: number, random: Random): Call {
  switch (shared.kind) {
    case 'Condition':
      return () => useCondition(shared.object, sync, timeout, random);
    case 'Event':
      return useEvent(shared.object, sync, timeout, random);
    case 'Barrier':
      return useBarrier(shared.object, sync, timeout);
    case 'Queue':
      return useQueue(shared.object, sync, timeout, random);
    case 'JoinableQueue':
      return useJoinable(shared.object, sync, timeout, random);
    case 'SimpleQueue':
      return useSimple(shared.object, sync, random);
    case 'Value':
      return () =>
        locked(shared.object.getLock(), sync, timeout, () => {
          shared.object.value = (shared.object.value + 1) | 0;
        });
    case 'Array':
      return () =>
        locked(shared.object.getLock(), sync, timeout, () => {
          shared.object.value = Buffer.from(shared.object.value).reverse();
        });
    default:
      return () => locked(shared.object, sync, timeout, () => String(shared.object));
  }
}

type Lockable = Pick<SemLock, 'acquire' | 'acquireSync' | 'release'>;

async function locked(lock: Lockable, sync: boolean, timeout: number, inside: Call) {
  const taken = sync ? lock.acquireSync(true, timeout) : await lock.acquire(true, timeout);
  if (!taken) return false;
  try {
    return await inside();
  } finally {
    lock.release();
  }
}

function useCondition(condition: Condition, sync: boolean, timeout: number, random: Random) {
  const notifies = random() < 0.5;
  return locked(condition, sync, timeout, () => {
    if (notifies) return condition.notifyAll();
    return sync ? condition.waitSync(timeout) : condition.wait(timeout);
  });
}

function useEvent(event: Event, sync: boolean, timeout: number, random: Random): Call {
  const what = random();
  if (what < 0.2) return () => event.set();
  if (what < 0.4) return () => event.clear();
  return () => (sync ? event.waitSync(timeout) : event.wait(timeout));
}

function useBarrier(barrier: Barrier, sync: boolean, timeout: number): Call {
  return () => (sync ? barrier.waitSync(timeout) : barrier.wait(timeout));
}

const text = 'x'.repeat(20_000);
const items: unknown[] = [1, 'two', { three: [3] }, text, new Float64Array(20_000)];

function useQueue(queue: Queue, sync: boolean, timeout: number, random: Random): Call {
  const what = random();
  const item = items[Math.floor(random() * items.length)];
  const [block, few] = [random() < 0.7, Math.ceil(random() * 3)];
  if (what < 0.1) return () => [queue.qsize(), queue.empty(), queue.full()];
  if (what < 0.12) return () => burst(queue, timeout);
  if (what < 0.5) {
    return async () => {
      for (let i = 0; i < few; i++) {
        if (sync) queue.putSync(item, block, timeout);
        else await queue.put(item, block, timeout);
      }
    };
  }
  return () => (sync ? queue.getSync(block, timeout) : queue.get(block, timeout));
}

/** So much that some goes beyond the ring. */
function burst(queue: Queue, timeout: number): void {
  for (let i = 0; i < 30; i++) queue.putSync(text.slice(0, 15_000), true, timeout);
}

function useJoinable(queue: JoinableQueue, sync: boolean, timeout: number, random: Random): Call {
  const what = random();
  if (what < 0.2) return () => queue.taskDone();
  if (what < 0.4) return () => (sync ? queue.joinSync(timeout) : queue.join(timeout));
  return useQueue(queue, sync, timeout, random);
}

function useSimple(queue: SimpleQueue, sync: boolean, random: Random): Call {
  if (random() < 0.5) return () => (sync ? queue.putSync('item') : queue.put('item'));
  // There is no timeout: nothing may be got that is not there.
  return () => queue.empty() || (sync ? queue.getSync() : queue.get());
}
