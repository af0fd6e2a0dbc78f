/**
 * What a SyncManager has for others, used by this process and by a child, under every start method.
 */
import * as mp from 'multiprocessing';
import { KeyError, type SyncManager } from 'multiprocessing/managers';
import { Empty, Full } from 'multiprocessing/queues';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/manager_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod((ctx) => {
  let manager: SyncManager;

  beforeAll(async () => {
    manager = await ctx.Manager();
    expect(await manager.numberOfObjects()).toBe(0);
  });
  afterAll(async () => {
    await manager.shutdown();
  });

  async function inChild<A extends unknown[]>(target: (...args: A) => unknown, ...args: A) {
    const p = new ctx.Process({ target: target as () => unknown, args: args as unknown as [] });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
  }

  test('the notes: a list and a dict that two processes share', async () => {
    const list = await manager.list<number>();
    const dict = await manager.dict<string, number>();
    for (const i of [0, 1]) await inChild(targets.addTo, list, dict, i);
    expect(`Shared List: ${list}`).toBe('Shared List: [0, 1]');
    expect(`Shared Dict: ${dict}`).toBe("Shared Dict: {'key0': 0, 'key1': 10}");
  });

  test('an event', async () => {
    const event = await manager.Event();
    await event.set();
    await inChild(targets.useEvent, event);
    expect(await event.isSet()).toBe(false);
    expect(await event.wait(0.001)).toBe(false);
  });

  test('a lock that a child has taken is free when that has ended', async () => {
    const lock = await manager.Lock();
    await inChild(targets.useLock, lock);
    expect(await lock.acquire(true, 10)).toBe(true);
    expect(lock.lockedSync()).toBe(true);
    await lock.release();
    await expect(lock.release()).rejects.toThrow(mp.RuntimeError);
    expect(() => lock.releaseSync()).toThrow('release unlocked lock');
  });

  test('an rlock', async () => {
    const lock = await manager.RLock();
    await inChild(targets.useRLock, lock);
    expect(await lock.acquire()).toBe(true);
    expect(lock.acquireSync()).toBe(true);
    await lock.release();
    lock.releaseSync();
    await expect(lock.release()).rejects.toThrow('cannot release un-acquired lock');
  });

  test('a semaphore keeps what a child took that has ended', async () => {
    const semaphore = await manager.Semaphore(2);
    await inChild(targets.useSemaphore, semaphore);
    expect(await semaphore.acquire(false)).toBe(true);
    expect(await semaphore.acquire(true, 0.01)).toBe(false);
    await semaphore.release();
    await semaphore.release();
    await semaphore.release();
  });

  test('a bounded semaphore', async () => {
    const semaphore = await manager.BoundedSemaphore(1);
    await inChild(targets.useSemaphore, semaphore);
    expect(await semaphore.acquire(false)).toBe(false);
    await semaphore.release();
    await expect(semaphore.release()).rejects.toThrow(mp.ValueError);
  });

  test('a condition', async () => {
    const condition = await manager.Condition();
    await inChild(targets.useCondition, condition);
    await expect(condition.notify()).rejects.toThrow(mp.RuntimeError);
    await condition.acquire();
    expect(await condition.wait(0.001)).toBe(false);
    const waited = condition.wait();
    await condition.acquire();
    await condition.notifyAll();
    await condition.release();
    expect(await waited).toBe(true);
    let asked = 0;
    expect(await condition.waitFor(() => ++asked > 1, 0.001)).toBe(true);
    await condition.release();
  });

  test('a barrier', async () => {
    const barrier = await manager.Barrier(5);
    await inChild(targets.useBarrier, barrier);
    const places = await Promise.all(Array.from({ length: 5 }, () => barrier.wait()));
    expect(places.sort()).toEqual([0, 1, 2, 3, 4]);
    const broken = barrier.wait();
    await barrier.abort();
    await expect(broken).rejects.toThrow(mp.BrokenBarrierError);
    expect(barrier.broken).toBe(true);
    expect(barrier.nWaiting).toBe(0);
  });

  test('a pool in the manager', async () => {
    const pool = await manager.Pool(2);
    await inChild(targets.usePool, pool);
    await pool.close();
    await pool.join();
  });

  test('a queue', async () => {
    const queue = await manager.Queue<number>(2);
    await queue.put(5);
    queue.putSync(6);
    await expect(queue.putNowait(7)).rejects.toThrow(Full);
    await inChild(targets.useQueue, queue);
    expect(await queue.empty()).toBe(true);
    await expect(queue.get(true, 0.01)).rejects.toThrow(Empty);
    expect(() => queue.getNowaitSync()).toThrow(Empty);
  });

  test('a joinable queue', async () => {
    const queue = await manager.JoinableQueue<number>(2);
    await queue.put(5);
    await queue.put(6);
    await inChild(targets.useQueue, queue);
    const joined = queue.join();
    await queue.taskDone();
    await queue.taskDone();
    await joined;
    await expect(queue.taskDone()).rejects.toThrow('task_done() called too many times');
  });

  test('a list of the manager in a child', async () => {
    const list = await manager.list<number>();
    await list.append(5);
    await inChild(targets.useList, list);
    expect(await list.len()).toBe(0);
  });

  test('a dict of the manager in a child', async () => {
    const dict = await manager.dict<string, number>();
    await dict.setItem('foo', 5);
    await inChild(targets.useDict, dict);
    expect(await dict.len()).toBe(0);
    await expect(dict.getItem('foo')).rejects.toThrow(KeyError);
  });

  test('a value', async () => {
    const value = await manager.Value('i', 1);
    await inChild(targets.useValue, value);
    expect(value.value).toBe(2);
    expect(await value.get()).toBe(2);
    expect(String(value)).toBe("Value('i', 2)");
  });

  test('an array', async () => {
    const array = await manager.Array('i', [0, 1]);
    await inChild(targets.useArray, array);
    await array.setItem(1, 7);
    expect(String(array)).toBe("array('i', [0, 7])");
    await expect(array.setItem(0, 2 ** 40)).rejects.toThrow(mp.ValueError);
    await expect(array.getItem(2)).rejects.toThrow(RangeError);
  });

  test('a namespace in a child', async () => {
    const ns = await manager.Namespace<{ x: number; y: number }>({ x: 0 });
    await ns.setAttr('y', 1);
    await inChild(targets.useNamespace, ns);
  });

  test('sizes that are none are refused', async () => {
    for (const size of ['a', 1.5, Number.NaN] as never[]) {
      await expect(manager.Queue(size)).rejects.toThrow(/maxsize must be a whole number/);
      await expect(manager.Semaphore(size)).rejects.toThrow(/value must be a whole number/);
    }
    await expect(manager.BoundedSemaphore(-1)).rejects.toThrow(mp.ValueError);
  });

  test('options in the place of block are refused', async () => {
    const options = { timeout: 1 } as never;
    const queue = await manager.Queue(1);
    const block = /^block must be true or false/;
    await expect(queue.get(options)).rejects.toThrow(block);
    await expect(queue.put(1, options)).rejects.toThrow(block);
    await expect((await manager.Lock()).acquire(options)).rejects.toThrow(block);
    await expect((await manager.Semaphore(1)).acquire(options)).rejects.toThrow(block);
  });
});
