/**
 * Queues between processes. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { Empty, Full, JoinableQueue, Queue, SimpleQueue } from 'multiprocessing/queues';
import { ForkingPickler } from 'multiprocessing/reduction';
import { describe, expect, test, vi } from 'vitest';
import * as targets from '../fixtures/dist/queue_targets.js';
import { runProgram } from '../support/programs.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;
type Form = (typeof forms)[number];

/** Arguments of calls that do not wait, or not long. */
const impatient: readonly [boolean, number?][] = [
  [false],
  [false, 5],
  [true, 0],
  [true, -1],
  [true, 0.1],
];

/** A put in one of its forms, as a promise. */
async function put(form: Form, queue: Queue, item: unknown, ...how: [boolean?, number?]) {
  if (form === 'sync') queue.putSync(item, ...how);
  else await queue.put(item, ...how);
}

async function get(form: Form, queue: Queue, ...how: [boolean?, number?]) {
  return form === 'sync' ? queue.getSync(...how) : queue.get(...how);
}

forEachStartMethod((ctx, method) => {
  describe.each(forms)('%s', (form) => {
    test('a full queue takes nothing until a child has taken something', async () => {
      const queue = ctx.Queue(6);
      const [start, done] = [ctx.Event(), ctx.Event()];
      const args = [form, queue, start, done] as [Form, Queue, typeof start, typeof done];
      const p = new ctx.Process({ target: targets.takeSix, args });
      await p.start();
      expect([queue.empty(), queue.full()]).toEqual([true, false]);
      await put(form, queue, 1);
      await put(form, queue, 2, true);
      await put(form, queue, 3, true, undefined);
      await put(form, queue, 4, false);
      await put(form, queue, 5, false, undefined);
      queue.putNowait(6);
      expect([queue.empty(), queue.full(), queue.qsize()]).toEqual([false, true, 6]);
      expect(() => queue.putNowait(7)).toThrow(Full);
      for (const how of impatient) {
        await expect(put(form, queue, 7, ...how)).rejects.toThrow(Full);
      }
      start.set();
      await done.wait();
      expect([queue.empty(), queue.full(), queue.qsize()]).toEqual([true, false, 0]);
      await p.join();
      queue.close();
      await queue.joinThread();
    });

    test('what a child puts is got in its order, and then nothing', async () => {
      const queue = ctx.Queue();
      const [start, done] = [ctx.Event(), ctx.Event()];
      const args = [form, queue, start, done] as [Form, Queue, typeof start, typeof done];
      const p = new ctx.Process({ target: targets.putFour, args });
      await p.start();
      expect(queue.empty()).toBe(true);
      start.set();
      await done.wait();
      expect([queue.empty(), queue.qsize()]).toEqual([false, 4]);
      expect(await get(form, queue, true, undefined)).toBe(2);
      expect(await get(form, queue, true)).toBe(3);
      expect(await get(form, queue, true, 1)).toBe(4);
      expect(queue.getNowait()).toBe(5);
      expect(queue.empty()).toBe(true);
      expect(() => queue.getNowait()).toThrow(Empty);
      for (const how of impatient) {
        await expect(get(form, queue, ...how)).rejects.toThrow(Empty);
      }
      await p.join();
    });

    test('a get waits for what comes later, a put for room', async () => {
      const [there, back] = [ctx.Queue(1), ctx.Queue(1)];
      const p = new ctx.Process({ target: targets.forward, args: [form, there, back] });
      await p.start();
      for (let i = 0; i < 500; i++) {
        await put(form, there, i);
        expect(await get(form, back, true, 30)).toBe(i);
      }
      await put(form, there, null);
      await p.join();
    });

    test('join waits until all tasks are done', async () => {
      const tasks = ctx.JoinableQueue();
      const workers = [0, 1, 2, 3].map(
        () => new ctx.Process({ target: targets.workOff, args: [form, tasks] }),
      );
      for (const worker of workers) await worker.start();
      for (let i = 0; i < 10; i++) await tasks.put(i);
      if (form === 'sync') expect(tasks.joinSync()).toBe(true);
      else expect(await tasks.join()).toBe(true);
      expect(tasks.qsize()).toBe(0);
      for (const _ of workers) await tasks.put(null);
      for (const worker of workers) await worker.join();
      expect(await tasks.join(0)).toBe(true);
      await tasks.put('one more');
      expect(form === 'sync' ? tasks.joinSync(0.05) : await tasks.join(0.05)).toBe(false);
    });

    test('a process does not end before what it has put is out', async () => {
      const queue = ctx.Queue(3);
      const p = new ctx.Process({ target: targets.produceInOneGo, args: [queue, 20] });
      await p.start();
      for (let i = 0; i < 20; i++) expect(await get(form, queue, true, 30)).toBe(i);
      await p.join();
      expect(p.exitcode).toBe(0);
    });

    test('the emptiness of a simple queue, as a child sees it', async () => {
      const queue = ctx.SimpleQueue();
      const [start, done] = [ctx.Event(), ctx.Event()];
      const p = new ctx.Process({ target: targets.putEmptiness, args: [queue, start, done] });
      await p.start();
      expect(queue.empty()).toBe(true);
      start.set();
      await done.wait();
      expect(queue.empty()).toBe(false);
      const items =
        form === 'sync'
          ? [queue.getSync(), queue.getSync()]
          : [await queue.get(), await queue.get()];
      expect(items).toEqual([true, false]);
      expect(queue.empty()).toBe(true);
      await p.join();
    });
  });

  test('a child inherits what is in the queue', async () => {
    const queue = ctx.Queue();
    for (let i = 0; i < 10; i++) queue.putSync([0, i]);
    const p = new ctx.Process({ target: targets.produce, args: ['sync', queue, 1, 10] });
    await p.start();
    await p.join();
    const items = Array.from({ length: 20 }, () => queue.getSync());
    expect(items).toEqual([0, 1].flatMap((id) => Array.from({ length: 10 }, (_, i) => [id, i])));
    expect(() => queue.getNowait()).toThrow(Empty);
  });

  test('a process that has cancelled does not wait for a reader', async () => {
    const queue = ctx.Queue(3);
    const p = new ctx.Process({ target: targets.produceAndCancel, args: [queue, 20] });
    await p.start();
    await p.join();
    expect([p.exitcode, queue.qsize()]).toEqual([0, 3]);
  });

  test('an exit waits for a put no longer than that waits for a slot', async () => {
    const outcome = await runProgram('exit_while_putting', [method], { method });
    expect(outcome).toMatchObject({ code: 3, stdout: '3 first 0\n', stderr: '' });
  });

  test('a child can be joined while what it has put is not read', async () => {
    const queue = ctx.Queue();
    const p = new ctx.Process({ target: targets.produce, args: ['sync', queue, 0, 50_000] });
    await p.start();
    await p.join();
    expect([p.exitcode, queue.qsize()]).toEqual([0, 50_000]);
    for (let i = 0; i < 50_000; i++) if ((queue.getSync() as number[])[1] !== i) expect(i).toBe(-1);
  });

  test('queues are for the processes of their context', async () => {
    const wrong = method === 'fork' ? 'spawn' : 'fork';
    for (const queue of [ctx.Queue(), ctx.JoinableQueue(), ctx.SimpleQueue()]) {
      const name = queue.constructor.name;
      expect(() => ForkingPickler.dumps(queue)).toThrow(
        new RegExp(`${name} objects should only be shared between processes through inheritance`),
      );
      if (wrong !== 'spawn') continue;
      const p = new (mp.getContext('spawn').Process)({
        target: targets.holdQueue,
        args: [queue as Queue, ''],
      });
      await expect(p.start()).rejects.toThrow(/A SemLock created in a fork context/);
    }
  });
});

describe('one process', () => {
  test('qsize counts what was put and not taken', () => {
    const queue = mp.Queue();
    const sizes = [queue.qsize()];
    for (const step of ['put', 'put', 'get', 'get'] as const) {
      if (step === 'put') queue.putSync(1);
      else queue.getSync();
      sizes.push(queue.qsize());
    }
    expect(sizes).toEqual([0, 1, 2, 1, 0]);
  });

  test('joining waits no longer than what is waited for: a put, or the time of the join', async () => {
    const queue = mp.Queue(1);
    queue.putSync('first');
    const late = expect(queue.put('gives up', true, 0.05)).rejects.toThrow(Full);
    queue.close();
    queue.joinThreadSync();
    await late;
    const tasks = mp.JoinableQueue(1);
    tasks.putSync('first');
    const second = tasks.put('second');
    expect([tasks.joinSync(0.05), await tasks.join(0.05)]).toEqual([false, false]);
    expect(tasks.getSync()).toBe('first');
    await second;
    expect(tasks.getSync()).toBe('second');
  });

  test.each(forms)('a wait that is over has lasted (%s)', async (form) => {
    const begin = performance.now();
    await expect(get(form, mp.Queue(), true, 0.2)).rejects.toThrow(Empty);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(198);
  });

  test('a module that is imported by another one can use a queue', async () => {
    const { stdout, stderr, code } = await runProgram('queue_while_importing');
    expect({ stdout, stderr, code }).toEqual({ stdout: 'knock knock\n', stderr: '', code: 0 });
  });

  test('what cannot be pickled is reported, and the next item comes', () => {
    const queue = new Queue(1);
    const report = vi.spyOn(queue, '_onQueueFeederError').mockImplementation(() => {});
    const item = new targets.Unpicklable();
    queue.putSync(item);
    queue.putSync(true);
    expect(queue.getSync(true, 10)).toBe(true);
    expect(report.mock.calls).toEqual([
      [expect.objectContaining({ message: 'this one stays' }), item],
    ]);
  });

  test('the report can be overridden, and goes to stderr when it is not', async () => {
    class Safe extends Queue {
      readonly seen: unknown[] = [];
      override _onQueueFeederError(error: unknown, obj: unknown): void {
        this.seen.push([(error as Error).message, obj]);
      }
    }
    const queue = new Safe();
    const fn = () => 1;
    await queue.put(fn);
    expect(queue.seen).toEqual([[expect.stringContaining('export'), fn]]);
    const { stdout, stderr, code } = await runProgram('queue_feeder_error');
    expect({ stdout, code }).toEqual({ stdout: 'true\n', code: 0 });
    expect(stderr).toMatch(/^PicklingError: .*export/);
  });

  test('an item that cannot be made again is an error of its get, and gone', async () => {
    const queue = mp.Queue();
    for (const item of [new targets.Broken(), 1, new targets.Broken(), 2]) queue.putSync(item);
    expect(() => queue.getSync()).toThrow('refused');
    expect(queue.getSync()).toBe(1);
    await expect(queue.get()).rejects.toThrow('refused');
    expect(await queue.get()).toBe(2);
  });

  test('a closed queue that was not used is empty', async () => {
    for (const queue of [mp.Queue(), mp.JoinableQueue()]) {
      queue.close();
      await queue.joinThread();
      expect(queue.empty()).toBe(true);
      const used = new (queue.constructor as typeof Queue)();
      used.putSync('foo');
      used.close();
      await used.joinThread();
      expect(() => used.empty()).toThrow(/is closed/);
    }
  });

  test('a closed queue takes and gives nothing', async () => {
    for (const queue of [mp.Queue(), mp.JoinableQueue()]) {
      const pending = queue.get();
      queue.close();
      queue.close();
      for (const form of forms) {
        await expect(put(form, queue, 'foo')).rejects.toThrow(/is closed/);
        await expect(get(form, queue)).rejects.toThrow(mp.ValueError);
      }
      await expect(pending).rejects.toThrow(/is closed/);
    }
    const simple = mp.SimpleQueue();
    simple.close();
    simple.close();
    expect(() => simple.empty()).toThrow(mp.OSError);
    expect(() => simple.putSync(1)).toThrow(/is closed/);
    await expect(simple.get()).rejects.toThrow(/is closed/);
  });

  test('joinThread wants a closed queue, taskDone a task', async () => {
    await expect(mp.Queue().joinThread()).rejects.toThrow(mp.AssertionError);
    expect(() => mp.Queue().joinThreadSync()).toThrow(/not closed/);
    const tasks = mp.JoinableQueue();
    expect(() => tasks.taskDone()).toThrow('task_done() called too many times');
    tasks.putSync(1);
    tasks.taskDone();
    expect(() => tasks.taskDone()).toThrow(mp.ValueError);
  });

  test('bad arguments are told', async () => {
    expect(() => mp.Queue(1.5)).toThrow(/maxsize must be a whole number, not 1.5/);
    expect(() => mp.Queue('3' as never)).toThrow(TypeError);
    const queue = mp.Queue();
    for (const form of forms) {
      await expect(get(form, queue, { timeout: 1 } as never)).rejects.toThrow(TypeError);
      await expect(get(form, queue, true, Number.NaN)).rejects.toThrow(mp.ValueError);
      await expect(put(form, queue, 1, true, '1' as never)).rejects.toThrow(TypeError);
    }
    expect(queue.qsize()).toBe(0);
  });

  test('factories work with and without new, and say what they made', () => {
    for (const [factory, cls] of [
      [mp.Queue, Queue],
      [mp.JoinableQueue, JoinableQueue],
      [mp.SimpleQueue, SimpleQueue],
    ] as const) {
      expect(factory()).toBeInstanceOf(cls);
      expect(new factory()).toBeInstanceOf(cls);
      expect(String(factory())).toMatch(new RegExp(`^<${cls.name} at 0x[0-9a-f]+>$`));
    }
    const queue = mp.Queue<number>();
    queue.putSync(1);
    const item: number = queue.getSync();
    expect(item).toBe(1);
  });

  test('a put that waits for room keeps its place before those that come later', async () => {
    const queue = mp.Queue<number>(1);
    const puts = [1, 2, 3].map((item) => queue.put(item));
    await puts[0];
    expect(queue.full()).toBe(true);
    expect(() => queue.putNowait(9)).toThrow(Full);
    await expect(queue.put(9, true, 0.05)).rejects.toThrow(Full);
    for (const item of [1, 2, 3]) expect(await queue.get(true, 30)).toBe(item);
    await Promise.all(puts);
    const two = mp.Queue<number>(2);
    const later = [4, 5, 6].map((item) => two.put(item));
    expect([two.getSync(), two.getSync()]).toEqual([4, 5]);
    two.putSync(7, true, 30); // the event loop stands still: it is this call that puts the 6 before
    expect([two.getSync(), two.getSync()]).toEqual([6, 7]);
    await Promise.all(later);
  });
});
