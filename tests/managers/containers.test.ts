/**
 * Lists, dicts, sets and namespaces of a manager, and proxies in proxies.
 */
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import {
  AttributeError,
  type DictProxy,
  KeyError,
  type ListProxy,
  type QueueProxy,
  Slice,
  type SyncManager,
} from 'multiprocessing/managers';
import { afterAll, beforeAll, expect, test } from 'vitest';

let manager: SyncManager;

beforeAll(async () => {
  manager = await mp.Manager();
  expect(await manager.numberOfObjects()).toBe(0);
});
afterAll(async () => {
  await manager.shutdown();
});

const range = (n: number, from = 0) => Array.from({ length: n }, (_, i) => i + from);

test('a list has the methods of a list', async () => {
  const a = await manager.list(range(10));
  expect(await a.getItem(new Slice(null, null))).toEqual(range(10));
  const b = await manager.list<number>();
  expect(await b.copy()).toEqual([]);
  await b.extend(range(5));
  expect(await b.getItem(2)).toBe(2);
  expect(await b.getItem(new Slice(2, 10))).toEqual([2, 3, 4]);
  expect(await b.getItem(new Slice(undefined, undefined, -2))).toEqual([4, 2, 0]);
  expect(await b.imul(2)).toBe(b);
  expect(await b.copy()).toEqual([...range(5), ...range(5)]);
  expect(await b.add([5, 6])).toEqual([...range(5), ...range(5), 5, 6]);
  await b.setItem(new Slice(0, 8), [9]);
  expect(await b.copy()).toEqual([9, 3, 4]);
  await b.setItem(new Slice(1, 1), [1, 2]);
  await b.delItem(new Slice(0, 5, 2));
  expect(await b.copy()).toEqual([1, 3]);
  await b.insert(-1, 7);
  expect(await b.pop()).toBe(3);
  expect(await b.pop(0)).toBe(1);
  await b.remove(7);
  await expect(b.pop()).rejects.toThrow('pop from empty list');
  await expect(b.remove(7)).rejects.toThrow(mp.ValueError);
  await expect(b.getItem(0)).rejects.toThrow(RangeError);
  expect(await a.contains(3)).toBe(true);
  expect(await a.getItem(-1)).toBe(9);
  await a.sort({ reverse: true });
  expect(await a.reversed()).toEqual(range(10));
  await a.clear();
  expect(await a.len()).toBe(0);
  const mixed = await manager.list<unknown>([1, 'a']);
  await expect(mixed.sort()).rejects.toThrow(TypeError);
});

test('a list of lists', async () => {
  const a = await manager.list<number | string>(range(3));
  const f = await manager.list([a]);
  await a.append('hello');
  expect(await (await f.getItem(0)).copy()).toEqual([0, 1, 2, 'hello']);
});

test('a list is iterated as it is at the first step', async () => {
  const a = await manager.list(range(10));
  const steps = a[Symbol.asyncIterator]();
  await a.setItem(0, 100);
  expect((await steps.next()).value).toBe(100);
  const rest: number[] = [];
  for await (const item of steps) rest.push(item);
  expect(rest).toEqual(range(9, 1));
  expect(await steps.next()).toEqual({ done: true, value: undefined });
});

test('lists in a list stay what they are, and one may contain itself', async () => {
  const inner = await Promise.all(range(3).map(() => manager.list(range(3))));
  const a = await manager.list(inner);
  await (await a.getItem(0)).setItem(-1, 55);
  expect(await (await a.getItem(0)).copy()).toEqual([0, 1, 55]);
  expect(await (await a.getItem(1)).pop()).toBe(2);
  const lengths: number[] = [];
  for await (const list of a) lengths.push(await list.len());
  expect(lengths).toEqual([3, 2, 3]);
  const b = await manager.list<unknown>();
  await b.append(b);
  expect(String(b)).toMatch(/^\[<ListProxy object, typeid 'list' at 0x[0-9a-f]+>\]$/);
});

test('a dict has the methods of a dict', async () => {
  const d = await manager.dict<number, string>();
  for (const i of range(5, 65)) await d.setItem(i, String.fromCharCode(i));
  expect(await d.copy()).toEqual(new Map(range(5, 65).map((i) => [i, String.fromCharCode(i)])));
  expect(await d.keys()).toEqual(range(5, 65));
  expect(await d.values()).toEqual(['A', 'B', 'C', 'D', 'E']);
  expect(await d.items()).toContainEqual([66, 'B']);
  expect(await d.contains(65)).toBe(true);
  expect(await d.reversed()).toEqual(range(5, 65).reverse());
  expect(await d.get(1)).toBeUndefined();
  expect(await d.get(1, 'none')).toBe('none');
  expect(await d.setdefault(1, 'one')).toBe('one');
  expect(await d.pop(1)).toBe('one');
  expect(await d.pop(1, 'gone')).toBe('gone');
  await expect(d.pop(1)).rejects.toThrow(KeyError);
  await d.delItem(65);
  await expect(d.delItem(65)).rejects.toThrow(KeyError);
  expect(await d.popitem()).toEqual([69, 'E']);
  await d.update(new Map([[66, 'b']]));
  expect(await d.or([[1, 'x']])).toEqual(
    new Map([
      [66, 'b'],
      [67, 'C'],
      [68, 'D'],
      [1, 'x'],
    ]),
  );
  await d.ior([[2, 'y']]);
  expect(await d.getItem(2)).toBe('y');
  expect(await d.fromkeys(['k'], 0)).toEqual(new Map([['k', 0]]));
  await d.clear();
  expect(await d.len()).toBe(0);
  await expect(d.popitem()).rejects.toThrow(KeyError);
});

test('keys are the same by their values', async () => {
  const d = await manager.dict<unknown, number>();
  await d.setItem([1, 'a'], 1);
  await d.setItem([1, 'a'], 2);
  await d.setItem('(n1,s1:a)', 3);
  await d.setItem(null, 4);
  expect(await d.len()).toBe(3);
  expect(await d.getItem([1, 'a'])).toBe(2);
  await expect(d.setItem({}, 1)).rejects.toThrow('unhashable type');
});

test('a dict is iterated by its keys', async () => {
  const d = await manager.dict({ a: 1, b: 2 });
  const keys: string[] = [];
  for await (const key of d) {
    keys.push(key);
    await d.clear();
  }
  expect(keys).toEqual(['a', 'b']);
});

test('dicts in a dict live as long as somebody has them', async () => {
  type Inner = DictProxy<string, number>;
  const before = await manager.numberOfObjects();
  const pets = await manager.dict({ ferrets: 2, hamsters: 4 });
  const d = await manager.dict<string, Inner>({ pets });
  const inner = async () => (await d.getItem('pets')) as Inner;
  await (await inner()).setItem('ferrets', 5);
  expect(await pets.getItem('ferrets')).toBe(5);
  pets[Symbol.dispose]();
  await expect(pets.len()).rejects.toThrow(mp.ValueError);
  expect(await (await inner()).getItem('hamsters')).toBe(4);
  const again = await inner();
  await d.clear();
  expect(await again.getItem('hamsters')).toBe(4);
  const outer = await manager.list<unknown>([[88, 99], [again]]);
  expect(Array.isArray(await outer.getItem(0))).toBe(true);
  const found = ((await outer.getItem(-1)) as Inner[])[0] as Inner;
  expect(await found.getItem('hamsters')).toBe(4);
  expect(await manager.numberOfObjects()).toBeGreaterThan(before);
});

test('queues in a list and in a dict', async () => {
  const a = await manager.list<QueueProxy<number>>();
  await a.append(await manager.Queue<number>());
  await (await a.getItem(0)).put(123);
  expect(await (await a.getItem(0)).get()).toBe(123);
  const b = await manager.dict<number, QueueProxy<number>>();
  await b.setItem(0, await manager.Queue<number>());
  await (await b.getItem(0)).put(456);
  expect(await (await b.getItem(0)).get()).toBe(456);
});

test('a namespace has attributes', async () => {
  const n = await manager.Namespace<{ name?: string; job?: string; _hidden?: string }>();
  n.sync.name = 'Bob';
  await n.setAttr('job', 'Builder');
  n.sync._hidden = 'hidden';
  expect([await n.async.name, n.sync.job]).toEqual(['Bob', 'Builder']);
  await n.delAttr('job');
  expect(String(n)).toBe("Namespace(name='Bob')");
  expect('name' in n.sync).toBe(true);
  expect('job' in n.sync).toBe(false);
  await expect(n.getAttr('job')).rejects.toThrow("'Namespace' object has no attribute 'job'");
  await expect(n.getAttr('constructor' as 'job')).rejects.toThrow(AttributeError);
  await n.setAttr('__proto__' as 'job', 'plain');
  expect(await n.getAttr('__proto__' as 'job')).toBe('plain');
});

test('a set', async () => {
  const s = await manager.set([1, 2, 3]);
  await s.add(3);
  expect(await s.len()).toBe(3);
  expect(await s.or([4])).toEqual(new Set([1, 2, 3, 4]));
  expect(await s.and([2, 9])).toEqual(new Set([2]));
  expect(await s.sub([2])).toEqual(new Set([1, 3]));
  expect(await s.xor([3, 4])).toEqual(new Set([1, 2, 4]));
  expect(await s.issubset(range(9))).toBe(true);
  expect(await s.isdisjoint([7])).toBe(true);
  await s.symmetricDifferenceUpdate([1, 5]);
  await s.discard(8);
  await expect(s.remove(8)).rejects.toThrow(KeyError);
  const items: number[] = [];
  for await (const item of s) items.push(item);
  expect(items.sort()).toEqual([2, 3, 5]);
  expect(String(s)).toBe('{2, 3, 5}');
});

test('what is written as a list or an object', async () => {
  const d = await manager.dict<string, number>({ a: 1 });
  d.sync.b = 2;
  expect(d.sync.b).toBe(2);
  expect(d.sync.c).toBeUndefined();
  expect({ ...d.sync }).toEqual({ a: 1, b: 2 });
  expect(Object.keys(d.sync)).toEqual(['a', 'b']);
  delete d.sync.a;
  expect('a' in d.sync).toBe(false);
  expect(await d.async.b).toBe(2);
  const list = await manager.list([3, 4]);
  const view = list.sync;
  view[2] = 5;
  view[0] = 1;
  expect(view.push(6)).toBe(4);
  expect([...view]).toEqual([1, 4, 5, 6]);
  expect(view.at(-1)).toBe(6);
  expect(view.map((x) => x * 2)).toEqual([2, 8, 10, 12]);
  expect(view[9]).toBeUndefined();
  expect([view.length, await list.async[0], await list.async.length]).toEqual([4, 1, 4]);
  expect(Array.isArray(view)).toBe(true);
  expect(() => view.sort()).toThrow('call the methods of the proxy');
  view.length = 1;
  expect(await list.copy()).toEqual([1]);
});

test('texts are those of Python, and a look shows the proxy', async () => {
  const list: ListProxy<unknown> = await manager.list<unknown>([
    "it's",
    null,
    true,
    1.5,
    new Map([['k', new Uint8Array([65, 0])]]),
  ]);
  expect(String(list)).toBe(`["it's", None, True, 1.5, {'k': b'A\\x00'}]`);
  expect(await list.text()).toBe(String(list));
  expect(inspect(list)).toMatch(/^<ListProxy object, typeid 'list' at 0x[0-9a-f]+>$/);
});

test('what goes in and comes out is what pickling carries', async () => {
  const d = await manager.dict<string, unknown>();
  const value = new Map<unknown, unknown>([
    [1n, new Float64Array([1, 2])],
    ['when', new Date(5)],
    ['set', new Set([undefined, null])],
  ]);
  await d.setItem('v', value);
  expect(await d.getItem('v')).toEqual(value);
  expect(() => d.setItemSync('f', () => 1)).toThrow(mp.PicklingError);
  await expect(d.setItem('f', () => 1)).rejects.toThrow(mp.PicklingError);
  expect(await d.len()).toBe(1);
  const large = new Uint8Array(3_000_000).fill(7);
  await d.setItem('large', large);
  expect(Buffer.compare(d.getItemSync('large') as Uint8Array, large)).toBe(0);
});
