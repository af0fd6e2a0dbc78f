/**
 * Barriers between processes. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { ForkingPickler } from 'multiprocessing/reduction';
import type { Barrier } from 'multiprocessing/synchronize';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/synchronize_targets.js';
import { Channel, linesOf, scratchFile } from '../support/scratch.ts';
import { type Context, forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;
const { meet } = targets;

/** Children that meet at a barrier, and what they report in the end. */
async function meeters(
  ctx: Context,
  form: targets.Form,
  barrier: Barrier,
  { n, times = 1, timeout }: { n: number; times?: number; timeout?: number },
): Promise<{ outcomes: () => Promise<unknown[]> }> {
  const channel = new Channel();
  const children = Array.from(
    { length: n },
    () =>
      new ctx.Process({
        target: targets.meetOften,
        args: [form, barrier, times, channel.path, timeout],
      }),
  );
  for (const child of children) await child.start();
  const outcomes = async () => {
    const reports = await channel.take(n);
    for (const child of children) await child.join();
    return reports;
  };
  return { outcomes };
}

/** Waits until so many have arrived. */
async function untilWaiting(barrier: Barrier, n: number): Promise<void> {
  while (barrier.nWaiting < n) await new Promise((resolve) => setImmediate(resolve));
}

const broken = { name: 'BrokenBarrierError', code: 'ERR_MP_BROKEN_BARRIER' };

forEachStartMethod((ctx) => {
  describe.each(forms)('%s', (form) => {
    test('nobody passes a barrier before all have come, once and ten times', async () => {
      for (const times of [1, 10]) {
        const barrier = ctx.Barrier(3);
        const phases = ctx.RawArray('i', 3);
        const children = [1, 2].map(
          (index) =>
            new ctx.Process({
              target: targets.meetInStep,
              args: [form, barrier, phases, index, times],
            }),
        );
        for (const child of children) await child.start();
        await targets.meetInStep(form, barrier, phases, 0, times);
        for (const child of children) await child.join();
        expect(children.map((child) => child.exitcode)).toEqual([0, 0]);
      }
    });

    test('each gets a number of its own, and one of them 0', async () => {
      const barrier = ctx.Barrier(3);
      const { outcomes } = await meeters(ctx, form, barrier, { n: 2, times: 5 });
      const own: number[] = [];
      for (let i = 0; i < 5; i++) own.push(await meet(form, barrier));
      const all = [own, ...((await outcomes()) as number[][])];
      for (let i = 0; i < 5; i++) {
        expect(all.map((numbers) => numbers[i]).sort()).toEqual([0, 1, 2]);
      }
    });

    test('the action is called once for each time that all have come', async () => {
      const path = scratchFile('actions');
      process.env.MP_TEST_ACTION = path;
      const barrier = ctx.Barrier(3, { action: targets.countAction });
      const channel = new Channel();
      const children = [0, 1].map(
        () =>
          new ctx.Process({
            target: targets.meetWithAction,
            args: [form, barrier, 4, path, channel.path],
          }),
      );
      for (const child of children) await child.start();
      for (let i = 0; i < 4; i++) await meet(form, barrier);
      await channel.take(2);
      for (const child of children) await child.join();
      delete process.env.MP_TEST_ACTION;
      expect(linesOf(path)).toHaveLength(4);
    });

    test('an aborted barrier throws in all who wait and in all who come', async () => {
      const barrier = ctx.Barrier(3);
      const { outcomes } = await meeters(ctx, form, barrier, { n: 2 });
      await untilWaiting(barrier, 2);
      if (form === 'sync') barrier.abortSync();
      else await barrier.abort();
      expect(await outcomes()).toMatchObject([broken, broken]);
      expect(barrier.broken).toBe(true);
      expect(String(barrier)).toMatch(/: broken>$/);
      await expect(barrier.wait()).rejects.toThrow(mp.BrokenBarrierError);
      expect(() => barrier.waitSync()).toThrow('the barrier is broken: reset it');
    });

    test('a reset throws in those who wait, and the barrier is as new', async () => {
      const barrier = ctx.Barrier(3);
      const waiting = await meeters(ctx, form, barrier, { n: 2 });
      await untilWaiting(barrier, 2);
      if (form === 'sync') barrier.resetSync();
      else await barrier.reset();
      expect(await waiting.outcomes()).toMatchObject([broken, broken]);
      expect([barrier.broken, barrier.nWaiting]).toEqual([false, 0]);
      const { outcomes } = await meeters(ctx, form, barrier, { n: 2 });
      await meet(form, barrier);
      expect(await outcomes()).toHaveLength(2);
    });

    test('an aborted barrier can be reset', async () => {
      const barrier = ctx.Barrier(2);
      const waiting = await meeters(ctx, form, barrier, { n: 1 });
      await untilWaiting(barrier, 1);
      await barrier.abort();
      await barrier.reset();
      expect(await waiting.outcomes()).toMatchObject([broken]);
      expect(barrier.broken).toBe(false);
      const { outcomes } = await meeters(ctx, form, barrier, { n: 1 });
      await meet(form, barrier);
      expect(await outcomes()).toHaveLength(1);
    });

    test('a timeout breaks the barrier for all', async () => {
      const barrier = ctx.Barrier(3);
      const { outcomes } = await meeters(ctx, form, barrier, { n: 1 });
      await untilWaiting(barrier, 1);
      const error = await targets.errorOfMeeting(form, barrier, 0.05);
      expect(error).toMatchObject(broken);
      expect(await outcomes()).toMatchObject([broken]);
      expect(barrier.broken).toBe(true);
    });

    test('the timeout of the barrier counts for waits that are given none', async () => {
      const barrier = ctx.Barrier(2, { timeout: 0.05 });
      const { outcomes } = await meeters(ctx, form, barrier, { n: 1 });
      expect(await outcomes()).toMatchObject([broken]);
      expect(barrier.broken).toBe(true);
    });

    test('an action that throws breaks the barrier for the others', async () => {
      const barrier = ctx.Barrier(2, { action: targets.failingAction });
      const { outcomes } = await meeters(ctx, form, barrier, { n: 1 });
      await untilWaiting(barrier, 1);
      expect(await targets.errorOfMeeting(form, barrier)).toMatchObject({ name: 'RangeError' });
      expect(await outcomes()).toMatchObject([broken]);
    });

    test('a waiter that is killed is forgotten, and the barrier goes on to work', async () => {
      const barrier = ctx.Barrier(3);
      const victim = new ctx.Process({ target: targets.waitAtBarrier, args: [form, barrier] });
      await victim.start();
      await untilWaiting(barrier, 1);
      victim.kill();
      await victim.join();
      const { outcomes } = await meeters(ctx, form, barrier, { n: 2, times: 3 });
      const own: number[] = [];
      for (let i = 0; i < 3; i++) own.push(await meet(form, barrier));
      const all = [own, ...((await outcomes()) as number[][])];
      expect(all.map((numbers) => numbers[0]).sort()).toEqual([0, 1, 2]);
      expect(barrier.nWaiting).toBe(0);
    });

    test('a barrier of one party never waits', async () => {
      const barrier = ctx.Barrier(1);
      for (let i = 0; i < 3; i++) expect(await meet(form, barrier)).toBe(0);
      expect([barrier.parties, barrier.nWaiting, barrier.broken]).toEqual([1, 0, false]);
    });

    test('a thousand meetings lose nobody', async () => {
      const barrier = ctx.Barrier(3);
      const { outcomes } = await meeters(ctx, form, barrier, { n: 2, times: 1000 });
      for (let i = 0; i < 1000; i++) await meet(form, barrier);
      expect((await outcomes()).map((numbers) => (numbers as number[]).length)).toEqual([
        1000, 1000,
      ]);
    });
  });

  test('a barrier cannot be pickled but for a child that is being started', () => {
    expect(() => ForkingPickler.dumps(ctx.Barrier(2))).toThrow(
      'Barrier objects should only be shared between processes through inheritance',
    );
  });
});

test('waits of one process count each for itself', async () => {
  const barrier = mp.Barrier(5);
  const numbers = await Promise.all(Array.from({ length: 5 }, () => barrier.wait()));
  expect(numbers.sort()).toEqual([0, 1, 2, 3, 4]);
  expect(String(barrier)).toMatch(/^<Barrier at 0x[0-9a-f]+: waiters=0\/5>$/);
});

test('bad arguments of a barrier are told', async () => {
  for (const parties of [0, -1, 1.5, Number.NaN]) {
    expect(() => mp.Barrier(parties)).toThrow(/^parties must be a whole number from 1/);
  }
  expect(() => mp.Barrier('2' as never)).toThrow(TypeError);
  expect(() => mp.Barrier(2, { action: 1 } as never)).toThrow(/^action must be a function/);
  expect(() => mp.Barrier(2, { timeout: Number.NaN })).toThrow(mp.ValueError);
  expect(() => mp.Barrier(2, { patience: 1 } as never)).toThrow(/unknown option 'patience'/);
  const barrier = mp.Barrier(1);
  await expect(barrier.wait(Number.NaN)).rejects.toThrow(mp.ValueError);
  expect(barrier.nWaiting).toBe(0);
});
