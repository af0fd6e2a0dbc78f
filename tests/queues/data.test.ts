/**
 * What goes through queues: many items, large items, arrays, from many to many; and what a queue holds.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { expect, test } from 'vitest';
import * as targets from '../fixtures/dist/queue_targets.js';
import { collectUntil } from '../support/garbage.ts';
import { runProgram } from '../support/programs.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;

/** Takes what producers have put, and checks that the items of each come in their order. */
function checkOrder(items: unknown[], producers: number, count: number): void {
  const next = new Array<number>(producers).fill(0);
  for (const item of items as [number, number][]) {
    const [id, i] = item;
    if (next[id] !== i) expect({ producer: id, i }).toEqual({ producer: id, i: next[id] });
    next[id] = i + 1;
  }
  expect(next).toEqual(new Array(producers).fill(count));
}

forEachStartMethod((ctx) => {
  test.each(forms)('items of three producers come in the order of each (%s)', async (form) => {
    const queue = ctx.Queue();
    const children = [0, 1, 2].map(
      (id) => new ctx.Process({ target: targets.produce, args: [form, queue, id, 5000] }),
    );
    for (const child of children) await child.start();
    const items: unknown[] = [];
    while (items.length < 15_000) {
      items.push(form === 'sync' ? queue.getSync(true, 30) : await queue.get(true, 30));
    }
    for (const child of children) await child.join();
    checkOrder(items, 3, 5000);
    expect(queue.qsize()).toBe(0);
  });

  test('each item goes to one of the consumers', async () => {
    const [tasks, results] = [ctx.Queue(20), ctx.Queue()];
    const children = forms.flatMap((form) =>
      [0, 1].map(() => new ctx.Process({ target: targets.forward, args: [form, tasks, results] })),
    );
    for (const child of children) await child.start();
    for (let i = 0; i < 4000; i++) await tasks.put(i);
    for (const _ of children) await tasks.put(null);
    for (const child of children) await child.join();
    const items = Array.from({ length: 4000 }, () => results.getNowait() as number);
    expect(items.sort((a, b) => a - b)).toEqual(Array.from({ length: 4000 }, (_, i) => i));
    expect(results.empty()).toBe(true);
  });

  test.each(forms)('large arrays go there and back (%s)', async (form) => {
    const [there, back] = [ctx.Queue(), ctx.Queue()];
    const sizes = [1, 8191, 8193, 200_000, 3_000_000, 10];
    const p = new ctx.Process({ target: targets.addOne, args: [form, there, back, sizes.length] });
    await p.start();
    for (const size of sizes) {
      const array = new Float64Array(size).fill(size);
      const item = { array, again: array, rest: 'x'.repeat(size % 50_000) };
      await there.put(item);
      array.fill(-1); // what was put has been copied
      const got = (await targets.get(form, back, 60)) as typeof item;
      expect(got.array).toBeInstanceOf(Float64Array);
      expect([got.array.length, got.array[0], got.array[size - 1]]).toEqual([
        size,
        size + 1,
        size + 1,
      ]);
      expect(got.again).toBe(got.array);
      expect(got.rest).toBe(item.rest);
    }
    await p.join();
  });
});

test('messages of every length around the limits pass, in their order', async () => {
  const queue = mp.Queue<string>();
  const around = [
    0, 1, 31, 64, 65, 16_380, 16_384, 16_390, 65_530, 65_536, 65_541, 300_000, 2_000_000,
  ];
  const lengths = around.flatMap((n) => [n, n + 1, n + 2, n + 7]);
  for (const length of lengths) await queue.put('é'.repeat(length));
  for (const length of lengths) {
    const text = length % 2 === 0 ? queue.getSync() : await queue.get();
    expect(text === 'é'.repeat(length)).toBe(true);
  }
});

test('what there is no room for in the ring keeps its order', async () => {
  const queue = mp.Queue<[number, string]>();
  let put = 0;
  let got = 0;
  const gets = (count: number) => {
    for (let i = 0; i < count; i++) expect(queue.getSync()[0]).toBe(got++);
  };
  // The ring fills, the overflow grows, drains in part, grows again, and is gone in the end.
  for (const [puts, takes] of [
    [20_000, 15_000],
    [30_000, 1000],
    [10, 33_000],
    [5000, 6010],
  ] as const) {
    for (let i = 0; i < puts; i++) queue.putSync([put++, 'x'.repeat((put * 7) % 300)]);
    expect(queue.qsize()).toBe(put - got);
    gets(takes);
  }
  expect([queue.qsize(), put - got]).toEqual([0, 0]);
  queue.putSync([put++, 'last']);
  expect(queue.getSync()).toEqual([got, 'last']);
});

test('every kind of array passes beside the message, alone and shared', async () => {
  const queue = mp.Queue();
  const bytes = Buffer.alloc(100_000, 7);
  const { buffer } = new Int16Array(50_000).fill(3);
  const item = {
    bytes,
    again: bytes,
    part: new Uint8Array(200_000).subarray(1000, 150_000).fill(9),
    views: [new DataView(buffer), new BigInt64Array(buffer), buffer],
    map: new Map([[new Float32Array(30_000).fill(0.5), 'key']]),
  };
  queue.putSync(item);
  const got = (await queue.get()) as typeof item;
  expect(got).toEqual(item);
  expect(Buffer.isBuffer(got.bytes)).toBe(true);
  expect(got.again).toBe(got.bytes);
  expect(got.part.buffer.byteLength).toBe(149_000);
  expect((got.views[0] as DataView).buffer).toBe(got.views[2]);
});

test.each([0, 1, 15, 16, 63, 64, 65])(
  'every byte of arrays of any length arrives, %i more than a mebibyte',
  async (more) => {
    const queue = mp.Queue();
    const bytes = randomBytes(2 ** 20 + more + 5);
    // Two that begin at odd places, and one behind them that would show what was written too far.
    const item = [
      bytes.subarray(1, 2 ** 20 + more + 1),
      bytes.subarray(5),
      bytes.subarray(0, 100_000),
    ];
    for (let i = 0; i < 3; i++) await queue.put(item);
    for (let i = 0; i < 3; i++) {
      const got = (await queue.get()) as Uint8Array[];
      expect(got.map((part, k) => Buffer.compare(part, item[k] as Uint8Array))).toEqual([0, 0, 0]);
    }
  },
);

test('memory of large items is given back', async () => {
  const queue = mp.Queue();
  const array = new Float64Array(2_000_000);
  for (let i = 0; i < 20; i++) await queue.put(array);
  for (let i = 0; i < 20; i++) await queue.get();
  const file = fileOf(queue);
  expect(file.blocks * 512).toBeLessThan(40 * 1024 ** 2);
  expect(file.size).toBeGreaterThan(20 * array.byteLength * 0.9);
});

/** What the system says about a queue's file. */
function fileOf(queue: object): { blocks: number; size: number } {
  const { _fd } = queue as { _fd: number };
  return statSync(`/proc/self/fd/${_fd}`);
}

test('queues that nobody has any more, and closed ones, hold no fds', async () => {
  const files = () =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith('/memfd:multiprocessing-queue');
      } catch {
        return false; // the fd of the listing itself
      }
    }).length;
  await collectUntil(() => files() === 0);
  const closed = mp.Queue();
  closed.putSync(1);
  expect(files()).toBe(1);
  closed.close();
  expect(files()).toBe(0);
  for (let i = 0; i < 100; i++) mp.Queue().putSync(i);
  expect(files()).toBeGreaterThan(0);
  expect(await collectUntil(() => files() === 0)).toBe(true);
});

test('a worker thread gets and puts, and the program ends', async () => {
  const { stdout, stderr, code } = await runProgram('queue_in_worker');
  expect({ stdout, stderr, code }).toEqual({ stdout: 'sum 499500 499500\n', stderr: '', code: 0 });
});
