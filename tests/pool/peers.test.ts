/**
 * What users of other pools rely on, and what has gone wrong in them, under its behaviour: cancelling, backpressure, crashes at any
 * moment, timeouts that meet an answer.
 */
import * as mp from 'multiprocessing';
import {
  BrokenProcessPool,
  getReusableExecutor,
  ProcessPoolExecutor,
} from 'multiprocessing/futures';
import { kill } from 'multiprocessing/os';
import { CancelledError, type Pool, WorkerLostError } from 'multiprocessing/pool';
import type { Semaphore } from 'multiprocessing/synchronize';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

forEachStartMethod((ctx, method) => {
  let pool: Pool | undefined;
  let gate: Semaphore;
  const make = (processes: number, options = {}): Pool => {
    gate = ctx.Semaphore(0);
    pool = ctx.Pool(processes, { initializer: targets.begin, initargs: [gate], ...options });
    return pool;
  };
  const running = (p: Pool, count: number) =>
    expect.poll(() => p.stats().running, { timeout: 60_000 }).toBe(count);
  const outcomeOf = (promise: PromiseLike<unknown>) =>
    Promise.resolve(promise).then(
      (value) => value,
      (error: Error) => error.name,
    );
  afterEach(async () => {
    pool?.terminate();
    await pool?.join();
    pool = undefined;
  });

  describe('abort', () => {
    test('of a queued task: it is never begun, and the others keep their order', async () => {
      const p = make(1);
      const abort = new AbortController();
      const first = p.apply(targets.acquireBegun, [1]);
      const second = p.apply(targets.acquireBegun, [2], {}, { signal: abort.signal });
      const third = p.apply(targets.acquireBegun, [3]);
      await running(p, 1);
      abort.abort(new Error('not wanted'));
      const error = (await second.catch((e: unknown) => e)) as Error;
      expect(error).toBeInstanceOf(CancelledError);
      expect((error.cause as Error).message).toBe('not wanted');
      gate.release();
      gate.release();
      expect(await Promise.all([first, third])).toEqual([1, 3]);
      expect(p.stats().replaced).toEqual({});
    });

    test('of all tasks of a pool by one signal, which forgets them', async () => {
      const p = make(2);
      const abort = new AbortController();
      const { signal } = abort;
      const all = numbers(50).map((i) => p.apply(targets.acquireBegun, [i], {}, { signal }));
      const outcomes = Promise.all(all.map(outcomeOf));
      await running(p, 2);
      abort.abort();
      expect(new Set(await outcomes)).toEqual(new Set(['CancelledError']));
      expect(await p.apply(targets.square, [3])).toBe(9);
      const { getEventListeners } = process.getBuiltinModule('node:events');
      expect(getEventListeners(signal, 'abort')).toEqual([]);
    });

    test('after the answer does nothing', async () => {
      const p = make(1);
      const abort = new AbortController();
      expect(await p.apply(targets.square, [3], {}, { signal: abort.signal })).toBe(9);
      abort.abort();
      expect(await p.apply(targets.square, [4])).toBe(16);
      expect(p.stats().replaced).toEqual({});
    });
  });

  test('backpressure: who takes results slowly is never more than buffersize behind', async () => {
    const p = make(2);
    let taken = 0;
    let given = 0;
    let most = 0;
    async function* source() {
      for (; taken < 200; ) {
        most = Math.max(most, ++taken - given);
        yield taken;
      }
    }
    for await (const _ of p.imapUnordered(targets.square, source(), { buffersize: 8 })) {
      given++;
      if (given % 10 === 0) await p.apply(targets.squareLater, [1]); // its own pace
    }
    expect([given, taken]).toEqual([200, 200]);
    expect(most).toBeLessThanOrEqual(9);
  });

  test('close with pending tasks: all are answered, then the workers are gone', async () => {
    const p = make(2);
    const all = numbers(20).map((i) => p.apply(targets.acquireBegun, [i]));
    await running(p, 2);
    p.close();
    const joined = p.join();
    for (const _ of all) gate.release();
    expect(await Promise.all(all)).toEqual(numbers(20));
    await joined;
    expect(p.stats().workers).toEqual([]);
  });

  test('a crash in the middle of many: one fails, and none is answered twice', async () => {
    const p = make(2);
    let answers = 0;
    const all = numbers(300).map((i) =>
      p.apply(targets.behave, [i === 150 ? 'killed' : i]).then(
        (value) => {
          answers++;
          return value === i * i;
        },
        (error: unknown) => {
          answers++;
          return error instanceof WorkerLostError && i === 150;
        },
      ),
    );
    expect(await Promise.all(all)).toEqual(Array(300).fill(true));
    expect(answers).toBe(300);
  });

  test('terminate while workers start, and while they work', async () => {
    const p = make(3);
    const early = p.apply(targets.square, [1]);
    p.terminate();
    expect(await outcomeOf(early)).toBe('CancelledError');
    await p.join();
    const q = make(2);
    const all = numbers(10).map((i) => outcomeOf(q.apply(targets.acquireBegun, [i])));
    await running(q, 2);
    q.terminate();
    q.terminate();
    expect(new Set(await Promise.all(all))).toEqual(new Set(['CancelledError']));
  });

  test('crashes in a race: both workers of an executor die at once', async () => {
    for (let round = 0; round < 5; round++) {
      const executor = new ProcessPoolExecutor({ maxWorkers: 2, mpContext: ctx });
      const all = numbers(10).map(() => executor.submit(targets.behave, 'loop'));
      const errors = Promise.all(all.map((future) => future.exception()));
      await expect.poll(() => executor.stats().running, { timeout: 60_000 }).toBe(2);
      for (const { pid } of executor.stats().workers) kill(pid as number, 9);
      for (const error of await errors) expect(error).toBeInstanceOf(BrokenProcessPool);
      expect(new Set(await errors).size).toBe(10);
      await executor.shutdown();
    }
  });

  test('a reusable executor after a crash, and resized while it is busy', async () => {
    const get = (maxWorkers: number) => getReusableExecutor({ maxWorkers, mpContext: ctx });
    for (let round = 0; round < 3; round++) {
      await expect(get(2).submit(targets.behave, '_exit')).rejects.toThrow(BrokenProcessPool);
      const all = numbers(200).map((i) => get(2).submit(targets.square, i));
      for (const size of [4, 1, 3, 2]) {
        get(size);
        await all[size * 10];
      }
      expect(await Promise.all(all)).toEqual(numbers(200).map((x) => x * x));
    }
    await get(2).shutdown();
  });

  test('a timeout and an answer at the same moment: one of them counts, many times', async () => {
    const p = make(2);
    await p.map(targets.square, [1, 2]);
    // Its answer comes when its time is over, a little before or a little after.
    const until = (milliseconds: number) => {
      const end = performance.now() + milliseconds;
      while (performance.now() < end);
      return milliseconds;
    };
    const outcomes = { answered: 0, late: 0 };
    // Each that is late costs a worker, and that of spawn starts slowly.
    const rounds = method === 'spawn' ? 24 : 120;
    for (let i = 0; i < rounds; i++) {
      let times = 0;
      const timeout = 0.02;
      // A new worker needs some of them for its first call.
      const milliseconds = i % 4 === 0 ? 2 : 17 + (i % 12) / 3;
      const result = p.applyAsync(
        until,
        [milliseconds],
        {},
        { timeout, callback: count, errorCallback: count },
      );
      function count() {
        times++;
      }
      const outcome = await result.get().catch((error: unknown) => error);
      if (outcome instanceof mp.TimeoutError) outcomes.late++;
      else {
        expect(outcome).toBe(milliseconds);
        outcomes.answered++;
      }
      expect(times).toBe(1);
    }
    expect(outcomes.answered + outcomes.late).toBe(rounds);
    expect(outcomes.answered).toBeGreaterThan(0);
    expect(outcomes.late).toBeGreaterThan(0);
    expect(await p.map(targets.square, numbers(100))).toEqual(numbers(100).map((x) => x * x));
    const replaced = () => p.stats().replaced.timeout;
    await expect.poll(replaced, { timeout: 60_000 }).toBe(outcomes.late);
  });

  test('a cancellation and an answer at the same moment: one of them counts', async () => {
    const p = make(2);
    let cancelled = 0;
    for (let i = 0; i < 100; i++) {
      const abort = new AbortController();
      const result = p.apply(targets.square, [i], {}, { signal: abort.signal });
      const end = performance.now() + (i % 20) / 50;
      await new Promise<void>((resolve) => {
        const look = () => (performance.now() < end ? setImmediate(look) : resolve());
        look();
      });
      abort.abort();
      const outcome = await result.catch((error: unknown) => error);
      if (outcome instanceof CancelledError) cancelled++;
      else expect(outcome).toBe(i * i);
    }
    expect(cancelled).toBeGreaterThan(0);
    expect(await p.map(targets.square, numbers(10))).toEqual(numbers(10).map((x) => x * x));
  });

  test('workers that expire while many tasks have a timeout', async () => {
    const p = make(2, { maxtasksperchild: 3, taskTimeout: 60 });
    const results = await Promise.all(numbers(30).map((i) => p.apply(targets.squareLater, [i])));
    expect(results).toEqual(numbers(30).map((x) => x * x));
    expect(p.stats().replaced.timeout).toBe(undefined);
  });
});
