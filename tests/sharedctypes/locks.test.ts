/**
 * Values and arrays with the locks of their context. What does not depend on the kind of lock is in
 * sharedctypes.test.ts.
 */
import * as mp from 'multiprocessing';
import { type SharedLock, synchronized } from 'multiprocessing/sharedctypes';
import { expect, test } from 'vitest';
import * as targets from '../fixtures/dist/shared_targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

const { codesValues, Foo } = targets;

forEachStartMethod((ctx) => {
  async function run(target: (...args: never[]) => unknown, ...args: unknown[]): Promise<void> {
    const p = new ctx.Process({ target: target as (...args: unknown[]) => unknown, args });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
  }

  test('values have a lock of their own and are set by a child', async () => {
    const values = codesValues.map(([code, first]) => ctx.Value(code as 'i', first as number));
    await run(targets.setValues, values);
    expect(values.map((v) => v.value)).toEqual(codesValues.map(([, , second]) => second));
    expect(new Set(values.map((v) => v.getLock())).size).toBe(values.length);
  });

  test('arrays have a lock of their own and are worked in by a child', async () => {
    const arr = ctx.Array('i', [1, 2, 3, 4]);
    await run(targets.sumUp, arr);
    expect([...arr]).toEqual([1, 3, 6, 10]);
  });

  test('all kinds of objects with locks of their own reach a child', async () => {
    const all = {
      x: ctx.Value('i', 7),
      y: ctx.Value('d', 1 / 3),
      z: ctx.Value('q', 2 ** 33),
      foo: ctx.Value(Foo, [3, 2]),
      arr: ctx.Array('d', [0, 1, 2]),
      string: ctx.Array('c', 20),
    };
    all.string.value = Buffer.from('hello');
    await run(targets.double as never, all);
    expect([all.x.value, all.y.value, all.z.value]).toEqual([14, 2 / 3, 2n ** 34n]);
    expect([all.foo.x, all.foo.y, all.string.value.toString()]).toEqual([6, 4, 'hellohello']);
    expect([...all.arr]).toEqual([0, 2, 4]);
  });

  test('no addition under the lock of a value is lost', async () => {
    const counter = ctx.Value('i');
    const all = Array.from({ length: 3 }, () => {
      return new ctx.Process({ target: targets.count, args: [500, counter] });
    });
    await Promise.all(all.map((p) => p.start()));
    targets.count(500, counter);
    await Promise.all(all.map((p) => p.join()));
    expect(counter.value).toBe(2000);
  });
});

test('the lock is an RLock of the context, unless one is given', async () => {
  for (const value of [
    mp.Value('i', 5),
    mp.Value('i', 5, { lock: true }),
    mp.Value('i', 5, { lock: null }),
    mp.Array('i', [5], { lock: undefined }),
    synchronized(mp.RawValue('i', 5)),
  ]) {
    expect(value.getLock().constructor).toBe((mp.RLock() as object).constructor);
    // One that may be taken again by whom holds it.
    using _ = value.guardSync();
    expect(String(value.getObj())).toMatch(/5/);
    expect(value.acquireSync()).toBe(true);
    value.release();
  }
  const lock: SharedLock = mp.Lock();
  expect(mp.Value('i', 5, { lock }).getLock()).toBe(lock);
  expect(mp.Array('i', 5, { lock }).getLock()).toBe(lock);
});
