/**
 * getReusableExecutor(): one executor for a whole program.
 */
import {
  BrokenProcessPool,
  getReusableExecutor,
  type ProcessPoolExecutor,
  type ReusableExecutorOptions,
} from 'multiprocessing/futures';
import { afterEach, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

forEachStartMethod((ctx) => {
  const made = new Set<ProcessPoolExecutor>();
  const get = (options: ReusableExecutorOptions = {}) => {
    const executor = getReusableExecutor({ maxWorkers: 2, mpContext: ctx, ...options });
    made.add(executor);
    return executor;
  };
  const pids = (executor: ProcessPoolExecutor) => executor.stats().workers.map(({ pid }) => pid);
  afterEach(async () => {
    for (const executor of made) {
      executor.killWorkers();
      await executor.shutdown();
    }
    made.clear();
  });

  test('the same options give the same executor, with its workers', async () => {
    const first = get();
    const pid = await first.submit(targets.pid);
    expect(get()).toBe(first);
    expect(await get().submit(targets.pid)).toBe(pid);
  });

  test('other options give a new one, and the old one does what it has', async () => {
    const first = get({ initializer: targets.begin, initargs: [1n, { a: [1] }] });
    const pending = first.submit(targets.squareLater, 3);
    expect(get({ initializer: targets.begin, initargs: [1n, { a: [1] }] })).toBe(first);
    const others = [{ initargs: [2n, { a: [1] }] }, { timeout: 5 }, { concurrency: 2 }].map(
      (more) => get({ initializer: targets.begin, initargs: [1n, { a: [1] }], ...more }),
    );
    expect(new Set([first, ...others]).size).toBe(4);
    expect(await pending).toBe(9);
    expect(() => first.submit(targets.square, 1)).toThrow(/after shutdown/);
  });

  test('it is made anew when it was shut down, and when it is broken', async () => {
    const first = get();
    await first.shutdown();
    const second = get();
    expect(second).not.toBe(first);
    await expect(second.submit(targets.behave, 'killed')).rejects.toThrow(BrokenProcessPool);
    expect(await get().submit(targets.square, 4)).toBe(16);
  });

  test('it is resized', async () => {
    const executor = get({ maxWorkers: 1 });
    await executor.submit(targets.square, 1);
    expect(pids(executor).length).toBe(1);
    expect(get({ maxWorkers: 3 })).toBe(executor);
    const many = Array.from({ length: 30 }, () => executor.submit(targets.squareLater, 2));
    await expect.poll(() => pids(executor).length, { timeout: 60_000 }).toBe(3);
    await Promise.all(many);
    expect(get({ maxWorkers: 1 })).toBe(executor);
    await expect.poll(() => pids(executor).length, { timeout: 60_000 }).toBe(1);
    expect(await executor.submit(targets.square, 5)).toBe(25);
  });

  test('idle workers leave after the timeout, and the next call finds another one', async () => {
    const executor = get({ timeout: 0.05 });
    const first = await executor.submit(targets.pid);
    await expect.poll(() => pids(executor), { timeout: 60_000 }).toEqual([]);
    expect(get({ timeout: 0.05 })).toBe(executor);
    expect(await executor.submit(targets.pid)).not.toBe(first);
  });
});
