/**
 * The end of an executor: asked for, forced, or with the program.
 */
import * as mp from 'multiprocessing';
import {
  BrokenProcessPool,
  CancelledError,
  type Future,
  ProcessPoolExecutor,
} from 'multiprocessing/futures';
import type { Semaphore } from 'multiprocessing/synchronize';
import { afterEach, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { runProgram } from '../support/programs.ts';
import { forEachStartMethod, forEachWay, ways } from '../support/start_methods.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

forEachStartMethod((ctx) => {
  let executor: ProcessPoolExecutor;
  const make = (maxWorkers = 2) => {
    executor = new ProcessPoolExecutor({ maxWorkers, mpContext: ctx });
    return executor;
  };
  const makeGated = (maxWorkers = 2): Semaphore => {
    const gate = ctx.Semaphore(0);
    executor = new ProcessPoolExecutor({
      maxWorkers,
      mpContext: ctx,
      initializer: targets.begin,
      initargs: [gate],
    });
    return gate;
  };
  const hold = (count: number): Future<unknown>[] =>
    numbers(count).map((i) => executor.submit(targets.acquireBegun, i));
  const running = (count: number) =>
    expect.poll(() => executor.stats().running, { timeout: 60_000 }).toBe(count);
  /** Processes of these workers. */
  const processes = () => mp.activeChildren().filter(({ name }) => name.includes('PoolWorker'));
  afterEach(async () => {
    executor.killWorkers();
    await executor.shutdown();
    expect(processes()).toEqual([]);
  });

  test('nothing can be submitted afterwards', async () => {
    make();
    await executor.shutdown();
    const refused = new mp.RuntimeError('cannot schedule new futures after shutdown');
    expect(() => executor.submit(targets.square, 2)).toThrow(refused);
    expect(() => executor.map(targets.square, [2])).toThrow(refused);
    await executor.shutdown(); // once more
    executor.shutdownSync();
  });

  test('shutdown waits for all that was submitted', async () => {
    make();
    const all = numbers(50).map((i) => executor.submit(targets.squareLater, i));
    await executor.shutdown();
    expect(all.map((future) => future.resultSync())).toEqual(numbers(50).map((x) => x * x));
    expect(processes()).toEqual([]);
  });

  test('shutdownSync does, too', () => {
    make();
    const all = numbers(50).map((i) => executor.submit(targets.squareLater, i));
    executor.shutdownSync();
    expect(all.every((future) => future.done())).toBe(true);
    expect(processes()).toEqual([]);
  });

  test('shutdown while results of map are waited for', async () => {
    make(2);
    const results = executor.map(targets.square, numbers(3));
    await executor.shutdown();
    expect([...results]).toEqual([0, 1, 4]);
  });

  test('shutdown of an asynchronous iterable that is not at its end', async () => {
    make(1);
    let goOn = () => {};
    const asked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    async function* items() {
      yield 1;
      await asked;
      yield 2;
    }
    const results = executor.map(targets.square, items());
    expect((await results.next()).value).toBe(1);
    const ended = executor.shutdown();
    goOn();
    await ended;
    expect((await results.next()).value).toBe(4);
    expect((await results.next()).done).toBe(true);
  });

  test('cancelFutures cancels what is not begun', async () => {
    const gate = makeGated();
    const all = hold(50);
    const results = executor.map(targets.square, [1]);
    await running(2);
    const ended = executor.shutdown({ cancelFutures: true });
    gate.release();
    gate.release();
    await ended;
    expect(all.filter((future) => future.cancelled()).length).toBe(48);
    const others = all.filter((future) => !future.cancelled());
    expect(await Promise.all(others)).toEqual([0, 1]);
    await expect(results.next()).rejects.toThrow(CancelledError);
  });

  test('cancelFutures, blocking', async () => {
    const gate = makeGated();
    const all = hold(10);
    await running(2);
    // Enough for all: a worker may be through with its task, and have the next one, before that is cancelled.
    for (const _ of all) gate.release();
    executor.shutdownSync({ cancelFutures: true });
    const told = all.map((future, i) => future.cancelled() || future.resultSync() === i);
    expect(told).toEqual(Array(10).fill(true));
  });

  test('shutdown without waiting', async () => {
    const gate = makeGated();
    const all = hold(4);
    await running(2);
    await executor.shutdown({ wait: false });
    expect(all.some((future) => future.done())).toBe(false);
    for (let i = 0; i < 4; i++) gate.release();
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3]);
    await expect.poll(processes, { timeout: 60_000 }).toEqual([]);
  });

  test('shutdownSync without waiting', async () => {
    make();
    const all = [executor.submit(targets.square, 3)];
    executor.shutdownSync({ wait: false, cancelFutures: false });
    expect(await Promise.all(all)).toEqual([9]);
    await expect.poll(processes, { timeout: 60_000 }).toEqual([]);
  });

  test('a future that is cancelled right before the shutdown', async () => {
    make(1);
    await executor.submit(targets.square, 1);
    executor.submit(targets.square, 2).cancel();
    await executor.shutdown();
    make(1);
    executor.submit(targets.square, 1).resultSync();
    executor.submit(targets.square, 2).cancel();
    executor.shutdownSync();
  });

  test('using shuts down', async () => {
    let future: Future<number>;
    {
      await using e = make();
      future = e.submit(targets.squareLater, 5);
    }
    expect(future.done()).toBe(true);
    {
      using e = make();
      future = e.submit(targets.squareLater, 6);
    }
    expect(future.resultSync()).toBe(36);
    expect(processes()).toEqual([]);
  });

  test('its workers are gone after the shutdown', async () => {
    const gate = makeGated(3);
    const all = hold(3);
    await running(3);
    expect(processes().length).toBe(3);
    for (const _ of all) gate.release();
    await executor.shutdown();
    expect(processes()).toEqual([]);
    expect(executor.stats().workers).toEqual([]);
  });

  test('terminateWorkers: what runs is broken, what is queued is cancelled', async () => {
    makeGated();
    const all = hold(6);
    await running(2);
    executor.terminateWorkers();
    const names = await Promise.all(
      all.map((future) => (future.cancelled() ? 'cancelled' : future.exception())),
    );
    expect(names.slice(2)).toEqual(Array(4).fill('cancelled'));
    for (const error of names.slice(0, 2)) {
      expect(error).toBeInstanceOf(BrokenProcessPool);
      expect((error as Error).message).toBe('the workers of the executor were terminated');
    }
    expect(names[0]).not.toBe(names[1]);
    expect(() => executor.submit(targets.square, 1)).toThrow(mp.RuntimeError);
    await executor.shutdown();
    executor.terminateWorkers(); // nothing is left to be ended
    expect(processes()).toEqual([]);
  });

  test('killWorkers: those that nothing else ends', async () => {
    make();
    const stopped = executor.submit(targets.behave, 'stopped');
    const loop = executor.submit(targets.behave, 'loop');
    await running(2);
    executor.killWorkers();
    for (const future of [stopped, loop])
      await expect(future.result()).rejects.toThrow('the workers of the executor were killed');
    await executor.shutdown();
    expect(processes()).toEqual([]);
  });

  test('terminateWorkers and killWorkers before there is a worker, and after the end', async () => {
    make();
    executor.terminateWorkers();
    executor.killWorkers();
    expect(() => executor.submit(targets.square, 1)).toThrow(/after shutdown/);
    await executor.shutdown();
    make();
    const future = executor.submit(targets.square, 1);
    executor.killWorkers();
    await expect(future).rejects.toThrow(CancelledError);
  });

  test('a forgotten executor does what it was given, and ends', async () => {
    let future: Future<number> | undefined;
    const forget = () => {
      const e = new ProcessPoolExecutor({ maxWorkers: 1, mpContext: ctx });
      future = e.submit(targets.squareLater, 7);
    };
    forget();
    make();
    expect(await future).toBe(49);
    const { setFlagsFromString } = process.getBuiltinModule('node:v8');
    setFlagsFromString('--expose-gc');
    const gc = process.getBuiltinModule('node:vm').runInNewContext('gc') as () => void;
    const left = () => {
      gc();
      return processes();
    };
    await expect.poll(left, { timeout: 60_000 }).toEqual([]);
  });
});

forEachWay((how) => {
  const { name, options } = ways(how);
  const run = (what: string) => runProgram('executor_ends', [name, what], options);
  const fine = (stdout: string) => ({ code: 0, signal: null, stdout, stderr: '' });

  test('a program ends though it has an idle executor', async () => {
    expect(await run('idle')).toEqual(fine('49\nends\n'));
  });

  test('a program that ends does first what it has submitted', async () => {
    expect(await run('pending')).toEqual(fine('ends\napple\n'));
  });

  test('and so it does after a shutdown that does not wait', async () => {
    expect(await run('no wait')).toEqual(fine('ends\napple\n'));
  });

  test('nothing can be submitted when the program ends', async () => {
    expect(await run('at exit')).toEqual(
      fine('RuntimeError: cannot schedule new futures after the end of the program\n'),
    );
  });

  test('process.exit() of a program with calls that never end', async () => {
    expect(await run('exit')).toEqual({ code: 5, signal: null, stdout: '', stderr: '' });
  });
});
