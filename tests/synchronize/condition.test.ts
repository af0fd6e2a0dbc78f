/**
 * Conditions between processes. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { ForkingPickler } from 'multiprocessing/reduction';
import type { Condition, Semaphore } from 'multiprocessing/synchronize';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/synchronize_targets.js';
import { Channel } from '../support/scratch.ts';
import { type Context, forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;
const { acquire, waitFor } = targets;

/** Children that wait for a condition, all of them in their wait when this returns. */
async function sleepers(
  ctx: Context,
  form: targets.Form,
  n: number,
  timeout?: number,
): Promise<{ condition: Condition; woken: Semaphore; end: () => Promise<void> }> {
  const condition = ctx.Condition();
  const [sleeping, woken] = [ctx.Semaphore(0), ctx.Semaphore(0)];
  const children = Array.from(
    { length: n },
    () =>
      new ctx.Process({
        target: targets.sleepAndWake,
        args: [form, condition, sleeping, woken, timeout],
      }),
  );
  for (const child of children) await child.start();
  for (let i = 0; i < n; i++) await acquire(form, sleeping);
  const end = async () => {
    for (const child of children) await child.join();
    expect(children.map((child) => child.exitcode)).toEqual(new Array(n).fill(0));
    expect(condition.locked()).toBe(false);
  };
  return { condition, woken, end };
}

async function notify(form: targets.Form, condition: Condition, n: number): Promise<void> {
  await acquire(form, condition); // whoever has said that it sleeps has given the lock back now
  if (n === Infinity) condition.notifyAll();
  else condition.notify(n);
  condition.release();
}

forEachStartMethod((ctx) => {
  describe.each(forms)('%s', (form) => {
    test('notify wakes one of those who wait, each time another', async () => {
      const { condition, woken, end } = await sleepers(ctx, form, 2);
      expect(await acquire(form, woken, true, 0.05)).toBe(false);
      await notify(form, condition, 1);
      expect(await acquire(form, woken, true, 30)).toBe(true);
      expect(await acquire(form, woken, true, 0.05)).toBe(false);
      await notify(form, condition, 1);
      expect(await acquire(form, woken, true, 30)).toBe(true);
      await end();
    });

    test('notifyAll wakes all who wait, and none whose time was over', async () => {
      const timed = await sleepers(ctx, form, 2, 0.05);
      for (let i = 0; i < 2; i++) expect(await acquire(form, timed.woken, true, 30)).toBe(true);
      await timed.end();
      expect(String(timed.condition)).toBe('<Condition(<RLock(None, 0)>, 0)>');
      const { condition, woken, end } = await sleepers(ctx, form, 3);
      await acquire(form, condition); // they have given it back: they wait
      expect(String(condition)).toMatch(/, 3\)>$/);
      condition.release();
      await notify(form, condition, Infinity);
      for (let i = 0; i < 3; i++) expect(await acquire(form, woken, true, 30)).toBe(true);
      await end();
    });

    test('notify(n) wakes n, and no more than there are', async () => {
      const { condition, woken, end } = await sleepers(ctx, form, 4);
      await notify(form, condition, 1);
      expect(await acquire(form, woken, true, 30)).toBe(true);
      await notify(form, condition, 2);
      for (let i = 0; i < 2; i++) expect(await acquire(form, woken, true, 30)).toBe(true);
      expect(await acquire(form, woken, true, 0.05)).toBe(false);
      await notify(form, condition, 7);
      expect(await acquire(form, woken, true, 30)).toBe(true);
      await notify(form, condition, 3); // there is nobody
      expect(woken.getValue()).toBe(0);
      await end();
    });

    test('a wait whose time is over says so, and holds the lock again', async () => {
      for (const lock of [ctx.Lock(), ctx.RLock(), undefined]) {
        const condition = ctx.Condition(lock);
        await acquire(form, condition);
        for (const timeout of [0, -1, 0.05]) {
          expect(await waitFor(form, condition, timeout)).toBe(false);
          expect(condition.locked()).toBe(true);
        }
        condition.notify(); // who has given up is not waiting any more
        condition.release();
        expect(String(condition)).toMatch(/, 0\)>$/);
      }
    });

    test('a wait gives back an rlock however often it is held, and takes it as often again', async () => {
      const condition = ctx.Condition();
      for (let i = 0; i < 3; i++) await acquire(form, condition);
      const channel = new Channel();
      const p = new ctx.Process({
        target: targets.waitForFour,
        args: [form, condition, ctx.RawArray('i', 1), channel.path, 0.05],
      });
      await p.start();
      expect(await waitFor(form, condition, 30)).toBe(true); // the child could take it to notify
      expect(String(condition)).toMatch('RLock(MainProcess, 3)');
      for (let i = 0; i < 3; i++) condition.release();
      expect(await channel.next()).toBe(false);
      await p.join();
      expect(condition.locked()).toBe(false);
    });

    test('waitFor waits until its predicate holds, and gives its last value', async () => {
      const condition = ctx.Condition();
      const cells = ctx.RawArray('i', [-1]);
      const channel = new Channel();
      const p = new ctx.Process({
        target: targets.waitForFour,
        args: [form, condition, cells, channel.path],
      });
      await p.start();
      await acquire(form, condition);
      const isZero = () => cells[0] === 0;
      if (form === 'sync') expect(condition.waitForSync(isZero)).toBe(true);
      else expect(await condition.waitFor(isZero)).toBe(true);
      for (let i = 0; i < 4; i++) {
        cells[0] = (cells[0] as number) + 1;
        condition.notify();
        await waitFor(form, condition, 0.01);
      }
      condition.release();
      expect(await channel.next()).toBe(true);
      await p.join();
    });

    test('waitFor ends with its timeout, with what the predicate gave then', async () => {
      const condition = ctx.Condition();
      const cells = ctx.RawArray('i', [-1]);
      const channel = new Channel();
      await acquire(form, condition);
      const p = new ctx.Process({
        target: targets.waitForFour,
        args: [form, condition, cells, channel.path, 0.1],
      });
      await p.start();
      expect(await waitFor(form, condition, 30)).toBe(true);
      condition.release();
      expect(await channel.next()).toBe(false);
      await p.join();
    });

    test('the result of a wait tells a notification from the end of the time', async () => {
      const condition = ctx.Condition();
      const channel = new Channel();
      for (const timeout of [0.05, 30]) {
        const p = new ctx.Process({
          target: targets.reportWait,
          args: [form, condition, channel.path, timeout],
        });
        await p.start();
        expect(await channel.next()).toBe('waiting');
        if (timeout === 30) await notify(form, condition, 1);
        expect(await channel.next()).toBe(timeout === 30);
        await p.join();
      }
    });

    test('a notification that nobody is left to take goes to one who is', async () => {
      const condition = ctx.Condition();
      const channel = new Channel();
      const children = [0, 1, 2].map(
        () =>
          new ctx.Process({
            target: targets.reportWait,
            args: [form, condition, channel.path, 60],
          }),
      );
      for (const child of children) {
        await child.start();
        await channel.next();
        await acquire(form, condition); // now it is in its wait
        condition.release();
      }
      for (const child of children.slice(0, 2)) {
        child.kill();
        await child.join();
      }
      await notify(form, condition, 1);
      expect(await channel.next()).toBe(true);
      await children[2]?.join();
      await notify(form, condition, 1);
      expect(String(condition)).toBe('<Condition(<RLock(None, 0)>, 0)>');
    });
  });

  test('a condition whose lock is not held cannot be waited for or notified', async () => {
    for (const condition of [ctx.Condition(), ctx.Condition(ctx.Lock())]) {
      const message = 'must acquire() condition before using wait()';
      await expect(condition.wait()).rejects.toThrow(mp.AssertionError);
      expect(() => condition.waitSync()).toThrow(message);
      expect(() => condition.notify()).toThrow('lock is not owned');
      expect(() => condition.notifyAll()).toThrow(mp.AssertionError);
    }
  });

  test('a condition cannot be pickled but for a child that is being started', () => {
    expect(() => ForkingPickler.dumps(ctx.Condition())).toThrow(
      'Condition objects should only be shared between processes through inheritance',
    );
  });
});

test('many waits of one process are woken in their order', async () => {
  const condition = mp.Condition(mp.Lock());
  const order: number[] = [];
  const waits = Array.from({ length: 100 }, async (_, i) => {
    await condition.acquire();
    expect(await condition.wait(30)).toBe(true);
    order.push(i);
    condition.release();
  });
  await condition.acquire();
  while (!String(condition).endsWith(', 100)>')) {
    condition.release();
    await condition.acquire();
  }
  condition.notify(40);
  condition.release();
  await Promise.all(waits.slice(0, 40));
  await condition.acquire();
  condition.notifyAll();
  condition.release();
  await Promise.all(waits);
  expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

test('bad arguments of a condition are told', async () => {
  expect(() => mp.Condition({} as never)).toThrow(/^lock must be a Lock or an RLock/);
  const condition = mp.Condition();
  await condition.acquire();
  await expect(condition.wait(Number.NaN)).rejects.toThrow(mp.ValueError);
  expect(() => condition.waitSync('1' as never)).toThrow(TypeError);
  expect(() => condition.notify(1.5)).toThrow(/^n must be a whole number/);
  condition.release();
});
