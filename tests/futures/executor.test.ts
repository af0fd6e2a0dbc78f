/**
 * What a ProcessPoolExecutor promises, under every start method.
 */
import * as mp from 'multiprocessing';
import {
  BrokenProcessPool,
  CancelledError,
  Executor,
  Future,
  ProcessPoolExecutor,
  type ProcessPoolExecutorOptions,
} from 'multiprocessing/futures';
import type { Semaphore } from 'multiprocessing/synchronize';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { collected } from '../support/garbage.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const squares = (count: number) => numbers(count).map((x) => x * x);
function open(gate: Semaphore, times: number): void {
  for (let i = 0; i < times; i++) gate.release();
}

const divide = (a: number, b: number) => {
  if (b === 0) throw new RangeError('division by zero');
  return Math.floor(a / b);
};

describe('what is refused before anything is made', () => {
  const refused = (options: object) => () => new ProcessPoolExecutor(options);

  test.each([0, -1])('%s workers', (maxWorkers) => {
    expect(refused({ maxWorkers })).toThrow(new mp.ValueError('maxWorkers must be greater than 0'));
  });

  test('others', () => {
    expect(refused({ maxWorkers: 1.5 })).toThrow(TypeError);
    expect(refused({ maxWorkers: '2' })).toThrow(TypeError);
    expect(refused({ mpContext: 'spawn' })).toThrow(TypeError);
    expect(refused({ maxTasksPerChild: 0 })).toThrow(mp.ValueError);
    expect(refused({ maxTasksPerChild: '3' })).toThrow(TypeError);
    expect(refused({ initializer: 'x' })).toThrow(TypeError);
    expect(refused({ maxworkers: 2 })).toThrow(/maxworkers is no option/);
    expect(refused({ maxtasksperchild: 2 })).toThrow(/maxtasksperchild is no option/);
    expect(refused({ idleTimeout: 0 })).toThrow(mp.ValueError);
    expect(refused({ idleTimeout: 'long' })).toThrow(TypeError);
  });

  test('the class that all executors derive from runs nothing', async () => {
    class Empty extends Executor {}
    expect(() => new Empty().submit(targets.square, 1)).toThrow(mp.NotImplementedError);
    expect(() => new Empty().map(targets.square, [1])).toThrow(mp.NotImplementedError);
    await using _ = new Empty();
    using __ = new Empty();
  });
});

forEachStartMethod((ctx, method) => {
  let executor: ProcessPoolExecutor;
  const make = (options: ProcessPoolExecutorOptions = {}) => {
    executor = new ProcessPoolExecutor({ maxWorkers: 2, mpContext: ctx, ...options });
    return executor;
  };
  const makeGated = (options: ProcessPoolExecutorOptions = {}): Semaphore => {
    const gate = ctx.Semaphore(0);
    make({ initializer: targets.begin, initargs: [gate], ...options });
    return gate;
  };
  const pids = () => executor.stats().workers.map(({ pid }) => pid);
  afterEach(async () => {
    executor.killWorkers();
    await executor.shutdown();
  });

  test('submit gives a future', async () => {
    make();
    const future = executor.submit(targets.square, 16);
    expect(future).toBeInstanceOf(Future);
    expect(await future.result()).toBe(256);
    expect(await executor.submit(targets.squareLater, 3)).toBe(9);
    expect(executor.submit(targets.square, 5).resultSync()).toBe(25);
    expect(executor.submit(targets.fail, 5).exceptionSync()).toBeInstanceOf(targets.OwnError);
    const shift = 100;
    expect(await executor.submit((x: number) => x + shift, 1)).toBe(101);
    expect(String(executor)).toBe('<ProcessPoolExecutor maxWorkers=2>');
  });

  test('options go as the last argument, and what is no function is refused', async () => {
    make();
    expect(await executor.submit(targets.add, 2, 8, { times: 2 })).toBe(20);
    expect(() => Reflect.apply(executor.submit, executor, ['square'])).toThrow(TypeError);
    expect(() => executor.map(undefined as never, [])).toThrow(TypeError);
  });

  test('map takes an item of each iterable, until the shortest ends', async () => {
    make();
    const results: number[] = [];
    for await (const x of executor.map(targets.add, numbers(10), numbers(10))) results.push(x);
    expect(results).toEqual(numbers(10).map((x) => 2 * x));
    const blocking = executor.map(targets.add, numbers(10), numbers(7), { chunksize: 3 });
    expect([...blocking]).toEqual(numbers(7).map((x) => 2 * x));
    expect([...executor.map(targets.square, new Set([1, 2]))]).toEqual([1, 4]);
    expect([...executor.map(targets.square, [])]).toEqual([]);
    expect([...(executor as Executor).map(targets.pid)]).toEqual([]); // no iterable, no call
  });

  test('map takes asynchronous iterables, alone and beside others', async () => {
    make();
    let ended = 0;
    async function* count() {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        ended++;
      }
    }
    const results: number[] = [];
    for await (const x of executor.map(targets.add, count(), [10, 20, 30], { buffersize: 2 }))
      results.push(x);
    expect(results).toEqual([10, 21, 32]);
    expect(ended).toBe(1);
    for await (const x of executor.map(targets.square, count(), { buffersize: 2 }))
      if (x === 25) break;
    await expect.poll(() => ended).toBe(2);
  });

  test('map gives what came before an error, then the error, and is over', async () => {
    make();
    const results = executor.map(divide, [1, 1, 1, 1], [2, 1, 0, 1]);
    expect((await results.next()).value).toBe(0);
    expect((await results.next()).value).toBe(1);
    await expect(results.next()).rejects.toThrow(new RangeError('division by zero'));
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect([...results]).toEqual([]);
  });

  test('map with a timeout gives what is there in time', async () => {
    const gate = makeGated({ maxWorkers: 1 });
    open(gate, 2);
    const results: unknown[] = [];
    const items = ['a', 'b', 'c'];
    await expect(async () => {
      // The time is that of the whole: the start of the workers is in it.
      for await (const x of executor.map(targets.acquireBegun, items, { timeout: 3 }))
        results.push(x);
    }).rejects.toThrow(mp.TimeoutError);
    expect(results).toEqual(['a', 'b']);
    expect(() => [...executor.map(targets.acquireBegun, items, { timeout: 0.02 })]).toThrow(
      mp.TimeoutError,
    );
  });

  test('map in chunks', async () => {
    make();
    for (const chunksize of [6, 40, 50])
      expect([...executor.map(targets.square, numbers(40), { chunksize })]).toEqual(squares(40));
    expect(executor.stats().done).toBe(7 + 1 + 1);
    for (const chunksize of [0, -1, 1.5])
      expect(() => executor.map(targets.square, [1], { chunksize })).toThrow(mp.ValueError);
    for (const buffersize of [0, -1, 1.5])
      expect(() => executor.map(targets.square, [1], { buffersize })).toThrow(mp.ValueError);
    expect(() => executor.map(targets.square, 5)).toThrow(TypeError);
  });

  test('map takes no more than buffersize items ahead', async () => {
    make();
    let taken = 0;
    let given = 0;
    let most = 0;
    function* endless() {
      for (;;) {
        most = Math.max(most, ++taken - given);
        yield taken;
      }
    }
    for await (const x of executor.map(targets.square, endless(), { buffersize: 4 })) {
      given++;
      if (x === 50 * 50) break;
    }
    expect(most).toBeGreaterThanOrEqual(3);
    expect(most).toBeLessThanOrEqual(5);
  });

  test('who leaves map early cancels what is not begun, and lets run what is', async () => {
    const gate = makeGated({ maxWorkers: 1 });
    gate.release();
    const results = executor.map(targets.acquireBegun, numbers(10));
    expect((await results.next()).value).toBe(0);
    await expect.poll(() => executor.stats().running).toBe(1);
    const [worker] = pids();
    await results.return?.();
    gate.release();
    expect(await executor.submit(targets.pid)).toBe(worker);
    const { done, failed } = executor.stats();
    expect([done, failed]).toEqual([3, 8]); // two of map, and the pid
  });

  test('the error of a call has the stack of its worker for a cause', async () => {
    make();
    const error = (await executor.submit(targets.fail, 7).exception()) as Error;
    expect(error).toBeInstanceOf(targets.OwnError);
    const cause = error.cause as Error & { tb: string };
    expect([cause.name, cause.tb]).toEqual([
      'RemoteTraceback',
      expect.stringMatching(/^OwnError: item 7\n.*pool_targets/s),
    ]);
  });

  test('a call that throws a CancelledError has failed, not been cancelled', async () => {
    make();
    const future = executor.submit(targets.throwCancelled);
    expect(await future.exception()).toBeInstanceOf(CancelledError);
    expect(future.cancelled()).toBe(false);
    await expect(future.result()).rejects.toThrow('of the task itself');
  });

  test('a queued future can be cancelled, one that runs cannot', async () => {
    const gate = makeGated({ maxWorkers: 1 });
    const running = executor.submit(targets.acquireBegun, 'ran');
    const queued = executor.submit(targets.acquireBegun);
    const other = executor.submit(targets.acquireBegun, 'too');
    await expect.poll(() => running.running()).toBe(true);
    const told: boolean[] = [];
    queued.addDoneCallback((future) => void told.push(future.cancelled()));
    expect([running.cancel(), queued.running(), queued.cancel(), queued.cancel()]).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect([told, String(queued), String(running)]).toEqual([
      [true],
      '<Future state=cancelled>',
      '<Future state=running>',
    ]);
    await expect(queued).rejects.toThrow(CancelledError);
    expect(() => queued.resultSync()).toThrow(CancelledError);
    expect(() => queued.exceptionSync()).toThrow(CancelledError);
    open(gate, 2);
    expect(await Promise.all([running, other])).toEqual(['ran', 'too']);
    expect([running.cancel(), running.running(), executor.stats().done]).toEqual([false, false, 2]);
  });

  test('one that is cancelled in the turn in which it was submitted is never sent', async () => {
    make();
    const future = executor.submit(targets.square, 1);
    expect(future.cancel()).toBe(true);
    await expect(future).rejects.toThrow(CancelledError);
    expect(pids()).toEqual([]);
  });

  test('a timeout is of the waiting, not of the call', async () => {
    const gate = makeGated();
    const future = executor.submit(targets.acquireBegun, 7);
    await expect(future.result(0.02)).rejects.toThrow(mp.TimeoutError);
    expect(() => future.resultSync(0.02)).toThrow(mp.TimeoutError);
    expect(() => future.exceptionSync(0)).toThrow(mp.TimeoutError);
    gate.release();
    expect(await future.result(60)).toBe(7);
  });

  test('no more workers than maxWorkers, whatever is pending', async () => {
    const gate = makeGated({ maxWorkers: 3 });
    const all = numbers(45).map((i) => executor.submit(targets.acquireBegun, i));
    await expect.poll(() => executor.stats().running).toBe(3);
    expect(pids().length).toBe(3);
    open(gate, 45);
    expect(await Promise.all(all)).toEqual(numbers(45));
    expect(pids().length).toBe(3);
  });

  test('an idle worker is used again before another one is started', async () => {
    make({ maxWorkers: 4 });
    expect(pids()).toEqual([]); // none before there is a call
    for (const x of [21, 6, 3]) expect(await executor.submit(targets.square, x)).toBe(x * x);
    expect(pids().length).toBe(1);
  });

  test('as many workers as there are calls at once', async () => {
    make({ maxWorkers: 4 });
    await executor.submit(targets.square, 12);
    const some = [executor.submit(targets.square, 33), executor.submit(targets.square, 25)];
    await Promise.all(some);
    const others = [executor.submit(targets.square, 18), executor.submit(targets.square, 1)];
    await Promise.all(others);
    expect(pids().length).toBeLessThanOrEqual(2);
  });

  test('a worker makes way for a new one after maxTasksPerChild calls', async () => {
    make({ maxWorkers: 1, maxTasksPerChild: 3 });
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) {
      seen.push(await executor.submit(targets.pid));
      expect(pids().length).toBeLessThanOrEqual(1);
    }
    const [a, b, c, d] = seen;
    expect([b, c]).toEqual([a, a]);
    expect(d).not.toBe(a);
    expect(executor.stats().replaced).toEqual({ done: 1 });
  });

  test('maxTasksPerChild, and a shutdown at once', async () => {
    make({ maxWorkers: 3, maxTasksPerChild: 1 });
    const all = numbers(6).map((i) => executor.submit(targets.square, i));
    await executor.shutdown();
    expect(all.map((future) => future.resultSync())).toEqual(squares(6));
  });

  test('every call after the last of a worker gets another one', async () => {
    make({ maxWorkers: 2, maxTasksPerChild: 1 });
    const all = numbers(8).map(() => executor.submit(targets.pid));
    expect(new Set(await Promise.all(all)).size).toBe(8);
  });

  test('an initializer runs first in each worker', async () => {
    make({ initializer: targets.begin, initargs: ['initialized'] });
    const all = numbers(4).map(() => executor.submit(targets.whatBegan));
    expect(await Promise.all(all)).toEqual(Array(4).fill('initialized'));
  });

  test('an initializer that throws breaks the executor', async () => {
    make({ initializer: targets.failToBegin });
    const futures = [executor.submit(targets.square, 1), executor.submit(targets.square, 2)];
    const errors = (await Promise.all(futures.map((future) => future.exception()))) as Error[];
    for (const error of errors) {
      expect(error).toBeInstanceOf(BrokenProcessPool);
      expect((error.cause as Error).message).toBe('no beginning');
    }
    expect(errors[0]).not.toBe(errors[1]);
    expect(() => executor.submit(targets.square, 1)).toThrow(BrokenProcessPool);
    expect(() => executor.map(targets.square, [1])).toThrow(BrokenProcessPool);
  });

  test('futures, arguments and results that nobody has are garbage', async () => {
    make();
    const refs: WeakRef<object>[] = [];
    const use = async () => {
      const argument = { some: 'argument' };
      const future = executor.submit((x: object) => x, argument);
      refs.push(new WeakRef(argument), new WeakRef(future), new WeakRef(await future));
      void executor.submit(targets.square, 2); // nobody asks
      for await (const x of executor.map(() => ({ made: 1 }), [1, 2])) refs.push(new WeakRef(x));
    };
    await use();
    const kept: number[] = [];
    for (const [i, ref] of refs.entries()) if (!(await collected(ref))) kept.push(i);
    expect(kept).toEqual([]);
    expect(refs.length).toBe(5);
  });

  test('a worker holds nothing of a call that is over', async () => {
    make({ maxWorkers: 1 });
    await executor.submit((x: object) => {
      (globalThis as { held?: WeakRef<object> }).held = new WeakRef(x);
    }, {});
    const isGone = executor.submit(async () => {
      const { setFlagsFromString } = process.getBuiltinModule('node:v8');
      setFlagsFromString('--expose-gc');
      const gc = process.getBuiltinModule('node:vm').runInNewContext('gc') as () => void;
      for (let i = 0; i < 20; i++) {
        await new Promise((resolve) => setImmediate(resolve));
        gc();
        if ((globalThis as { held?: WeakRef<object> }).held?.deref() === undefined) return true;
      }
      return false;
    });
    expect(await isGone).toBe(true);
  });

  test('workers are no daemons: a call may have children', async () => {
    make();
    expect(await executor.submit(targets.isDaemon)).toBe(false);
    if (method !== 'fork') return;
    expect(await executor.submit(targets.square, 2)).toBe(4);
  });

  test('idle workers end after idleTimeout, and come back with the next call', async () => {
    make({ maxWorkers: 1, idleTimeout: 0.05 });
    const first = await executor.submit(targets.pid);
    await expect.poll(() => pids(), { timeout: 30_000 }).toEqual([]);
    expect(await executor.submit(targets.pid)).not.toBe(first);
  });

  test('several executors and a pool side by side', async () => {
    make();
    const other = new ProcessPoolExecutor({ maxWorkers: 1, mpContext: ctx });
    await using pool = ctx.Pool(1);
    expect(
      await Promise.all([
        executor.submit(targets.square, 2),
        other.submit(targets.square, 3),
        pool.apply(targets.square, [4]),
      ]),
    ).toEqual([4, 9, 16]);
    await other.shutdown();
  });
});
