/**
 * wait() and asCompleted() over the futures of an executor, and over others.
 */
import * as mp from 'multiprocessing';
import {
  ALL_COMPLETED,
  asCompleted,
  FIRST_COMPLETED,
  FIRST_EXCEPTION,
  Future,
  ProcessPoolExecutor,
  type ReturnWhen,
  wait,
  waitSync,
} from 'multiprocessing/futures';
import type { Semaphore } from 'multiprocessing/synchronize';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { collectUntil } from '../support/garbage.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const pending = () => new Future<unknown>();

function cancelled(): Future<unknown> {
  const future = pending();
  future.cancel();
  return future;
}

function failed(): Future<unknown> {
  const future = pending();
  future.setException(new RangeError('no'));
  return future;
}

function succeeded(value: unknown = 42): Future<unknown> {
  const future = pending();
  future.setResult(value);
  return future;
}

forEachStartMethod((ctx) => {
  let executor: ProcessPoolExecutor;
  let gate: Semaphore;
  beforeEach(() => {
    gate = ctx.Semaphore(0);
    executor = new ProcessPoolExecutor({
      maxWorkers: 2,
      mpContext: ctx,
      initializer: targets.begin,
      initargs: [gate],
    });
  });
  afterEach(async () => {
    executor.killWorkers();
    await executor.shutdown();
  });
  const square = (x: number): Future<unknown> => executor.submit(targets.square, x);
  const fails = (): Future<unknown> => executor.submit(targets.fail, 1);
  /** One that goes on until the gate is opened. */
  const held = (): Future<unknown> => executor.submit(targets.acquireBegun);

  test('wait: the same future twice is one', async () => {
    const future = square(2);
    const { done, notDone } = await wait([future, future], { returnWhen: ALL_COMPLETED });
    expect([done, notDone]).toEqual([new Set([future]), new Set()]);
  });

  test('wait: the first that is done', async () => {
    const [first, second] = [square(3), held()];
    const { done, notDone } = await wait([first, second], { returnWhen: FIRST_COMPLETED });
    expect([done, notDone]).toEqual([new Set([first]), new Set([second])]);
    gate.release();
    expect((await wait([first, second])).notDone.size).toBe(0);
  });

  test('wait: some are done before', async () => {
    const [old, gone, running] = [succeeded(), cancelled(), held()];
    const { done, notDone } = await wait([gone, old, running], { returnWhen: FIRST_COMPLETED });
    expect([done, notDone]).toEqual([new Set([gone, old]), new Set([running])]);
  });

  test('wait: the first that fails', async () => {
    const [good, bad, running] = [square(2), fails(), held()];
    const { done, notDone } = await wait([good, bad, running], { returnWhen: FIRST_EXCEPTION });
    expect(done.has(bad)).toBe(true);
    expect(notDone.has(running)).toBe(true);
  });

  test('wait: the first that fails, among some that are done', async () => {
    const [bad, running, old, gone] = [fails(), held(), succeeded(), cancelled()];
    const { done, notDone } = await wait([old, gone, bad, running], {
      returnWhen: FIRST_EXCEPTION,
    });
    expect([done, notDone]).toEqual([new Set([old, gone, bad]), new Set([running])]);
  });

  test('wait: one that has failed before', async () => {
    const [bad, running] = [failed(), held()];
    const { done, notDone } = await wait([bad, running], { returnWhen: FIRST_EXCEPTION });
    expect([done, notDone]).toEqual([new Set([bad]), new Set([running])]);
  });

  test('wait: all of them', async () => {
    const all = [succeeded(), cancelled(), failed(), fails(), square(4)];
    const { done, notDone } = await wait(all, { returnWhen: ALL_COMPLETED });
    expect([done, notDone]).toEqual([new Set(all), new Set()]);
  });

  test('wait: until the time is over', async () => {
    const [old, running] = [succeeded(), held()];
    const begin = performance.now();
    const { done, notDone } = await wait([old, running], { timeout: 0.05 });
    expect(performance.now() - begin).toBeGreaterThan(45);
    expect([done, notDone]).toEqual([new Set([old]), new Set([running])]);
  });

  test('wait: a hundred futures at once', async () => {
    const all = Array.from({ length: 100 }, held);
    for (let i = 0; i < 100; i++) gate.release();
    expect((await wait(all)).done.size).toBe(100);
  });

  test('waitSync', () => {
    const [good, bad, running] = [square(2), fails(), held()];
    const first = waitSync([good, bad, running], { returnWhen: FIRST_EXCEPTION });
    expect(first.done.has(bad)).toBe(true);
    expect(waitSync([running], { timeout: 0.02 }).notDone).toEqual(new Set([running]));
    gate.release();
    expect(waitSync([good, bad, running]).done.size).toBe(3);
  });

  test('asCompleted: gives each as it is done', async () => {
    const old = [cancelled(), failed(), succeeded()];
    const own = [square(2), square(3)];
    const seen: Future<unknown>[] = [];
    for await (const future of asCompleted([...own, ...old])) seen.push(future);
    expect(new Set(seen.slice(0, 3))).toEqual(new Set(old));
    expect(new Set(seen.slice(3))).toEqual(new Set(own));
  });

  test.each([0, 0.05])('asCompleted: %s seconds', async (timeout) => {
    const old = [cancelled(), failed(), succeeded()];
    const seen: Future<unknown>[] = [];
    const all = async () => {
      for await (const future of asCompleted([...old, held()], timeout)) seen.push(future);
    };
    await expect(all()).rejects.toThrow(new mp.TimeoutError('1 (of 4) futures unfinished'));
    expect(seen).toEqual(old);
  });

  test('asCompleted: the same future three times is one, from any iterable', async () => {
    const future = square(5);
    function* thrice() {
      yield future;
      yield future;
      yield future;
    }
    let count = 0;
    for await (const _ of asCompleted(thrice())) count++;
    expect(count).toBe(1);
  });

  test('asCompleted: blocking', () => {
    const all = [square(2), fails(), square(3)];
    const running = held();
    expect(new Set(asCompleted(all))).toEqual(new Set(all));
    expect(() => [...asCompleted([...all, running], 0.02)]).toThrow(
      new mp.TimeoutError('1 (of 4) futures unfinished'),
    );
    gate.release();
    expect([...asCompleted([running])]).toEqual([running]);
  });

  test('futures of two executors together, blocking', () => {
    const other = new ProcessPoolExecutor({ maxWorkers: 1, mpContext: ctx });
    const both = [square(2), other.submit(targets.square, 3) as Future<unknown>];
    expect([...waitSync(both).done].map((future) => future.resultSync())).toEqual([4, 9]);
    expect(new Set(asCompleted(both))).toEqual(new Set(both));
    other.shutdownSync();
  });
});

describe('without an executor', () => {
  test('nothing to wait for', async () => {
    expect((await wait([])).done.size).toBe(0);
    expect(waitSync([]).done.size).toBe(0);
    expect([...asCompleted([])]).toEqual([]);
    for await (const _ of asCompleted([])) expect.unreachable();
  });

  test('how many are unfinished', async () => {
    const running = pending();
    running.setRunningOrNotifyCancel();
    const all = [cancelled(), pending(), running, succeeded()];
    const error = new mp.TimeoutError('2 (of 4) futures unfinished');
    await expect(async () => {
      for await (const _ of asCompleted(all, 0));
    }).rejects.toThrow(error);
    expect(() => [...asCompleted(all, 0)]).toThrow(error);
  });

  test('those that nobody could set are not waited for', () => {
    expect(() => waitSync([pending()])).toThrow(mp.RuntimeError);
    expect(() => [...asCompleted([pending()])]).toThrow(mp.RuntimeError);
    expect(waitSync([pending()], { timeout: 0 }).notDone.size).toBe(1);
  });

  test('what cannot be', async () => {
    await expect(wait([], { returnWhen: 'NEVER' as ReturnWhen })).rejects.toThrow(
      new mp.ValueError('Invalid return condition: NEVER'),
    );
    await expect(wait([], { timeout: Number.NaN })).rejects.toThrow(mp.ValueError);
    expect(() => asCompleted([], 'soon' as unknown as number)).toThrow(TypeError);
  });

  test('futures that were given are not held', async () => {
    const all: Future<unknown>[] = Array.from({ length: 8 }, pending);
    const refs: WeakRef<Future<unknown>>[] = [];
    const completed = asCompleted([...all, succeeded(1)]);
    const takeOne = async () => {
      const { value } = await completed.next();
      refs.push(new WeakRef(value as Future<unknown>));
      all.splice(all.indexOf(value as Future<unknown>), all.includes(value) ? 1 : 0);
    };
    await takeOne();
    while (all.length > 0) {
      (all[0] as Future<unknown>).setResult('test');
      await takeOne();
    }
    expect(await collectUntil(() => refs.every((ref) => ref.deref() === undefined))).toBe(true);
    expect(refs.length).toBe(9);
    expect((await completed.next()).done).toBe(true);
  });

  test('who has waited leaves nothing behind in the futures', async () => {
    const future = pending();
    const refs: WeakRef<object>[] = [];
    const waitOnce = async () => {
      const { notDone } = await wait([future, succeeded()], { returnWhen: FIRST_COMPLETED });
      refs.push(new WeakRef(notDone));
      const completed = asCompleted([future, succeeded()]);
      for await (const _ of completed) break;
      refs.push(new WeakRef(completed));
      await future.result(0).catch(() => {});
    };
    for (let i = 0; i < 3; i++) await waitOnce();
    expect(await collectUntil(() => refs.every((ref) => ref.deref() === undefined))).toBe(true);
    let calls = 0;
    future.addDoneCallback(() => calls++);
    future.setResult(1);
    expect(calls).toBe(1);
  });
});
