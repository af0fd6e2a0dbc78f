/**
 * ShareableList: its items, its bytes, and the same list in children.
 * Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { inspect } from 'node:util';
import { ForkingPickler } from 'multiprocessing/reduction';
import { type Shareable, ShareableList, SharedMemory } from 'multiprocessing/shared_memory';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/shm_targets.js';
import { describeError } from '../fixtures/dist/targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

const linux = process.platform === 'linux';
const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const made: SharedMemory[] = [];

afterEach(() => {
  for (const shm of made.splice(0)) {
    shm.close();
    shm.unlink();
  }
});

/** A list that is closed and unlinked after the test. */
function create(items?: Iterable<Shareable>, name?: string): ShareableList {
  const list = new ShareableList(items, { name });
  made.push(list.shm);
  return list;
}

function errorOf(f: () => unknown): { name: string; message: string; code?: unknown } {
  try {
    f();
  } catch (error) {
    return describeError(error);
  }
  throw new Error('it did not throw');
}

/** A segment with these words of 64 bits in it. */
function segment(words: readonly (number | bigint)[], size = words.length * 8): SharedMemory {
  const shm = new SharedMemory({ create: true, size });
  made.push(shm);
  const view = Buffer.from(shm.buf.buffer);
  for (const [i, word] of words.entries()) view.writeBigInt64LE(BigInt(word), i * 8);
  return shm;
}

describe.skipIf(!linux)('ShareableList', () => {
  const sample = ['howdy', bytes('HoWdY'), -273.154, 100, null, true, 42];

  test('a list holds texts, bytes, numbers, null and booleans, each in a slot of its own', () => {
    const list = create(sample);
    const name = inspect(list.shm.name);
    expect(String(list)).toBe(
      `ShareableList(['howdy', Uint8Array(5) [ 72, 111, 87, 100, 89 ], -273.154, 100, null, true, 42], name=${name})`,
    );
    expect(inspect(list)).toBe(String(list));
    expect(errorOf(() => list[7])).toEqual({
      name: 'RangeError',
      code: 'ERR_MP_INDEX',
      message: 'index out of range: 7, and the list has 7 items',
    });
    for (const index of [7, -8, 2 ** 40]) {
      expect(() => list[index]).toThrow(RangeError);
      expect(errorOf(() => list.set(index, 2)).message).toMatch(/^assignment index out of range/);
      expect(() => {
        list[index] = 2;
      }).toThrow(RangeError);
    }
    list[0] = 'howdy';
    expect([list.format, list.length]).toEqual(['8s8sdqxxxxxx?xxxxxxxx?q', 7]);
    expect(errorOf(() => list.index('100'))).toMatchObject({
      name: 'ValueError',
      message: "'100' is not in this list",
    });
    expect([list.index(100), list.index(100n), list.index(null)]).toEqual([3, 3, 4]);
    expect([list[0], list[-2], list.at(-7)]).toEqual(['howdy', true, 'howdy']);
    expect([...list]).toEqual(sample);
    list[3] = 42;
    list[4] = 'some';
    expect([list[3], list[4], list.format]).toEqual([42, 'some', '8s8sdq8sxxxxxxx?q']);
    const tooLong = 'exceeds available storage';
    expect(() => list.set(4, 'far too many')).toThrow(tooLong);
    expect(list[4]).toBe('some');
    list[0] = 'encodés'; // 8 bytes
    expect(() => list.set(0, 'encodées')).toThrow(tooLong); // 9 bytes
    expect(() => list.set(1, bytes('123456789'))).toThrow(tooLong);
    expect([list[0], list[1]]).toEqual(['encodés', bytes('HoWdY')]);
    expect([list.count(42), list.count(bytes('HoWdY')), list.count(bytes('no'))]).toEqual([
      2, 1, 0,
    ]);
    const copy = create(list, `mp_copy_${process.pid}`);
    expect([copy.shm.name, [...copy]]).toEqual([`mp_copy_${process.pid}`, [...list]]);
    expect(copy.format).toBe('16s8sdq8sxxxxxxx?q'); // the first one has 8 bytes now
    copy[-1] = 77;
    expect([copy[-1], list[-1]]).toEqual([77, 42]);
    const tethered = new ShareableList(undefined, { name: list.shm.name });
    tethered[-1] = 880;
    expect(list[6]).toBe(880);
    tethered.shm.close();
    const empty = create();
    expect([empty.length, empty.format, empty.count('any'), [...empty]]).toEqual([0, '', 0, []]);
    expect(() => empty.index(null)).toThrow('null is not in this list');
  });

  test('a pickled list is attached to by its name', () => {
    const list = create(Array(10).keys());
    const pickled = ForkingPickler.dumps(list);
    const copy = ForkingPickler.loadsSync(pickled) as ShareableList;
    expect(copy).toBeInstanceOf(ShareableList);
    expect(copy[-1]).toBe(9);
    copy[4] = 'changed';
    list[3] = 'newvalue';
    expect([list[4], copy[3]]).toEqual(['changed', 'newvalue']);
    copy.shm.close();
    const larger = create(Array(400).keys());
    expect(ForkingPickler.dumps(larger)).toHaveLength(pickled.length);
  });

  test('a pickle of a list that is gone is an OSError', () => {
    const list = new ShareableList([1]);
    const pickled = ForkingPickler.dumps(list);
    list.shm.close();
    list.shm.unlink();
    expect(errorOf(() => ForkingPickler.loadsSync(pickled)).code).toBe('ENOENT');
  });

  test('numbers are 64-bit integers where they are safe ones, and floats otherwise', () => {
    const items = [
      0,
      -0,
      0.5,
      2 ** 53 - 1,
      2 ** 53,
      2 ** 63,
      1e300,
      Number.NaN,
      -Infinity,
      2n ** 53n,
      2n ** 63n - 1n,
      -(2n ** 63n),
      7n,
    ];
    const list = create(items);
    expect([...list]).toEqual([...items.slice(0, -1), 7]);
    expect(list.format).toBe('qddqdddddqqqq');
    for (const item of [2n ** 63n, -(2n ** 63n) - 1n]) {
      expect(errorOf(() => create([1, item]))).toMatchObject({
        name: 'ValueError',
        message: `item 1 is ${item}n: an integer must fit into 64 bits`,
      });
      expect(() => list.set(0, item)).toThrow('must fit into 64 bits');
    }
  });

  test('the width of a text is that of its bytes', () => {
    const list = create(['é'.repeat(7), '12345678', '', '\ufeffx']);
    expect(list.format).toBe('16s16s8s8s');
    expect([...list]).toEqual(['é'.repeat(7), '12345678', '', '\ufeffx']);
  });

  test('null characters at the end of texts and bytes are lost', () => {
    const list = create(['a\0b\0', new Uint8Array([0, 1, 0, 0])]);
    expect([...list]).toEqual(['a\0b', new Uint8Array([0, 1])]);
  });

  test('a slot takes an item of any type that fits', () => {
    const list = create(['a text of more than one word', 1]);
    for (const item of [7, 'again 16 bytes..', bytes('x'), null, false, 1.5, '']) {
      list[0] = item;
      expect(list[0]).toEqual(item);
    }
    expect(list.format).toBe('32sq');
    list[1] = '12345678';
    expect([list[1], list.format]).toEqual(['12345678', '32s8s']);
  });

  test('what cannot be stored is refused, and leaves the list as it was', () => {
    const bad: [unknown, string][] = [
      [{}, 'TypeError'],
      [[1], 'TypeError'],
      [new Float64Array(1), 'TypeError'],
      [Symbol.iterator, 'TypeError'],
      ['\ud800', 'ValueError'],
      [new Uint8Array(10_000_000), 'ValueError'],
    ];
    const list = create(['x', 1]);
    for (const [item, name] of bad) {
      const create = () => new ShareableList(['x', item as Shareable]);
      expect(errorOf(create)).toMatchObject({ name, message: expect.stringMatching(/^item 1 /) });
      expect(errorOf(() => list.set(1, item as Shareable)).name).toBe(name);
    }
    expect([...list]).toEqual(['x', 1]);
    expect(errorOf(() => new ShareableList(1 as never)).message).toBe(
      'items must be iterable, not 1',
    );
    expect(errorOf(() => new ShareableList([], { nmae: 'x' } as object)).name).toBe('TypeError');
    expect(errorOf(() => list.at(0.5)).message).toBe('index must be an integer, not 0.5');
  });

  test('a segment that holds no list is a ValueError', () => {
    const huge = 2n ** 62n;
    const contents: (number | bigint)[][] = [
      [0],
      [-1, 0, 0],
      [1, 0],
      [huge, 0, 0, 0],
      [2n ** 63n - 1n, 0, 0],
      [0, 8],
      [1, 0, -8, 0, 0, 0],
      [1, 0, huge, 0, 0, 0],
      [1, 8, 16, 0, 0, 0, 0, 0],
      [2, 0, 16, 8, 0, 0, 0, 0, 0, 0],
      [3, 0, 8, 16, 24],
    ];
    for (const words of contents) {
      const { name } = segment(words);
      expect(errorOf(() => new ShareableList(undefined, { name }))).toMatchObject({
        name: 'ValueError',
        message: `segment '${name}' does not hold a ShareableList`,
      });
    }
    const short = segment([], 9);
    expect(() => new ShareableList(undefined, { name: short.name })).toThrow('does not hold');
  });

  test('an item whose bytes are damaged is a ValueError, and the others are not', () => {
    const damage: [format: string, code: number][] = [
      ['', 0],
      ['Q', 0],
      ['9s', 1],
      ['99999999', 1],
      ['-1s', 2],
      ['8s', 7],
      ['8s', 0],
      ['q', 3],
      ['\xff'.repeat(8), 0],
    ];
    for (const [format, code] of damage) {
      const list = create(['x', 2]);
      const memory = Buffer.from(list.shm.buf.buffer);
      const formats = 8 * (2 + 2) + 16;
      memory.write(format.padEnd(8, '\0'), formats, 'latin1');
      memory[formats + 16] = code;
      expect(errorOf(() => list[0])).toMatchObject({
        name: 'ValueError',
        message: expect.stringMatching(/^item 0 is damaged: /),
      });
      expect(list[1]).toBe(2);
      list[0] = 'y';
      expect(list[0]).toBe('y');
    }
    const list = create(['x']);
    list.shm.buf[24] = 0xff;
    expect(() => list[0]).toThrow('item 0 is damaged: its text is not UTF-8');
  });

  test('random bytes never crash', () => {
    let seed = 1;
    const random = () => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      return seed >>> 16;
    };
    for (let i = 0; i < 300; i++) {
      const list = create(['text', 1, 2.5, bytes('b'), null]);
      for (let j = 0; j < 4; j++) list.shm.buf[random() % list.shm.size] = random();
      for (const read of [
        () => new ShareableList(undefined, { name: list.shm.name }).toString(),
        () => [...list],
        () => list.format,
      ]) {
        try {
          read();
        } catch (error) {
          expect(error).toMatchObject({ name: 'ValueError' });
        }
      }
    }
  });

  test('a closed list says so', () => {
    const list = create([1]);
    list.shm.close();
    for (const f of [() => list[0], () => list.set(0, 1), () => list.format, () => [...list]]) {
      expect(f).toThrow('this list is closed: attach to it anew by its name, if it is there');
    }
    expect(inspect(list)).toBe(`ShareableList(closed, name='${list.shm.name}')`);
  });

  test('a property that is no index is an ordinary one', () => {
    const list = create([1]) as ShareableList & Record<string, unknown>;
    list.note = 'mine';
    expect([
      list.note,
      list.absent,
      '1.5' in list,
      list['1.5'],
      Object.hasOwn(list, 'note'),
    ]).toEqual(['mine', undefined, false, undefined, true]);
    expect(Object.keys(list)).toEqual(['shm', 'note']);
  });

  test('a long list shows its first hundred items', () => {
    expect(String(create(Array(103).keys()))).toMatch(/98, 99, \.\.\. 3 more\], name='psm_\w+'\)$/);
  });
});

if (linux) {
  forEachStartMethod((ctx) => {
    test('a child changes the list of its parent', async () => {
      const list = create(['parent', 1, 2]);
      const p = new ctx.Process({ target: targets.changeList, args: [list] });
      await p.start();
      await p.join();
      expect([p.exitcode, ...list]).toEqual([0, 'child', 1, 2]);
    });
  });
}
