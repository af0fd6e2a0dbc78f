/**
 * What a Pool promises, under every start method.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { forkAvailable } from 'multiprocessing/os';
import { Pool } from 'multiprocessing/pool';
import { ForkingPickler } from 'multiprocessing/reduction';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
const squares = (count: number) => numbers(count).map((x) => x * x);

test.skipIf(!forkAvailable().available)(
  'a forked child cannot use the pool of its parent',
  async () => {
    const pool = mp.Pool(1);
    try {
      const path = scratchFile('said');
      const p = new (mp.getContext('fork').Process)({
        target: async () => {
          const answer = await pool.apply(targets.square, [1]).catch((e: unknown) => e);
          writeFileSync(path, String(answer));
        },
      });
      await p.start();
      await p.join();
      expect(readFileSync(path, 'utf8')).toMatch(/^RuntimeError: this pool is one of the process/);
      expect(await pool.apply(targets.square, [2])).toBe(4);
    } finally {
      pool.terminate();
      await pool.join();
    }
  },
);

describe('what is refused before anything is made', () => {
  test.each([0, -1])('%s processes', (processes) => {
    expect(() => mp.Pool(processes)).toThrow(
      new mp.ValueError('Number of processes must be at least 1'),
    );
    expect(() => new Pool(processes)).toThrow(mp.ValueError);
  });

  test.each([0, -1, 0.5, '12'])('maxtasksperchild: %j', (maxtasksperchild) => {
    expect(() => mp.Pool(1, { maxtasksperchild: maxtasksperchild as number })).toThrow(
      mp.ValueError,
    );
  });

  test('others', () => {
    const refused = (options: object) => () => mp.Pool(1, options);
    expect(() => mp.Pool('2' as unknown as number)).toThrow(TypeError);
    expect(() => mp.Pool(1.5)).toThrow(mp.ValueError);
    expect(refused({ initializer: 1 })).toThrow(TypeError);
    expect(refused({ initargs: 1 })).toThrow(TypeError);
    expect(refused({ maxTasksPerChild: 1 })).toThrow(
      /maxTasksPerChild is no option.*maxtasksperchild/,
    );
    expect(refused({ concurrency: 0 })).toThrow(mp.ValueError);
    expect(refused({ taskTimeout: 0 })).toThrow(mp.ValueError);
    expect(refused({ killTimeout: -1 })).toThrow(mp.ValueError);
    expect(refused({ maxMemory: 'much' })).toThrow(mp.ValueError);
    expect(refused({ onWorkerDeath: 'cry' })).toThrow(/fail-task, retry, break/);
  });
});

forEachStartMethod((ctx, method) => {
  let pool: Pool;
  const make = (processes = 2, options = {}) => {
    pool = ctx.Pool(processes, options);
    return pool;
  };
  afterEach(async () => {
    pool.terminate();
    await pool.join();
  });

  test('the calls, one by one', async () => {
    make();
    expect(await pool.apply(targets.add, [2, 3])).toBe(5);
    expect(await pool.apply(targets.add, [2, 3], { times: 2 })).toBe(10);
    expect(await pool.apply(targets.squareLater, [4])).toBe(16);
    expect(await pool.applyAsync(targets.square, [5]).get()).toBe(25);
    expect(await pool.map(targets.square, numbers(100))).toEqual(squares(100));
    expect(await pool.map(targets.squareLater, numbers(7), { chunksize: 3 })).toEqual(squares(7));
    expect(await pool.map(targets.square, new Set([1, 2]))).toEqual([1, 4]);
    expect(await pool.map(targets.square, [])).toEqual([]);
    expect(
      await pool.starmap(targets.add, [
        [1, 2],
        [3, 4],
      ] as [number, number][]),
    ).toEqual([3, 7]);
    expect(await pool.mapAsync(targets.square, [3]).get()).toEqual([9]);
    expect(await pool.starmapAsync(targets.add, [[3, 3]] as [number, number][]).get()).toEqual([6]);
    const inOrder: number[] = [];
    for await (const x of pool.imap(targets.square, numbers(50), { chunksize: 7 })) inOrder.push(x);
    expect(inOrder).toEqual(squares(50));
    const inAny: number[] = [];
    for await (const x of pool.imapUnordered(targets.square, numbers(50))) inAny.push(x);
    expect(inAny.sort((a, b) => a - b)).toEqual(squares(50));
  });

  test('a worker that is at work has a pid, also where the answer to its start is not read yet', async () => {
    for (let i = 0; i < (method === 'spawn' ? 5 : 100); i++) {
      make(1);
      const done = pool.apply(targets.behave, ['loop']).catch(() => {});
      for (let turn = 0; turn < i % 5; turn++) await new Promise(setImmediate);
      // Nothing is read meanwhile; a start that needs another turn of the loop gets it after a while.
      const end = Date.now() + 30;
      while (pool.stats().running < 1) if (Date.now() > end) await new Promise(setImmediate);
      expect(pool.stats().workers).toEqual([expect.objectContaining({ pid: expect.any(Number) })]);
      pool.terminate();
      await Promise.all([done, pool.join()]);
    }
  });

  test('the calls that block', () => {
    make();
    expect(pool.applySync(targets.square, [3])).toBe(9);
    expect(pool.mapSync(targets.square, numbers(20))).toEqual(squares(20));
    expect(pool.starmapSync(targets.add, [[1, 2]] as [number, number][])).toEqual([3]);
    expect([...pool.imap(targets.squareLater, numbers(5))]).toEqual(squares(5));
    expect([...pool.imapUnordered(targets.square, [4])]).toEqual([16]);
    expect(() => pool.applySync(targets.fail, [1])).toThrow(targets.OwnError);
    expect(() => pool.applySync(targets.behave, ['exit'])).toThrow(/exit code 0/);
    expect(() => pool.applySync(targets.behave, ['loop'], {}, { timeout: 0.2 })).toThrow(
      mp.TimeoutError,
    );
    const slow = pool.applyAsync(targets.behave, ['loop']);
    expect(() => slow.getSync(0.1)).toThrow(mp.TimeoutError);
    pool.terminate();
    pool.joinSync();
    expect(() => slow.getSync()).toThrow(/terminated/);
  });

  test('functions without a name, with what they use', async () => {
    make();
    const factor = 3;
    const shift = (x: number) => x + 100;
    class Local {
      readonly n: number;
      constructor(n: number) {
        this.n = n;
      }
      twice() {
        return this.n * 2;
      }
    }
    expect(await pool.map((x: number) => shift(x * factor), [1, 2])).toEqual([103, 106]);
    expect(await pool.apply((fn: (x: number) => number) => fn(1), [shift])).toBe(101);
    expect(await pool.apply(() => new Local(4).twice())).toBe(8);
  });

  test('what has no name comes back as what it is', async () => {
    make();
    class LocalError extends RangeError {
      readonly extra = [1, { a: 2 }];
    }
    class Point {
      x = 0;
      move(by: number): this {
        this.x += by;
        return this;
      }
    }
    const shift = (x: number) => x + 1;
    const error = await pool
      .apply(() => {
        throw new LocalError('local');
      })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(LocalError);
    expect((error as LocalError).extra).toEqual([1, { a: 2 }]);
    const [point, fn, cls] = await pool.apply(
      (p: Point) => [p.move(3), shift, Point] as const,
      [new Point()],
    );
    expect(point).toBeInstanceOf(Point);
    expect([point.move(1).x, fn, cls]).toEqual([4, shift, Point]);
    await expect(pool.apply(() => () => 1)).rejects.toThrow(
      /^Error sending result: .*Reason: 'PicklingError/,
    );
  });

  test('an error comes with its class, fields, cause and the stack of the worker', async () => {
    make();
    const error = await pool.apply(targets.fail, [7]).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(targets.OwnError);
    const own = error as targets.OwnError;
    expect(own.describe()).toBe('item 7: 7,1');
    expect(own.stack).toMatch(/pool_targets/);
    expect((own.cause as Error).name).toBe('RemoteTraceback');
    expect(String(own.cause)).toMatch(/"""\nOwnError: item 7\n.*pool_targets/s);
    const caused = await pool
      .apply(() => {
        throw new TypeError('outer', { cause: new RangeError('inner') });
      })
      .catch((e: unknown) => e);
    expect(caused).toBeInstanceOf(TypeError);
    expect((caused as Error).cause).toBeInstanceOf(RangeError);
  });

  test('what was thrown here has no stack of a worker', async () => {
    make(1);
    const late = await pool.apply(targets.behave, ['loop'], {}, { timeout: 0.2 }).catch((e) => e);
    expect(late).toBeInstanceOf(mp.TimeoutError);
    expect(late).not.toHaveProperty('cause');
    const results = pool.imap(targets.behave, ['loop'], { timeout: 0.2 });
    const also = await results.next().catch((e: unknown) => e);
    expect(also).toBeInstanceOf(mp.TimeoutError);
    expect(also).not.toHaveProperty('cause');
  });

  test('map does all, and throws the first error in the order of the items', async () => {
    make();
    const done = scratchFile('done');
    const items = numbers(8).map((i) => [i, done] as [number, string]);
    await expect(pool.map(targets.note, items, { chunksize: 2 })).rejects.toThrow('item 1');
    expect(readFileSync(done, 'utf8').trim().split('\n').length).toBe(8);
  });

  test('the default chunk is a fourth of what each worker gets', async () => {
    make();
    const sizes: number[] = [];
    await pool.map(targets.square, numbers(17), {
      onProgress: ({ done }) => void sizes.push(done),
    });
    expect(pool.stats().done).toBe(Math.ceil(17 / Math.ceil(17 / 8)));
    expect(sizes.at(-1)).toBe(17);
  });

  test('imap gives what came before an error of the iterable, then the error', async () => {
    make();
    function* items() {
      yield 1;
      yield 2;
      throw new Error('no more');
    }
    const results: unknown[] = [];
    await expect(async () => {
      for await (const x of pool.imap(targets.square, items())) results.push(x);
    }).rejects.toThrow('no more');
    expect(results).toEqual([1, 4]);
  });

  test('imap takes endless iterables, also asynchronous ones, and no more than buffersize ahead', async () => {
    make();
    let taken = 0;
    let given = 0;
    let most = 0;
    async function* endless() {
      try {
        for (;;) {
          most = Math.max(most, ++taken - given);
          yield taken;
        }
      } finally {
        taken = -1;
      }
    }
    for await (const x of pool.imap(targets.square, endless(), { buffersize: 5 })) {
      given++;
      if (x === 100 * 100) break;
    }
    expect(most).toBeLessThanOrEqual(6); // one is asked for while a result is handed out
    expect(most).toBeGreaterThanOrEqual(4);
    expect(taken).toBe(-1); // who leaves ends the iterable
    expect(await pool.apply(targets.square, [2])).toBe(4);
  });

  test('close and join drain, through workers that are replaced', async () => {
    make(2, { maxtasksperchild: 2 });
    const results = numbers(20).map((x) => pool.applyAsync(targets.squareLater, [x]));
    pool.close();
    await pool.join();
    expect(await Promise.all(results.map((result) => result.get()))).toEqual(squares(20));
    expect(pool.stats().replaced.done).toBeGreaterThanOrEqual(8);
  });

  test('AsyncResult', async () => {
    make();
    const slow = pool.applyAsync(targets.behave, ['loop']);
    expect(slow.ready()).toBe(false);
    expect(() => slow.successful()).toThrow(mp.ValueError);
    await slow.wait(0.01);
    await expect(slow.get(0.01)).rejects.toThrow(mp.TimeoutError);
    const seen: unknown[] = [];
    const good = pool.applyAsync(targets.square, [2], {}, { callback: (x) => void seen.push(x) });
    const bad = pool.applyAsync(
      targets.fail,
      [2],
      {},
      { errorCallback: (e) => void seen.push((e as Error).message) },
    );
    await good.wait();
    await bad.wait();
    expect([good.successful(), bad.successful(), seen]).toEqual([true, false, [4, 'item 2']]);
  });

  test('a callback that throws loses no result', async () => {
    make();
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const callback = () => {
      throw new Error('of the callback');
    };
    expect(await pool.applyAsync(targets.square, [2], {}, { callback }).get()).toBe(4);
    expect(((await warned).cause as Error).message).toBe('of the callback');
    expect(await pool.apply(targets.square, [3])).toBe(9);
  });

  test('before close, join; after close and terminate, calls', async () => {
    make();
    await expect(pool.join()).rejects.toThrow(new mp.ValueError('Pool is still running'));
    pool.close();
    await expect(pool.apply(targets.square, [1])).rejects.toThrow(
      new mp.ValueError('Pool not running'),
    );
    await pool.join();
    {
      await using other = ctx.Pool(1);
      expect(await other.apply(targets.square, [3])).toBe(9);
      pool = other;
    }
    await expect(pool.map(targets.square, [1])).rejects.toThrow(mp.ValueError);
  });

  test('terminate ends a call of an endless iterable', async () => {
    make();
    function* endless() {
      for (let i = 0; ; i++) yield i;
    }
    const results = pool.imap(targets.square, endless(), { buffersize: 10 });
    expect(await results.next()).toEqual({ done: false, value: 0 });
    pool.terminate();
    const rest: unknown[] = [];
    await expect(async () => {
      for (;;) rest.push((await results.next()).value);
    }).rejects.toThrow('terminated');
    expect(rest.length).toBeLessThanOrEqual(10);
  });

  test('terminate fails what is not done', async () => {
    make();
    const results = numbers(5).map(() => pool.applyAsync(targets.behave, ['loop']));
    pool.terminate();
    const errors = await Promise.all(
      results.map((result) => result.get().catch((e: Error) => e.name)),
    );
    expect(errors).toEqual(Array(5).fill('CancelledError'));
  });

  test('a pool cannot be sent, and none be made in a worker', async () => {
    make();
    expect(() => ForkingPickler.dumps(pool)).toThrow(mp.NotImplementedError);
    expect(await pool.apply(targets.isDaemon)).toBe(true);
    await expect(pool.apply(targets.makePool)).rejects.toThrow(
      'daemonic processes are not allowed to have children',
    );
  });

  test('an initializer runs first in each worker, also in those that come later', async () => {
    make(1, { initializer: targets.begin, initargs: [{ a: 1 }] });
    expect(await pool.apply(targets.whatBegan)).toEqual({ a: 1 });
    await expect(pool.apply(targets.behave, ['killed'])).rejects.toThrow('SIGKILL');
    expect(await pool.apply(targets.whatBegan)).toEqual({ a: 1 });
  });

  test('initargs may hold what only children may have', async () => {
    const value = ctx.Value('i', 5);
    make(1, { initializer: targets.begin, initargs: [value] });
    await pool.apply(targets.addToBegun);
    expect(value.value).toBe(6);
  });

  test('several callers at once', async () => {
    make();
    const caller = async (n: number) => {
      for (let i = 0; i < 30; i++) expect(await pool.apply(targets.add, [n, i])).toBe(n + i);
    };
    await Promise.all(numbers(8).map(caller));
  });

  test('a signal: what is queued is not begun, what runs is ended', async () => {
    make(1);
    const path = scratchFile('begun');
    const abort = new AbortController();
    const loop = pool.apply(targets.behave, ['loop'], {}, { signal: abort.signal });
    const queued = pool.apply(targets.note, [[1, path]], {}, { signal: abort.signal });
    const both = Promise.allSettled([loop, queued]);
    await expect.poll(() => pool.stats().running).toBe(1);
    abort.abort();
    const names = (await both).map((outcome) => (outcome as PromiseRejectedResult).reason.name);
    expect(names).toEqual(['CancelledError', 'CancelledError']);
    expect(await pool.apply(targets.square, [5])).toBe(25);
    expect(existsSync(path)).toBe(false);
    await expect(
      pool.apply(targets.square, [1], {}, { signal: AbortSignal.abort() }),
    ).rejects.toThrow('aborted');
  });

  test('many calls may have one signal', async () => {
    make();
    const warned: string[] = [];
    const note = ({ name }: Error) => void warned.push(name);
    process.on('warning', note);
    const { signal } = new AbortController();
    const calls = numbers(30).map((x) => pool.apply(targets.square, [x], {}, { signal }));
    expect(await Promise.all(calls)).toEqual(squares(30));
    await new Promise(setImmediate);
    process.off('warning', note);
    expect(warned).toEqual([]);
  });

  test('a task may clean up when it is cancelled', async () => {
    make(1, { killTimeout: 30 });
    const path = scratchFile('cleaned');
    const abort = new AbortController();
    const result = pool.apply(targets.untilCancelled, [path], {}, { signal: abort.signal });
    const outcome = result.catch((e: Error) => e.name);
    await expect.poll(() => pool.stats().running).toBe(1);
    abort.abort();
    expect(await outcome).toBe('CancelledError');
    expect(await pool.apply(targets.square, [5])).toBe(25); // in the next worker
    expect(readFileSync(path, 'utf8')).toBe('cleaned up');
    expect(pool.stats().replaced).toEqual({ cancel: 1 });
  });

  test('a lost task is tried again, if that is wanted', async () => {
    make(2, { onWorkerDeath: 'retry' });
    expect(await pool.map(targets.secondTry, [1, 2, 3], { chunksize: 1 })).toEqual([1, 4, 9]);
    await expect(pool.apply(targets.behave, ['killed'])).rejects.toThrow(/SIGKILL/);
    expect(await pool.map(targets.aboutTask, ['a', 'b'], { chunksize: 1 })).toEqual([
      [0, 1],
      [1, 1],
    ]);
  });

  test('a pool that breaks when a worker dies', async () => {
    make(2, { onWorkerDeath: 'break' });
    const outcomes = await Promise.allSettled([
      pool.apply(targets.behave, ['killed']),
      pool.apply(targets.behave, ['loop']),
    ]);
    const errors = outcomes.map((outcome) => (outcome as PromiseRejectedResult).reason as Error);
    expect(errors.map(({ name }) => name)).toEqual(['BrokenProcessPool', 'BrokenProcessPool']);
    expect(errors[0]).not.toBe(errors[1]);
    expect((errors[0] as { cause: { exitcode: number } }).cause.exitcode).toBe(-9);
  });

  test('progress', async () => {
    make();
    const seen: { done: number; total: number | undefined; reports: number }[] = [];
    await pool.map(targets.reportHalf, numbers(10), {
      chunksize: 1,
      onProgress: ({ done, total, reports }) =>
        void seen.push({ done, total, reports: reports.size }),
    });
    expect(seen.at(-1)).toMatchObject({ done: 10, total: 10 });
    expect(seen.reduce((sum, { reports }) => sum + reports, 0)).toBe(10);
    await expect(
      pool.map(targets.fail, [1], {
        onProgress: ({ failed }) => void seen.push({ done: failed, total: 0, reports: 0 }),
      }),
    ).rejects.toThrow('item 1');
    expect(seen.at(-1)?.done).toBe(1);
  });

  test('several asynchronous tasks in one worker', async () => {
    make(1, { concurrency: 4 });
    const meet = async (n: number) => {
      const state = globalThis as { here?: number; tell?: () => void; all?: Promise<void> };
      state.all ??= new Promise((resolve) => {
        state.tell = resolve;
      });
      state.here = (state.here ?? 0) + 1;
      if (state.here === 4) state.tell?.();
      await state.all; // only when all four are in hand
      return n;
    };
    expect(await pool.map(meet, [1, 2, 3, 4], { chunksize: 1 })).toEqual([1, 2, 3, 4]);
  });

  test('a worker that takes too much memory makes way for another one', async () => {
    make(1, { maxMemory: 1 });
    const first = await pool.apply(targets.pid);
    expect(await pool.apply(targets.pid)).not.toBe(first);
    expect(pool.stats().replaced).toEqual({ done: 1 });
  });

  test('what a task has left behind is said, and whose it was', async () => {
    make(1);
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    expect(await pool.apply(targets.behave, ['timer'])).toBe(0);
    const { name, message, cause } = await warned;
    expect([name, message, (cause as Error).message]).toEqual([
      'PoolTaskWarning',
      'something that task behave had left behind has thrown, and the worker makes way for a new one',
      'left behind',
    ]);
    expect(await pool.apply(targets.square, [3])).toBe(9);
  });

  test('what tasks have left in the event loop of a worker can be seen', async () => {
    make(1);
    const said = () => pool.stats().workers.map(({ leftBehind, leftBy }) => [leftBehind, leftBy]);
    const leaveTimer = () => void setTimeout(() => {}, 1e6);
    await pool.apply(targets.square, [2]);
    await pool.apply(leaveTimer);
    await expect.poll(said).toEqual([[1, 'leaveTimer']]);
    expect(await pool.apply(targets.square, [3])).toBe(9);
  });

  test('large arguments and results', async () => {
    make();
    const array = new Float64Array(1_000_000).fill(1.5);
    const twice = await pool.apply((a: Float64Array) => a.map((x) => x * 2), [array]);
    expect(twice.length).toBe(1_000_000);
    expect([twice[0], twice[999_999]]).toEqual([3, 3]);
    const long = 'x'.repeat(100_000);
    expect(await pool.map((s: string) => s.length, Array<string>(50).fill(long))).toEqual(
      Array(50).fill(100_000),
    );
  });

  test('times that workers write down are those of the parent, which is older than they are', async () => {
    const begin = performance.now();
    const seconds = () => (performance.now() - begin) / 1000;
    make(1);
    await pool.apply(targets.pid);
    const { wait, run, workers } = pool.stats();
    expect(wait.sum).toBeGreaterThan(0);
    expect(wait.sum + run.sum).toBeLessThanOrEqual(seconds());
    expect(workers[0]?.startup).toBeGreaterThan(0);
    expect(workers[0]?.startup).toBeLessThan(seconds());
    expect(workers[0]?.idle).toBeLessThan(seconds());
  });

  test('what it says of itself', async () => {
    make(2);
    expect(String(pool)).toBe('<multiprocessing.pool.Pool state=RUN pool_size=2>');
    await pool.map(targets.square, numbers(10), { chunksize: 1 });
    const { workers, done, failed, wait, run } = pool.stats();
    expect(workers.length).toBe(2);
    expect(workers.reduce((sum, { tasks }) => sum + tasks, 0)).toBe(10);
    expect([done, failed, wait.count, run.count]).toEqual([10, 0, 10, 10]);
    expect(run.counts.reduce((a, b) => a + b)).toBe(10);
    const prefix = { spawn: 'Spawn', fork: 'Fork', forkserver: 'ForkServer' }[method];
    const names = mp.activeChildren().map(({ name }) => name.replace(/\d+(:\d+)?$/, ''));
    expect(names).toEqual([`${prefix}PoolWorker-`, `${prefix}PoolWorker-`]);
  });
});
