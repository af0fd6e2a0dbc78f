/**
 * Events between processes. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { ForkingPickler } from 'multiprocessing/reduction';
import { Event } from 'multiprocessing/synchronize';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/synchronize_targets.js';
import { untilAsleep } from '../support/processes.ts';
import { Channel } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;
const { waitFor } = targets;

forEachStartMethod((ctx) => {
  describe.each(forms)('%s', (form) => {
    test('an event is waited for until it is set, and not after it was cleared', async () => {
      const event = ctx.Event();
      expect(event.isSet()).toBe(false);
      for (const timeout of [0, -1]) expect(await waitFor(form, event, timeout)).toBe(false);
      const begin = performance.now();
      expect(await waitFor(form, event, 0.1)).toBe(false);
      expect(performance.now() - begin).toBeGreaterThanOrEqual(98);
      event.set();
      expect(event.isSet()).toBe(true);
      for (const timeout of [undefined, 0, 0.1]) {
        expect(await waitFor(form, event, timeout)).toBe(true);
      }
      event.clear();
      expect(event.isSet()).toBe(false);
      const p = new ctx.Process({ target: targets.setIt, args: [event] });
      await p.start();
      expect(await waitFor(form, event)).toBe(true);
      await p.join();
    });

    test('an event that is cleared at once has woken all who waited', async () => {
      const event = ctx.Event();
      const channel = new Channel();
      const children = [0, 1, 2].map(
        () =>
          new ctx.Process({ target: targets.reportWait, args: [form, event, channel.path, 30] }),
      );
      for (const child of children) await child.start();
      expect(await channel.take(3)).toEqual(['waiting', 'waiting', 'waiting']);
      // They have said so just before they wait.
      for (const child of children) await untilAsleep(child.pid as number);
      event.set();
      event.clear();
      expect(await channel.take(3)).toEqual([true, true, true]);
      for (const child of children) await child.join();
    });

    test('each set wakes once: two processes hand a ball to and fro', async () => {
      const [there, back] = [ctx.Event(), ctx.Event()];
      const p = new ctx.Process({ target: targets.returnBall, args: [form, there, back, 2000] });
      await p.start();
      for (let i = 0; i < 2000; i++) {
        there.set();
        expect(await waitFor(form, back, 30)).toBe(true);
        back.clear();
        expect(there.isSet()).toBe(false);
      }
      await p.join();
      expect([there.isSet(), back.isSet()]).toEqual([false, false]);
    });

    test('waiters that are killed do not keep an event from waking the others', async () => {
      const event = ctx.Event();
      const channel = new Channel();
      const children = [0, 1, 2].map(
        () =>
          new ctx.Process({ target: targets.reportWait, args: [form, event, channel.path, 30] }),
      );
      for (const child of children) await child.start();
      await channel.take(3);
      for (const child of children.slice(1)) {
        child.kill();
        await child.join();
      }
      event.set();
      expect(await channel.next()).toBe(true);
      await children[0]?.join();
    });
  });

  test('the text of an event says whether it is set', () => {
    const event = ctx.Event();
    expect(String(event)).toMatch(/^<Event at 0x[0-9a-f]+ unset>$/);
    event.set();
    expect(String(event)).toMatch(/^<Event at 0x[0-9a-f]+ set>$/);
  });

  test('an event cannot be pickled but for a child that is being started', () => {
    expect(() => ForkingPickler.dumps(ctx.Event())).toThrow(
      'Event objects should only be shared between processes through inheritance',
    );
  });
});

test('an asynchronous wait for an event hears of it while it waits for other things', async () => {
  const event = new Event();
  const order: string[] = [];
  const wait = event.wait(30).then(() => order.push('event'));
  setTimeout(() => {
    order.push('timer');
    event.set();
  }, 1);
  await wait;
  expect(order).toEqual(['timer', 'event']);
});

test('bad timeouts of an event are told', async () => {
  const event = new mp.Event();
  await expect(event.wait(Number.NaN)).rejects.toThrow(mp.ValueError);
  expect(() => event.waitSync('1' as never)).toThrow(TypeError);
});
