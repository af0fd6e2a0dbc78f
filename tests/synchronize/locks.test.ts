/**
 * Locks and semaphores between processes, in their blocking and their asynchronous form. Counterparts of CPython's
 * tests: docs/cpython-tests.md.
 */
import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import * as mp from 'multiprocessing';
import { ForkingPickler } from 'multiprocessing/reduction';
import { BoundedSemaphore, Lock, RLock, Semaphore } from 'multiprocessing/synchronize';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/synchronize_targets.js';
import { runProgram } from '../support/programs.ts';
import { Channel } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;
const { acquire } = targets;

/** The warnings about dead owners that this process emits meanwhile. */
async function warningsDuring(f: () => Promise<void>): Promise<string[]> {
  const messages: string[] = [];
  const note = (warning: Error) => {
    if (warning.name === 'DeadOwnerWarning') messages.push(warning.message);
  };
  process.on('warning', note);
  try {
    await f();
  } finally {
    process.off('warning', note);
  }
  return messages;
}

forEachStartMethod((ctx, method) => {
  describe.each(forms)('%s', (form) => {
    test('a lock is taken once, and given back once', async () => {
      const lock = ctx.Lock();
      expect(await acquire(form, lock)).toBe(true);
      expect(await acquire(form, lock, false)).toBe(false);
      expect(lock.release()).toBeUndefined();
      expect(() => lock.release()).toThrow('semaphore or lock released too many times');
      expect(() => lock.release()).toThrow(mp.ValueError);
    });

    test('an rlock is taken again by its owner and given back as often', async () => {
      const lock = ctx.RLock();
      for (let i = 1; i <= 3; i++) {
        expect(await acquire(form, lock)).toBe(true);
        expect(String(lock)).toBe(`<RLock(MainProcess, ${i})>`);
      }
      for (let i = 0; i < 3; i++) lock.release();
      expect(() => lock.release()).toThrow(mp.AssertionError);
      expect(String(lock)).toBe('<RLock(None, 0)>');
    });

    test('a semaphore counts, without a limit or up to its first value', async () => {
      for (const sem of [ctx.Semaphore(2), ctx.BoundedSemaphore(2)]) {
        expect(sem.getValue()).toBe(2);
        expect(await acquire(form, sem)).toBe(true);
        expect(await acquire(form, sem)).toBe(true);
        expect(sem.getValue()).toBe(0);
        expect(sem.locked()).toBe(true);
        expect(await acquire(form, sem, false)).toBe(false);
        sem.release();
        sem.release();
        expect(sem.getValue()).toBe(2);
        expect(sem.locked()).toBe(false);
      }
      const free = ctx.Semaphore(2);
      free.release();
      expect(free.getValue()).toBe(3);
      expect(() => ctx.BoundedSemaphore(2).release()).toThrow(mp.ValueError);
    });

    test('a timeout ends the wait, and leaves nothing behind', async () => {
      const sem = ctx.Semaphore(0);
      expect(await acquire(form, sem, false)).toBe(false);
      expect(await acquire(form, sem, false, 1000)).toBe(false); // not waiting, the timeout does not count
      for (const timeout of [0, -1]) expect(await acquire(form, sem, true, timeout)).toBe(false);
      const begin = performance.now();
      expect(await acquire(form, sem, true, 0.1)).toBe(false);
      expect(performance.now() - begin).toBeGreaterThanOrEqual(98);
      sem.release();
      expect(await acquire(form, sem, true, 0.1)).toBe(true);
      expect(sem.getValue()).toBe(0);
    });

    test('two processes count together and lose nothing', async () => {
      for (const lock of [ctx.Lock(), ctx.RLock(), ctx.Semaphore(1)]) {
        const cells = ctx.RawArray('i', 1);
        const children = [0, 1].map(
          () => new ctx.Process({ target: targets.count, args: [form, lock, cells, 300] }),
        );
        for (const child of children) await child.start();
        await targets.count(form, lock, cells, 300);
        for (const child of children) await child.join();
        expect(children.map((child) => child.exitcode)).toEqual([0, 0]);
        expect(cells[0]).toBe(900);
        expect(lock.locked()).toBe(false);
      }
    });

    test('any process may release a lock, and only its owner an rlock', async () => {
      const channel = new Channel();
      for (const lock of [ctx.Lock(), ctx.RLock()]) {
        await acquire(form, lock);
        const p = new ctx.Process({ target: targets.tryToRelease, args: [lock, channel.path] });
        await p.start();
        await p.join();
      }
      expect(await channel.take(2)).toEqual([
        'released',
        {
          name: 'AssertionError',
          message: 'attempt to release recursive lock not owned by thread',
          code: 'ERR_MP_ASSERTION',
        },
      ]);
    });

    test('a lock whose owner is killed goes to the next, with a warning that names the owner', async () => {
      for (const lock of [ctx.Lock(), ctx.RLock()]) {
        const held = ctx.Event();
        const p = new ctx.Process({ target: targets.hold, args: [form, lock, held] });
        const warnings = await warningsDuring(async () => {
          await p.start();
          await held.wait();
          expect(await acquire(form, lock, false)).toBe(false);
          p.kill();
          expect(await acquire(form, lock, true, 30)).toBe(true);
        });
        const name = lock instanceof RLock ? 'an RLock' : 'a Lock';
        expect(warnings).toEqual([
          `process ${p.pid} (${p.name}) ended while it held ${name}; process ${process.pid} has it now.` +
            ' What it protects may be half changed.',
        ]);
        lock.release();
        expect(await acquire(form, lock, false)).toBe(true);
        lock.release();
        await p.join();
      }
    });

    test('who waits already when the owner is killed gets the lock', async () => {
      const lock = ctx.Lock();
      const [held, begun] = [ctx.Event(), ctx.Event()];
      const channel = new Channel();
      const owner = new ctx.Process({ target: targets.hold, args: [form, lock, held] });
      await owner.start();
      await held.wait();
      const waiter = new ctx.Process({
        target: targets.waitToHold,
        args: [form, lock, begun, channel.path],
      });
      await waiter.start();
      await begun.wait();
      expect(await acquire('async', lock, true, 0.2)).toBe(false); // the waiter is in its sleep then
      owner.kill();
      expect(await channel.next()).toBe('acquired');
      await waiter.join();
      await owner.join();
    });

    test('a waiter that is killed is forgotten', async () => {
      const lock = ctx.Lock();
      const begun = ctx.Event();
      const channel = new Channel();
      await acquire(form, lock);
      for (let i = 0; i < 3; i++) {
        begun.clear();
        const p = new ctx.Process({
          target: targets.waitToHold,
          args: [form, lock, begun, channel.path],
        });
        await p.start();
        await begun.wait();
        expect(await acquire('async', lock, true, 0.05)).toBe(false);
        p.kill();
        await p.join();
      }
      lock.release();
      for (let i = 0; i < 100; i++) {
        expect(await acquire(form, lock, true, 30)).toBe(true);
        lock.release();
      }
      expect(channel.all()).toEqual([]);
    });

    test('the text of a lock names its owner', async () => {
      const channel = new Channel();
      const [lock, rlock] = [ctx.Lock(), ctx.RLock()];
      const sem = ctx.BoundedSemaphore(4);
      expect([lock, rlock, sem, ctx.Semaphore(3)].map(String)).toEqual([
        '<Lock(owner=None)>',
        '<RLock(None, 0)>',
        '<BoundedSemaphore(value=4, maxvalue=4)>',
        '<Semaphore(value=3)>',
      ]);
      const p = new ctx.Process({
        target: targets.reportAcquire,
        args: [form, lock, channel.path, true],
        name: 'p1',
      });
      await p.start();
      await p.join();
      expect(await channel.next()).toEqual({ taken: true, text: '<Lock(owner=p1)>' });
      await acquire(form, rlock);
      const other = new ctx.Process({
        target: targets.reportText,
        args: [channel.path, rlock],
      });
      await other.start();
      await other.join();
      expect(await channel.next()).toEqual(['<RLock(SomeOtherProcess, nonzero)>']);
      rlock.release();
    });
  });

  test('a guard holds the lock to the end of its block', async () => {
    for (const lock of [ctx.Lock(), ctx.RLock(), ctx.Semaphore(1), ctx.Condition()]) {
      {
        await using _ = await lock.guard();
        expect(lock.locked()).toBe(true);
      }
      expect(lock.locked()).toBe(false);
      {
        using _ = lock.guardSync();
        expect(lock.locked()).toBe(true);
      }
      expect(lock.locked()).toBe(false);
    }
  });

  test('a lock cannot be pickled but for a child that is being started', () => {
    const objects = { Lock: ctx.Lock(), RLock: ctx.RLock(), Semaphore: ctx.Semaphore() };
    for (const [name, object] of Object.entries(objects)) {
      expect(() => ForkingPickler.dumps(object)).toThrow(mp.RuntimeError);
      expect(() => ForkingPickler.dumps([{ deep: object }])).toThrow(
        `${name} objects should only be shared between processes through inheritance`,
      );
    }
  });

  test('a lock of a fork context is refused to other children, and one of another is not', async () => {
    const lock = ctx.Lock();
    for (const other of ['spawn', 'forkserver'] as const) {
      const channel = new Channel();
      const p = new (mp.getContext(other).Process)({
        target: targets.reportAcquire,
        args: ['sync', lock, channel.path, false],
      });
      if (method === 'fork') {
        await expect(p.start()).rejects.toThrow(
          'A SemLock created in a fork context is being shared with a process in a spawn context.',
        );
      } else {
        await p.start();
        await p.join();
        expect(await channel.next()).toMatchObject({ taken: true });
        lock.release();
      }
    }
  });
});

test('who waits gets a lock that others take again and again', async () => {
  const ctx = mp.getContext('forkserver');
  const [lock, stop] = [ctx.Lock(), ctx.Event()];
  const greedy = [0, 1].map(
    () => new ctx.Process({ target: targets.takeUntil, args: [lock, stop] }),
  );
  for (const child of greedy) await child.start();
  for (const form of forms) {
    for (let i = 0; i < 100; i++) {
      expect(await acquire(form, lock, true, 30)).toBe(true);
      lock.release();
    }
  }
  stop.set();
  for (const child of greedy) await child.join();
});

test('asynchronous functions of one thread share an rlock, and not a lock', async () => {
  const [lock, rlock] = [mp.Lock(), mp.RLock()];
  await Promise.all([lock.acquire(), rlock.acquire()]);
  const others = [lock.acquire(true, 0.02), rlock.acquire(true, 0.02)];
  expect(await Promise.all(others)).toEqual([false, true]);
});

test('locks have no file with a name, and share their memory', () => {
  const open = () => {
    return readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // the fd of the listing itself
      }
    });
  };
  const before = open();
  const locks = Array.from({ length: 20 }, () => mp.Lock());
  const made = open().filter((file) => !before.includes(file));
  expect(made.length).toBeLessThanOrEqual(1); // more memory for all of them, if there was not enough
  for (const file of made) expect(file).toMatch(/^\/memfd:/);
  expect(locks.every((lock) => !lock.locked())).toBe(true);
});

describe('a wait', () => {
  test('a thousand asynchronous waits leave the event loop and its thread pool free', async () => {
    const lock = new Lock();
    const path = new URL(import.meta.url);
    await lock.acquire();
    const order: number[] = [];
    const waits = Array.from({ length: 1000 }, async (_, i) => {
      await lock.acquire();
      order.push(i);
      lock.release();
    });
    const reads = await Promise.all(Array.from({ length: 20 }, () => readFile(path, 'utf8')));
    expect(reads.every((text) => text.length > 0)).toBe(true);
    expect(order).toEqual([]);
    lock.release();
    await Promise.all(waits);
    expect(order).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(lock.locked()).toBe(false);
  });

  test('that blocks takes next to no processor time', () => {
    const lock = new Lock();
    lock.acquireSync();
    const before = process.cpuUsage();
    expect(lock.acquireSync(true, 1)).toBe(false);
    const { user, system } = process.cpuUsage(before);
    expect(user + system).toBeLessThan(200_000); // microseconds, of a wait of one second
  });

  test('that is given up does not take what comes later', async () => {
    const sem = new Semaphore(0);
    const waits = Array.from({ length: 10 }, () => sem.acquire(true, 0.02));
    expect(await Promise.all(waits)).toEqual(new Array(10).fill(false));
    sem.release();
    expect(sem.getValue()).toBe(1);
    const late = [sem.acquire(true, 30), sem.acquire(true, 0.02)];
    expect(await Promise.all(late)).toEqual([true, false]);
  });

  test('several releases at once serve as many waits', async () => {
    const sem = new Semaphore(0);
    const waits = Array.from({ length: 5 }, () => sem.acquire(true, 30));
    for (let i = 0; i < 5; i++) sem.release();
    expect(await Promise.all(waits)).toEqual(new Array(5).fill(true));
    expect(sem.getValue()).toBe(0);
  });
});

test('a lock at the top of a main module can be made again by a spawned child', async () => {
  const { stdout, stderr, code } = await runProgram('global_lock');
  expect({ stdout, stderr, code }).toEqual({ stdout: 'exit code 0\n', stderr: '', code: 0 });
});

test('bad arguments of locks and semaphores are told', async () => {
  for (const value of [-1, 1.5, Number.NaN, 2 ** 31]) {
    expect(() => mp.Semaphore(value)).toThrow(mp.ValueError);
    expect(() => mp.BoundedSemaphore(value)).toThrow(/^value must be a whole number from 0/);
  }
  expect(() => mp.Semaphore('1' as never)).toThrow(TypeError);
  const lock = mp.Lock();
  for (const timeout of ['1', {}, null] as never[]) {
    await expect(lock.acquire(true, timeout)).rejects.toThrow(TypeError);
    expect(() => lock.acquireSync(true, timeout)).toThrow(/^timeout must be a number of seconds/);
  }
  await expect(lock.acquire({ timeout: 1 } as never)).rejects.toThrow(TypeError);
  expect(() => lock.acquireSync({ timeout: 1 } as never)).toThrow(/^block must be true or false/);
  await expect(lock.acquire(true, Number.NaN)).rejects.toThrow(mp.ValueError);
  expect(() => lock.acquireSync(true, Number.NaN)).toThrow('timeout is NaN');
  expect(lock.locked()).toBe(false);
});

test('the factories work with and without new, and give the classes of the sub-path', () => {
  expect(mp.Lock()).toBeInstanceOf(Lock);
  expect(new mp.Lock()).toBeInstanceOf(Lock);
  expect(new mp.RLock()).toBeInstanceOf(RLock);
  expect(mp.Semaphore(3).getValue()).toBe(3);
  expect(new mp.BoundedSemaphore(3)).toBeInstanceOf(BoundedSemaphore);
  expect(Semaphore.name).toBe('Semaphore');
});
