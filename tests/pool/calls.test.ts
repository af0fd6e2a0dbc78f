/**
 * Calls of a Pool in unusual circumstances, and the lives of its workers.
 */
import * as mp from 'multiprocessing';
import { MaybeEncodingError, type Pool } from 'multiprocessing/pool';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/pool_targets.js';
import { fromSlowModule } from '../fixtures/dist/slow_module.js';
import { collected } from '../support/garbage.ts';
import { runProgram } from '../support/programs.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Numbers from 0, and an error in the place of one of them. */
function* numbersUntil(place: number) {
  for (let i = 0; i < place; i++) yield i;
  throw new RangeError('somebody said when');
}

forEachStartMethod((ctx, method) => {
  let pool: Pool;
  const make = (processes = 2, options = {}) => {
    pool = ctx.Pool(processes, options);
    return pool;
  };
  const workers = () => mp.activeChildren().filter(({ name }) => name.includes('PoolWorker'));
  const pids = () => pool.stats().workers.map(({ pid }) => pid);
  afterEach(async () => {
    pool?.terminate();
    await pool?.join();
    expect(workers()).toEqual([]);
  });

  test('map in chunks of any size, and of nothing', async () => {
    make(4);
    const squares = numbers(100).map((x) => x * x);
    expect(await pool.map(targets.square, numbers(100), { chunksize: 20 })).toEqual(squares);
    const pairs = numbers(100).map((x) => [x, 99 - x] as [number, number]);
    expect(await pool.starmap(targets.add, pairs, { chunksize: 20 })).toEqual(Array(100).fill(99));
    expect(await pool.mapAsync(targets.square, [], { chunksize: 1 }).get(60)).toEqual([]);
    expect(await pool.map(targets.square, [])).toEqual([]);
    for await (const _ of pool.imap(targets.square, [])) expect.unreachable();
    for await (const _ of pool.imapUnordered(targets.square, [])) expect.unreachable();
  });

  test('callbacks of mapAsync are called once, with the list or the error', async () => {
    make();
    const seen: unknown[] = [];
    const note = (value: unknown) => void seen.push(value);
    const options = { callback: note, errorCallback: note };
    await pool.mapAsync(targets.square, [2], options).wait();
    await pool.mapAsync(targets.fail, [1], options).wait();
    expect(seen).toEqual([[4], expect.any(targets.OwnError)]);
  });

  test('items that cannot be pickled fail the call, and nothing hangs', async () => {
    make();
    const items = numbers(10).map(() => new targets.Trouble('pickled', 1));
    await expect(pool.map((x: unknown) => x, items)).rejects.toThrow(/cannot pickle/);
    expect(await pool.map(targets.square, [3])).toEqual([9]);
  });

  test('map throws what its iterable throws', async () => {
    make();
    for (const place of [0, 0, 3])
      await expect(pool.map(targets.square, numbersUntil(place), { chunksize: 1 })).rejects.toThrow(
        new RangeError('somebody said when'),
      );
    expect(() => pool.mapAsync(targets.square, numbersUntil(0))).toThrow(RangeError);
    const error = (await pool.map(targets.square, numbersUntil(1)).catch((e) => e)) as Error;
    expect(error.cause).toBe(undefined); // it comes from no worker
    expect(await pool.map(targets.square, [3])).toEqual([9]);
  });

  describe.each(['imap', 'imapUnordered'] as const)('%s', (call) => {
    test.each([
      [0, 1],
      [3, 1],
      [7, 2],
      [7, 4],
    ])(
      'gives what came before an error of its iterable: item %s, chunks of %s',
      async (place, chunksize) => {
        make();
        const results: number[] = [];
        const taken = async () => {
          for await (const x of pool[call](targets.square, numbersUntil(place), { chunksize }))
            results.push(x);
        };
        await expect(taken()).rejects.toThrow('somebody said when');
        if (call === 'imapUnordered') results.sort((a, b) => a - b);
        expect(results).toEqual(numbers(place).map((x) => x * x));
      },
    );
  });

  test('imap one by one, and its end', async () => {
    make();
    const results = pool.imap(targets.square, numbers(1000), { chunksize: 100 });
    for (const x of numbers(1000)) expect((await results.next()).value).toBe(x * x);
    expect(await results.next()).toEqual({ done: true, value: undefined });
    expect(await results.next(0)).toEqual({ done: true, value: undefined });
  });

  test('terminate ends ten thousand tasks that would take for ever', async () => {
    make(3);
    const result = pool.mapAsync(targets.behave, Array<string>(10_000).fill('loop'), {
      chunksize: 1,
    });
    await expect.poll(() => pool.stats().running, { timeout: 60_000 }).toBe(3);
    pool.terminate();
    await pool.join();
    await expect(result.get()).rejects.toThrow('the pool was terminated');
  });

  test('terminate ends calls whose iterables never end', async () => {
    make();
    let ended = 0;
    function* endless() {
      try {
        for (;;) yield 1;
      } finally {
        ended++;
      }
    }
    async function* endlessLater() {
      yield* endless();
    }
    const calls = [
      pool.imap(targets.square, endless()),
      pool.imapUnordered(targets.square, endlessLater()),
    ];
    for (const results of calls) expect((await results.next()).value).toBe(1);
    pool.terminate();
    for (const results of calls) {
      await expect(async () => {
        for await (const x of results) expect(x).toBe(1);
      }).rejects.toThrow('the pool was terminated');
    }
    await expect.poll(() => ended).toBe(2);
  });

  test('the time of a task begins when what it needs is imported', async () => {
    make(1);
    expect(await pool.apply(fromSlowModule, [1], {}, { timeout: 0.3 })).toBe(2);
    await expect(pool.apply(targets.behave, ['loop'], {}, { timeout: 0.3 })).rejects.toThrow(
      mp.TimeoutError,
    );
    expect(await pool.map(fromSlowModule, [1, 2], { timeout: 0.3 })).toEqual([2, 3]);
    const later = (x: number) => fromSlowModule(x);
    expect(await pool.apply(later, [5], {}, { timeout: 0.3 })).toBe(6);
  });

  test('large errors, and a join at once', async () => {
    make();
    await expect(pool.map(targets.throwLarge, [0, 1])).rejects.toThrow(mp.ValueError);
    const result = pool.mapAsync(targets.throwLarge, numbers(8), { chunksize: 1 });
    pool.close();
    await pool.join();
    await expect(result.get()).rejects.toThrow(mp.ValueError);
  });

  test('arguments and results that nobody has are garbage', async () => {
    make();
    const refs: WeakRef<object>[] = [];
    const use = async () => {
      const items = numbers(5).map((n) => ({ n }));
      for (const item of items) refs.push(new WeakRef(item));
      for (const item of await pool.map((x: object) => x, items)) refs.push(new WeakRef(item));
    };
    await use();
    expect(refs.length).toBe(10);
    for (const ref of refs) expect(await collected(ref)).toBe(true);
  });

  test('results that cannot be sent cost no worker', async () => {
    make();
    await pool.map(targets.square, [1, 2]);
    const before = pids();
    for (let i = 0; i < 20; i++) {
      const seen: unknown[] = [];
      const result = pool.applyAsync(
        targets.behave,
        ['result that cannot be sent'],
        {},
        { errorCallback: (error) => void seen.push(error) },
      );
      const error = await result.get().catch((e: unknown) => e);
      expect(error).toBeInstanceOf(MaybeEncodingError);
      expect(seen).toEqual([error]);
      expect((error as MaybeEncodingError).value).toMatch(/WeakMap/);
      expect((error as MaybeEncodingError).exc).not.toBe('');
    }
    expect(pids()).toEqual(before);
  });

  test('workers make way for others after their number of tasks', async () => {
    make(3, { maxtasksperchild: 10 });
    const results = numbers(100).map((x) => pool.applyAsync(targets.square, [x]));
    await results[0]?.wait();
    const before = pids();
    expect(before.length).toBeGreaterThan(0);
    for (const [x, result] of results.entries()) expect(await result.get()).toBe(x * x);
    const isNew = () => pids().length === 3 && !pids().some((pid) => before.includes(pid));
    await expect.poll(isNew, { timeout: 60_000 }).toBe(true);
  });

  test('a close before workers with one task each are through', async () => {
    make(3, { maxtasksperchild: 1 });
    const results = numbers(6).map((x) => pool.applyAsync(targets.squareLater, [x]));
    pool.close();
    await pool.join();
    for (const [x, result] of results.entries()) expect(await result.get()).toBe(x * x);
  });

  test('a chunk counts as one task of a worker', async () => {
    make(1, { maxtasksperchild: 2 });
    const seen = await pool.map(targets.pid, numbers(20), { chunksize: 5 });
    expect(new Set(seen).size).toBe(2);
  });

  test('a pool that is closed before it has anything to do starts no worker', async () => {
    const ran = ctx.Semaphore(0);
    make(1, { initializer: (s: typeof ran) => s.release(), initargs: [ran] });
    pool.close();
    await pool.join();
    expect(ran.acquireSync(false)).toBe(false);
  });

  test('a pool in a process that is not daemonic', async () => {
    make(1);
    const result = ctx.SimpleQueue();
    const child = new ctx.Process({ target: targets.poolInProcess, args: [result, method] });
    await child.start();
    expect(await result.get()).toEqual([0, 1, 4, 9]);
    await child.join();
    expect(child.exitcode).toBe(0);
  });

  test('a pool of many workers', async () => {
    make(24);
    expect(await pool.map(targets.square, numbers(200), { chunksize: 1 })).toEqual(
      numbers(200).map((x) => x * x),
    );
    await expect.poll(() => pids().length, { timeout: 60_000 }).toBe(24);
  });

  test('a pool that a global holds does not keep its program', async () => {
    const { code, stderr } = await runProgram('pool_ends', [method, 'idle'], { method });
    expect([code, stderr]).toEqual([0, '']);
  });
});

test('a pool whose workers cannot be started leaves none, and says why', async () => {
  const ctx = mp.getContext('spawn');
  ctx.setExecutable('/there/is/no/such/node');
  try {
    const pool = ctx.Pool(3);
    const error = (await pool.apply(targets.square, [1]).catch((e) => e)) as Error;
    expect([error.name, (error.cause as { code?: string }).code]).toEqual([
      'BrokenProcessPool',
      'ENOENT',
    ]);
    await pool.join();
    expect(mp.activeChildren().filter(({ name }) => name.includes('PoolWorker'))).toEqual([]);
  } finally {
    ctx.setExecutable(process.execPath);
  }
});
