/**
 * Processes that die with a queue: nothing is corrupted, nobody is blocked, and what was put is there.
 */
import * as mp from 'multiprocessing';
import type { Queue } from 'multiprocessing/queues';
import { expect, test, vi } from 'vitest';
import * as targets from '../fixtures/dist/queue_targets.js';
import { runProgram } from '../support/programs.ts';
import { Channel } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;

forEachStartMethod((ctx, method) => {
  /** A hundred in all: most time goes into starts, and those of spawn take the longest. */
  const kills = method === 'spawn' ? 20 : 40;

  test('producers that are killed in the middle of a put corrupt nothing', async () => {
    const queue = ctx.Queue(50);
    const next = new Map<number, number>();
    const take = ([id, i]: [number, number]) => {
      if (i !== (next.get(id) ?? 0)) expect({ id, i }).toEqual({ id, i: next.get(id) });
      next.set(id, i + 1);
    };
    for (let id = 0; id < kills; id++) {
      const form = forms[id % 2] as (typeof forms)[number];
      const p = new ctx.Process({ target: targets.produceForEver, args: [form, queue, id] });
      await p.start();
      // Its first item, some more, and it dies while it puts or waits for room.
      do take((await queue.get(true, 30)) as [number, number]);
      while (!next.has(id) || (next.get(id) as number) < (id * 7) % 40);
      p.kill();
      await p.join();
    }
    while (!queue.empty()) take(queue.getSync(true, 30) as [number, number]);
    expect(next.size).toBe(kills);
    queue.putSync([0, -1]);
    expect(queue.getSync(true, 30)).toEqual([0, -1]);
  });

  test('consumers that are killed in the middle of a get lose at most an item each', async () => {
    const queue = ctx.Queue();
    let put = 0;
    for (let i = 0; i < kills; i++) {
      const form = forms[i % 2] as (typeof forms)[number];
      const p = new ctx.Process({ target: targets.consumeForEver, args: [form, queue as Queue] });
      await p.start();
      const before = queue.qsize();
      do queue.putSync(put++);
      while (queue.qsize() > before + 20 || queue.qsize() === put);
      if (i % 3 === 0) while (!queue.empty()) await new Promise((resolve) => setImmediate(resolve));
      p.kill();
      await p.join();
    }
    // What is left is in its order, and up to the last one.
    const left = Array.from({ length: queue.qsize() }, () => queue.getSync(true, 30));
    expect(left).toEqual(Array.from(left, (_, i) => put - left.length + i));
    queue.putSync('more');
    expect(queue.getSync(true, 30)).toBe('more');
  });

  test.each(forms)('who waits for an item is told when nobody is left (%s)', async (form) => {
    const queue = ctx.Queue();
    const channel = new Channel();
    const p = new ctx.Process({ target: targets.produceForEver, args: ['sync', queue, 0] });
    await p.start();
    for (let i = 0; i < 10; i++) expect(await queue.get(true, 30)).toEqual([0, i]);
    p.kill();
    const items: unknown[] = [];
    if (form === 'async') for await (const item of queue) items.push(item);
    else
      expect(() => {
        for (;;) items.push(queue.getSync());
      }).toThrow(mp.EOFError);
    expect(items.slice(0, 3)).toEqual(
      items.length > 2
        ? [
            [0, 10],
            [0, 11],
            [0, 12],
          ]
        : items,
    );
    await p.join();
    expect(queue.othersLive()).toBe(false);
    // Another one may come.
    const next = new ctx.Process({
      target: targets.holdQueue,
      args: [queue as Queue, channel.path],
    });
    await next.start();
    expect(queue.othersLive()).toBe(true);
    await channel.next();
    next.kill();
    await next.join();
    expect(queue.othersLive()).toBe(false);
  });

  test('a consumer of a parent that has put and is gone gets all, and is told', async () => {
    const queue = ctx.Queue();
    const channel = new Channel();
    for (let i = 0; i < 3; i++) queue.putSync(i);
    const consumers = forms.map(
      (form) =>
        new ctx.Process({ target: targets.drain, args: [form, queue as Queue, channel.path] }),
    );
    for (const p of consumers) await p.start();
    while (!queue.empty()) await new Promise((resolve) => setImmediate(resolve));
    // As long as this process lives they wait for it.
    for (const p of consumers) {
      expect(p.isAlive()).toBe(true);
      p.kill();
      await p.join();
    }
  });

  test.each(forms)(
    'a task in the hands of a killed process is done, with a warning (%s)',
    async (form) => {
      const warnings: Error[] = [];
      const listener = vi.fn((warning: Error) => warnings.push(warning));
      process.on('warning', listener);
      const tasks = ctx.JoinableQueue();
      const channel = new Channel();
      const p = new ctx.Process({ target: targets.hangOnTask, args: [form, tasks, channel.path] });
      await p.start();
      for (let i = 0; i < 3; i++) tasks.putSync(i);
      await channel.next();
      expect(await tasks.join(0.6)).toBe(false);
      for (let i = 0; i < 2; i++) {
        tasks.getSync();
        tasks.taskDone();
      }
      expect(form === 'sync' ? tasks.joinSync(0.6) : await tasks.join(0.6)).toBe(false);
      p.kill();
      await p.join();
      expect(form === 'sync' ? tasks.joinSync(30) : await tasks.join(30)).toBe(true);
      process.off('warning', listener);
      expect(warnings.map(({ name }) => name)).toEqual(['LostTaskWarning']);
      expect(warnings[0]?.message).toMatch(new RegExp(`process ${p.pid} .* 1 task`));
      expect(() => tasks.taskDone()).toThrow(mp.ValueError);
    },
  );
});

test('a program can end while it is woken', async () => {
  for (let i = 0; i < 5; i++) {
    const runs = [0, 1, 2, 3].map(() => runProgram('ends_while_rung'));
    for (const { stderr, code } of await Promise.all(runs)) {
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    }
  }
});
