/**
 * Memory that children share, in blocks: how it is cut, freed, and given out again. Counterparts of CPython's
 * tests: docs/cpython-tests.md.
 */

import * as mp from 'multiprocessing';
import { Arena, BufferWrapper, Heap } from 'multiprocessing/heap';
import { ForkingPickler } from 'multiprocessing/reduction';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as core from '../../packages/core/dist/heap/heap.js';
import * as targets from '../fixtures/dist/heap_targets.js';
import { collected, collectUntil } from '../support/garbage.ts';
import { Channel, Gate } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

/** A heap of each test's own: what other tests have left in the usual one does not count. */
let heap: Heap;
let usual: Heap;

beforeEach(() => {
  usual = BufferWrapper._heap;
  heap = new Heap();
  BufferWrapper._heap = heap;
});

afterEach(() => {
  BufferWrapper._heap = usual;
});

const bytesOf = (wrapper: BufferWrapper) => new Uint8Array(wrapper.buffer);

/** A size as most are: small, and now and then a large one. */
function lognormal(): number {
  const normal =
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return Math.trunc(Math.exp(normal) * 1000);
}

/** The parts of all arenas, free or not, in their order: [arena, start, stop]. */
function partsOf({ _arenas, _lenToSeq, _allocatedBlocks }: Heap): [number, number, number][] {
  const free = [..._lenToSeq.values()].flat();
  const taken = [..._allocatedBlocks.values()].flatMap((blocks) => [...blocks]);
  return [...free, ...taken]
    .map(({ arena, start, stop }): [number, number, number] => [
      _arenas.indexOf(arena),
      start,
      stop,
    ])
    .sort(([a, b], [c, d]) => a - c || b - d);
}

test('blocks of all sizes tile their arenas, and when all are freed nothing is left', async () => {
  const before = targets.arenasHere();
  heap._DISCARD_FREE_SPACE_LARGER_THAN = 0;
  const blocks: BufferWrapper[] = [];
  // In a function of its own: the collector takes what a variable has held for held.
  const churn = (n: number) => {
    for (let i = 0; i < n; i++) {
      const block = new BufferWrapper(lognormal());
      if (blocks.length < 50) blocks.push(block);
      else blocks[Math.floor(Math.random() * 50)] = block;
    }
  };
  for (let i = 1; i <= 10; i++) {
    churn(500);
    await collectUntil(() => heap._nFrees > 500 * i - 100);
  }
  expect(heap._nFrees).toBeGreaterThan(4000);
  const parts = partsOf(heap);
  const sizes = heap._arenas.map(({ size }) => size);
  for (const [i, [arena, start, stop]] of parts.entries()) {
    const previous = parts[i - 1];
    expect(start).toBe(previous?.[0] === arena ? previous[2] : 0);
    if (parts[i + 1]?.[0] !== arena) expect(stop).toBe(sizes[arena]);
  }
  expect(new Set(parts.map(([arena]) => arena)).size).toBe(heap._arenas.length);
  // Two free neighbours would be one.
  expect([...heap._lenToSeq.keys()].sort((a, b) => a - b)).toEqual(heap._lengths);
  expect(targets.arenasHere().fds).toBe(before.fds + heap._arenas.length);

  blocks.length = 0;
  expect(await collectUntil(() => heap._nFrees === heap._nMallocs)).toBe(true);
  expect(heap._pendingFreeBlocks).toHaveLength(0);
  expect(heap._arenas).toEqual([]);
  expect([heap._allocatedBlocks.size, heap._lenToSeq.size, heap._lengths.length]).toEqual([
    0, 0, 0,
  ]);
  expect([heap._startToBlock.size, heap._stopToBlock.size]).toEqual([0, 0]);
  expect(targets.arenasHere()).toEqual(before);
});

test('blocks that hold each other are freed by the collector in the middle of allocations', async () => {
  type Buddy = BufferWrapper & { buddy?: BufferWrapper };
  const pairs = (n: number) => {
    for (let i = 0; i < n; i++) {
      const a: Buddy = new BufferWrapper(1);
      const b: Buddy = new BufferWrapper(1);
      a.buddy = b;
      b.buddy = a;
    }
  };
  for (let i = 1; i <= 5; i++) {
    pairs(1000);
    await collectUntil(() => heap._nFrees > 1000 * i);
  }
  expect(await collectUntil(() => heap._nFrees === heap._nMallocs)).toBe(true);
  expect(heap._nMallocs).toBe(10_000);
});

test('arenas double in size up to four megabytes, and large ones are given back', async () => {
  const sizes = [1, 5000, 9000, 40_000, 5_000_000];
  const blocks = sizes.map((size) => new BufferWrapper(size));
  const page = heap._arenas[0]?.size as number;
  expect(heap._arenas.map(({ size }) => size / page)).toEqual([
    1,
    2,
    4,
    Math.max(8, Math.ceil(40_000 / page)),
    Math.ceil(5_000_000 / page),
  ]);
  blocks.length = 0;
  expect(await collectUntil(() => heap._nFrees === 5)).toBe(true);
  expect(heap._arenas).toHaveLength(4);
  expect(heap._lengths).toEqual([...heap._arenas.map(({ size }) => size)]);
});

test('a block is zeros, also where another one has been', async () => {
  const use = (size: number) => {
    const bytes = bytesOf(new BufferWrapper(size));
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    bytes.fill(0xff);
  };
  for (let i = 1; i <= 3; i++) {
    for (const size of [10, 100, 1000]) use(size);
    expect(await collectUntil(() => heap._nFrees === 3 * i)).toBe(true);
  }
  expect(heap._arenas).toHaveLength(1);
});

test('a view keeps its block when the wrapper is gone', async () => {
  const view = new Uint16Array(new BufferWrapper(100).buffer, 10, 5).fill(7);
  const wrapper = new WeakRef(new BufferWrapper(100));
  expect(await collected(wrapper)).toBe(true);
  expect(await collectUntil(() => heap._nFrees === 1)).toBe(true);
  for (let i = 0; i < 50; i++) bytesOf(new BufferWrapper(100)).fill(1);
  expect([...view]).toEqual([7, 7, 7, 7, 7]);
  expect(() => view.buffer.slice(0)).not.toThrow();
});

test('a block has an address, and a size of nothing is fine', () => {
  const [a, none, b] = [new BufferWrapper(3), new BufferWrapper(0), new BufferWrapper(8)];
  expect([none.address - a.address, b.address - none.address]).toEqual([8, 8]);
  expect([a.buffer.byteLength, none.buffer.byteLength, none.size]).toEqual([3, 0, 0]);
  expect(a.buffer).toBe(a.buffer);
});

test('a size that is none is told', () => {
  for (const size of [1.5, Number.NaN, Infinity, '3', 3n, null, undefined]) {
    expect(() => new BufferWrapper(size as number)).toThrow(TypeError);
    expect(() => new BufferWrapper(size as number)).toThrow(/^size must be a whole number, not /);
  }
  expect(() => new BufferWrapper(-1)).toThrow(new mp.ValueError('size: -1 is negative'));
  for (const size of [2 ** 45, 2 ** 53, 2 ** 80]) {
    expect(() => new BufferWrapper(size)).toThrow(mp.OSError);
    expect(() => new BufferWrapper(size)).toThrow(expect.objectContaining({ code: 'ENOMEM' }));
  }
  expect([heap._arenas.length, heap._allocatedBlocks.size]).toEqual([0, 0]);
});

test('blocks and arenas are pickled for a child that is being launched only', () => {
  const wrapper = new BufferWrapper(4);
  const [arena] = heap._arenas;
  for (const [object, name] of [
    [wrapper, 'BufferWrapper'],
    [{ deep: [wrapper] }, 'BufferWrapper'],
    [arena, 'Arena'],
    [wrapper.buffer, 'ArrayBuffer'],
  ] as const) {
    expect(() => ForkingPickler.dumps(object)).toThrow(mp.RuntimeError);
    expect(() => ForkingPickler.dumps(object)).toThrow(
      `${name} objects should only be shared between processes through inheritance`,
    );
  }
  expect(arena).toBeInstanceOf(Arena);
});

test('a block is made again only inside of its arena', () => {
  const { Arena: CoreArena, rebuildWrapper } = core;
  const arena = new CoreArena(65_536);
  for (const [owner, start, stop, size] of [
    [arena, 0, 8, 9],
    [arena, 4096, 2 ** 40, 8],
    [arena, -8, 8, 8],
    [arena, 0.5, 8, 1],
    [{ address: 0, size: 100 }, 0, 8, 8],
  ] as [core.Arena, number, number, number][]) {
    expect(() => rebuildWrapper(owner, start, stop, size)).toThrow(
      'a block of shared memory is not inside of its arena',
    );
  }
  const [one, other] = [rebuildWrapper(arena, 0, 8, 8), rebuildWrapper(arena, 0, 8, 8)];
  new Uint8Array(one.buffer).fill(3);
  expect(new Uint8Array(other.buffer)[7]).toBe(3);
});

forEachStartMethod((ctx, method) => {
  test('parent and child see the same memory', async () => {
    const channel = new Channel();
    const wrapper = new BufferWrapper(1000);
    bytesOf(wrapper).fill(5);
    const p = new ctx.Process({ target: targets.readAndFill, args: [channel.path, wrapper, 6] });
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([[1000, 1000, 5]]);
    expect(bytesOf(wrapper).every((byte) => byte === 6)).toBe(true);
  });

  test('a child hands a block on to its own child', async () => {
    const channel = new Channel();
    const wrapper = new BufferWrapper(10);
    for (const next of ['spawn', method]) {
      bytesOf(wrapper).fill(2);
      const p = new ctx.Process({ target: targets.passOn, args: [channel.path, next, wrapper] });
      await p.start();
      await p.join();
      expect(channel.all()).toEqual([[10, 10, 2]]);
      expect(bytesOf(wrapper)[9]).toBe(3);
    }
  });

  test('a block that a child has is not given out again before the child has ended', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const startOne = async () => {
      const wrapper = new BufferWrapper(1000);
      const p = new ctx.Process({
        target: targets.holdAndFill,
        args: [channel.path, gate.path, wrapper],
      });
      await p.start();
      return { p, address: wrapper.address };
    };
    const { p, address } = await startOne();
    expect(await channel.next()).toBe('here');
    expect(await collectUntil(() => heap._nFrees === 1)).toBe(true);
    expect(heap._pendingFreeBlocks).toHaveLength(1);
    const others = Array.from({ length: 20 }, () => new BufferWrapper(1000));
    gate.open();
    await p.join();
    expect(channel.all()).toEqual(['written']);
    expect(others.map((other) => other.address)).not.toContain(address);
    expect(others.every((other) => bytesOf(other).every((byte) => byte === 0))).toBe(true);

    const next = new BufferWrapper(1000);
    expect(heap._pendingFreeBlocks).toHaveLength(0);
    expect(next.address).toBe(address);
    expect(bytesOf(next).every((byte) => byte === 0)).toBe(true);
  });

  test('a block that no child can have is given out again at once', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const held = new BufferWrapper(100);
    const p = new ctx.Process({
      target: targets.holdAndFill,
      args: [channel.path, gate.path, held],
    });
    await p.start();
    // Made when the child was there already, and given to a child that could not be started.
    const addresses = await (async () => {
      const [later, failed] = [new BufferWrapper(200), new BufferWrapper(300)];
      const q = new ctx.Process({
        target: (() => {}) as (...args: unknown[]) => void,
        args: [failed],
      });
      // Without expect(), which holds on to what it saw.
      const error = method === 'fork' ? undefined : await q.start().catch((e: Error) => e.name);
      expect(error).toBe(method === 'fork' ? undefined : 'PicklingError');
      return [later.address, failed.address];
    })();
    expect(await collectUntil(() => heap._nFrees === 2)).toBe(true);
    expect(heap._pendingFreeBlocks).toHaveLength(0);
    expect([new BufferWrapper(200), new BufferWrapper(300)].map((b) => b.address)).toEqual(
      addresses,
    );
    gate.open();
    await p.join();
    expect(channel.all()).toEqual(['here', 'written']);
    expect(bytesOf(held)[0]).toBe(0xee);
  });
});

forEachStartMethod(['spawn', 'forkserver'], (ctx) => {
  test('an arena is mapped once in a child, however often it arrives', async () => {
    const channel = new Channel();
    const [a, b, c] = [new BufferWrapper(16), new BufferWrapper(16), new BufferWrapper(16)];
    for (const [i, wrapper] of [a, b, c].entries()) bytesOf(wrapper).fill(i + 1);
    expect(heap._arenas).toHaveLength(1);
    const p = new ctx.Process({
      target: targets.reportArenas,
      args: [channel.path, a, b, new targets.Nested(c)],
    });
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([{ mapped: 1, fds: 1, distances: [16, 32], bytes: [1, 2, 3] }]);
  });
});

forEachStartMethod(['fork'], (ctx) => {
  test('a forked child begins a heap of its own', async () => {
    const channel = new Channel();
    const wrapper = new BufferWrapper(8);
    const p = new ctx.Process({ target: targets.reportOwnHeap, args: [channel.path, wrapper] });
    await p.start();
    await p.join();
    expect(channel.all()).toEqual([
      [1, 1, false],
      { name: 'ValueError', message: `My pid ${p.pid} is not last pid 1`, code: 'ERR_MP_VALUE' },
    ]);
    expect([heap._nMallocs, heap._nFrees]).toEqual([1, 0]);
  });
});

forEachStartMethod(['fork'], (ctx) => {
  test('a forked child hands on a block that other children of its parent have', async () => {
    const channel = new Channel();
    const gate = new Gate();
    const wrapper = new BufferWrapper(10);
    const others = (['spawn', 'forkserver', 'fork'] as const).map((other) => {
      return new (mp.getContext(other).Process)({
        target: targets.holdAndFill,
        args: [channel.path, gate.path, wrapper],
      });
    });
    for (const other of others) await other.start();
    for (const next of ['spawn', 'forkserver', 'fork']) {
      const p = new ctx.Process({ target: targets.passOn, args: [channel.path, next, wrapper] });
      await p.start();
      await p.join();
      expect(p.exitcode).toBe(0);
    }
    expect(others.map((other) => other.exitcode)).toEqual([undefined, undefined, undefined]);
    gate.open(3);
    for (const other of others) await other.join();
    expect(channel.all()).toContainEqual([10, 10, 3]);
    expect(bytesOf(wrapper)[0]).toBe(0xee);
  });
});

describe('the heap alone', () => {
  test('takes the smallest part that is large enough and merges what is freed', () => {
    const blocks = [100, 200, 100, 50, 100].map((size) => heap.malloc(size));
    const [, large, , small] = blocks;
    heap.free(large as (typeof blocks)[0]);
    heap.free(small as (typeof blocks)[0]);
    const taken = heap.malloc(40);
    expect(taken.start).toBe(small?.start);
    expect(heap.malloc(60).start).toBe(large?.start);
    for (const set of [...heap._allocatedBlocks.values()])
      for (const block of [...set]) heap.free(block);
    expect(heap._lengths).toEqual([heap._arenas[0]?.size]);
  });
});
