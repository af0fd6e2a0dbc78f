/**
 * What is wrong with a call, or with its worker: one future fails, or the executor is broken, and nothing hangs.
 */
import { BrokenExecutor, BrokenProcessPool, ProcessPoolExecutor } from 'multiprocessing/futures';
import { kill } from 'multiprocessing/os';
import { type MaybeEncodingError, WorkerLostError } from 'multiprocessing/pool';
import { afterEach, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

const { Trouble, makeTrouble } = targets;

forEachStartMethod((ctx) => {
  let executor: ProcessPoolExecutor;
  const make = (options = {}) => {
    executor = new ProcessPoolExecutor({ maxWorkers: 2, mpContext: ctx, ...options });
    return executor;
  };
  afterEach(async () => {
    executor.killWorkers();
    await executor.shutdown();
  });
  const identity = (x: unknown) => x;
  const errorOf = async (future: PromiseLike<unknown>): Promise<Error> => {
    try {
      await future;
    } catch (error) {
      return error as Error;
    }
    return expect.unreachable('it did not fail');
  };
  /** It was broken by a worker that has ended so. */
  const expectBroken = (error: Error, exitcode: number) => {
    expect(error).toBeInstanceOf(BrokenProcessPool);
    expect(error).toBeInstanceOf(BrokenExecutor);
    const cause = error.cause as WorkerLostError;
    expect(cause).toBeInstanceOf(WorkerLostError);
    expect(cause.exitcode).toBe(exitcode);
    expect(cause.pid).toBeGreaterThan(1);
    expect(() => executor.submit(targets.square, 1)).toThrow(BrokenProcessPool);
  };
  const goesOn = async () => expect(await executor.submit(targets.square, 7)).toBe(49);

  test('a worker that is killed breaks the executor: each future has an error of its own', async () => {
    make();
    const all = Array.from({ length: 5 }, () => executor.submit(targets.behave, 'loop'));
    const errors = Promise.all(all.map(errorOf));
    await expect.poll(() => executor.stats().running, { timeout: 60_000 }).toBe(2);
    const pid = executor.stats().workers[0]?.pid as number;
    kill(pid, 15);
    for (const error of await errors) {
      expectBroken(error, -15);
      expect((error.cause as WorkerLostError).pid).toBe(pid);
    }
    expect(new Set(await errors).size).toBe(5);
  });

  test('an argument that cannot be pickled', async () => {
    make();
    const error = await errorOf(executor.submit(identity, new Trouble('pickled', 1)));
    expect(error.message).toMatch(/cannot pickle/);
    await goesOn();
  });

  test('an argument that ends the worker when it is made again', async () => {
    make();
    expectBroken(await errorOf(executor.submit(identity, new Trouble('made again', '_exit'))), 3);
  });

  test('an argument that throws when it is made again', async () => {
    make();
    const argument = new Trouble('made again', 'error that cannot be read');
    expect(await errorOf(executor.submit(identity, argument))).toBeInstanceOf(Error);
    await goesOn();
  });

  test('an argument that kills the worker when it is made again', async () => {
    make();
    expectBroken(await errorOf(executor.submit(identity, new Trouble('made again', 'killed'))), -9);
  });

  test('a call that crashes', async () => {
    make({ initializer: targets.begin, initargs: [ctx.Semaphore(1)] });
    expectBroken(await errorOf(executor.submit(targets.dieWhenAllowed)), -11);
  });

  test('a call that ends its process', async () => {
    make();
    const error = await errorOf(executor.submit(targets.behave, 'SystemExit'));
    expectBroken(error, 4);
    expect(error.message).toMatch(/process\.exit\(\) or SystemExit/);
  });

  test('a call that throws', async () => {
    make();
    expect(await errorOf(executor.submit(targets.fail, 1))).toBeInstanceOf(targets.OwnError);
    await goesOn();
  });

  test('a result that kills the worker when it is pickled', async () => {
    make();
    expectBroken(await errorOf(executor.submit(makeTrouble, 'pickled', 'killed')), -9);
  });

  test('a result that ends the process when it is pickled', async () => {
    make();
    expectBroken(await errorOf(executor.submit(makeTrouble, 'pickled', '_exit')), 3);
  });

  test('a result that throws when it is pickled', async () => {
    make();
    const error = await errorOf(executor.submit(makeTrouble, 'pickled', 1));
    expect([error.name, (error as MaybeEncodingError).exc]).toEqual([
      'MaybeEncodingError',
      expect.stringMatching(/cannot pickle/),
    ]);
    await goesOn();
  });

  test('a result that throws when it is read', async () => {
    make();
    const error = await errorOf(
      executor.submit(makeTrouble, 'made again', 'error that cannot be sent'),
    );
    expect(error.message).toBe('with a map');
    await goesOn();
  });

  test('a worker that crashes after the shutdown', async () => {
    const gate = ctx.Semaphore(0);
    make({ initializer: targets.begin, initargs: [gate] });
    const future = executor.submit(targets.dieWhenAllowed);
    const other = executor.submit(targets.square, 2);
    await other;
    const ended = executor.shutdown();
    gate.release();
    const error = await errorOf(future);
    expect((error.cause as WorkerLostError).exitcode).toBe(-11);
    await ended;
  });

  test('an argument that cannot be pickled, and a shutdown that does not wait', async () => {
    make();
    await goesOn();
    const future = executor.submit(identity, new Trouble('pickled', 1));
    await executor.shutdown({ wait: false });
    expect((await errorOf(future)).message).toMatch(/cannot pickle/);
    await executor.shutdown();
  });

  test('a crash while much data is on its way', async () => {
    make();
    const data = 'a'.repeat(4 << 20);
    const crash = (text: string) => process.kill(process.pid, text === '' ? 'SIGTERM' : 'SIGKILL');
    const results = executor.map(crash, Array<string>(10).fill(data));
    expectBroken(await errorOf(results.next()), -9);
    await executor.shutdown();
  });

  test('many calls before any worker is there', () => {
    make();
    const all = Array.from({ length: 5000 }, (_, i) => i);
    expect([...executor.map(targets.square, all)].length).toBe(5000);
  });

  test('an idle worker that dies is replaced when there is a call for it', async () => {
    make();
    await goesOn();
    const before = executor.stats().workers.map(({ pid }) => pid as number);
    for (const pid of before) kill(pid, 9);
    await goesOn();
    expect(before).not.toContain(executor.stats().workers.at(-1)?.pid);
  });

  test('of onWorkerDeath fail-task one future fails, and the others go on', async () => {
    make({ onWorkerDeath: 'fail-task' });
    const bad = executor.submit(targets.behave, 'killed');
    const good = executor.submit(targets.square, 3);
    expect(await errorOf(bad)).toBeInstanceOf(WorkerLostError);
    expect(await good).toBe(9);
    await goesOn();
  });

  test('of onWorkerDeath retry the call is made again', async () => {
    make({ onWorkerDeath: 'retry' });
    expect(await executor.submit(targets.secondTry, 5)).toBe(25);
  });
});
