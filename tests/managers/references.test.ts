/**
 * Who has what of a manager: references that come back, whatever becomes of who had them; and CPython's known faults of it.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import * as mp from 'multiprocessing';
import {
  type BaseProxy,
  type DictProxy,
  type ListProxy,
  type QueueProxy,
  RemoteError,
  SyncManager,
} from 'multiprocessing/managers';
import { forkAvailable } from 'multiprocessing/os';
import { RemoteTraceback } from 'multiprocessing/pool';
import { ForkingPickler } from 'multiprocessing/reduction';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/manager_targets.js';
import { CollectingManager, MyManager, QueueManager } from '../fixtures/dist/manager_targets.js';
import { collectUntil } from '../support/garbage.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

let manager: SyncManager;

beforeAll(async () => {
  manager = await mp.Manager();
  await manager.numberOfObjects();
});
afterAll(async () => {
  await manager.shutdown();
});

/** Asks until it is so: what has ended is noticed beside our calls. */
async function becomes(count: number, of: { numberOfObjects(): Promise<number> } = manager) {
  let now = -1;
  for (let i = 0; i < 500 && now !== count; i++) now = await of.numberOfObjects();
  expect(now).toBe(count);
}

test('a proxy that is collected gives its object back, and one that is disposed of at once', async () => {
  await becomes(0);
  await (async () => {
    const list = await manager.list([1]);
    expect(await list.len()).toBe(1);
    expect(await manager.debugInfo()).toMatch(/^ {2}[0-9a-f]+: {7}refcount=1\n {4}\[1\]$/);
  })();
  let left = 1;
  await collectUntil(() => {
    left = manager.numberOfObjectsSync();
    return left === 0;
  });
  expect(left).toBe(0);
  const dict = await manager.dict();
  dict[Symbol.dispose]();
  dict[Symbol.dispose]();
  await becomes(0);
  expect(String(dict)).toMatch(/; '__str__\(\)' failed>$/);
});

// gh-103136
test('an object in another object goes with it, also in circles', async () => {
  await using own = await new CollectingManager().start();
  const collector = await own.Collector();
  const outer = await own.list<BaseProxy>();
  for (let i = 0; i < 20; i++) {
    const inner = await own.dict({ i });
    await outer.append(inner);
    await inner.setItem('outer' as never, outer as never);
    inner[Symbol.dispose]();
  }
  expect(await own.numberOfObjects()).toBe(2);
  const found = (await outer.getItem(19)) as DictProxy<string, number>;
  expect(await found.getItem('i')).toBe(19);
  expect(await own.numberOfObjects()).toBe(3);
  await outer.clear();
  expect(await found.getItem('i')).toBe(19);
  const id = found._token.id;
  const ask = () => own._link().call({ ident: id, method: 'get', args: ['i'] });
  expect(await ask()).toBe(19);
  found[Symbol.dispose]();
  outer[Symbol.dispose]();
  await becomes(1, own);
  await collector.collect();
  await expect(ask()).rejects.toThrow(RemoteError);
});

// gh-99595
test('results that are shared are so for who has got the proxy from another process', async () => {
  await using own = await new MyManager().start();
  const counter = await own.Counter(3);
  const queue = await manager.Queue<targets.CounterProxy>();
  await queue.put(counter);
  const sent = await queue.get();
  expect(sent).not.toBe(counter);
  const twin = await sent.twin();
  expect(twin).toBeInstanceOf(targets.CounterProxy);
  expect(await twin.add(4)).toBe(7);
  expect(await (await twin.twin()).add(1)).toBe(8);
  expect(counter.addSync(0)).toBe(3);
  // The manager that only handed it on has none of its objects.
  expect(await own.numberOfObjects()).toBeGreaterThan(2);
});

// bpo-78947, bpo-86320
test('proxies of a manager before do not find the objects of the next one at its address', async () => {
  const authkey = Buffer.from('the same key');
  const first = await new QueueManager({ address: '\0mp-test-reconnect', authkey }).start();
  const old = await first.get_queue();
  const other = await new QueueManager({ address: first.address, authkey }).connect();
  const left = await other.get_queue();
  await old.put(1);
  await first.shutdown();
  const second = await new QueueManager({ address: '\0mp-test-reconnect', authkey }).start();
  const queue = await other.get_queue();
  await queue.put(2);
  expect(await queue.get()).toBe(2);
  await expect(left.get()).rejects.toThrow(/no object/);
  await expect(old.get()).rejects.toThrow('it was shut down');
  await second.shutdown();
});

// bpo-78740
test('a manager with a key of its own, and proxies in proxies', async () => {
  await using own = await new mp.DefaultContext().Manager({ authkey: Buffer.from('own') });
  const dict = await own.dict<string, ListProxy<number>>();
  await dict.setItem('list', await own.list([1, 2]));
  expect(await (await dict.getItem('list')).copy()).toEqual([1, 2]);
  const [sent] = (await ForkingPickler.loads(ForkingPickler.dumps([dict]))) as [typeof dict];
  expect(await (await sent.getItem('list')).len()).toBe(2);
  const child = new mp.Process({ target: targets.putNested, args: [dict] });
  await child.start();
  await child.join();
  expect(child.exitcode).toBe(0);
  expect(await (await dict.getItem('new')).copy()).toEqual([1, 2, 3]);
});

// bpo-78279
test('an error of a method has its class, its message, and where it was thrown in the manager', async () => {
  await using own = await new MyManager().start();
  const foo = await own.Foo();
  const error = await foo.g().catch((e: unknown) => e);
  expect(error).toBeInstanceOf(mp.ValueError);
  expect(error).toMatchObject({ message: 'of g', code: 'ERR_MP_VALUE' });
  const { cause } = error as Error;
  expect(cause).toBeInstanceOf(RemoteTraceback);
  expect((cause as RemoteTraceback).tb).toMatch(/FooBar\.g .*manager_targets/);
  await expect(own.Thrower()).rejects.toThrow(new RangeError('no such thing'));
  const counter = await own.Counter();
  await expect(counter.unsendable()).rejects.toThrow(/the result of unsendable cannot be sent/);
  expect(await counter.add(1)).toBe(1);
});

// gh-101320
describe.skipIf(!forkAvailable().available)('a forked child', () => {
  test('has references of its own to what its parent had', async () => {
    const list = await manager.list<number>();
    const queue = await manager.Queue();
    const waiting = queue.get();
    const ctx = mp.getContext('fork');
    const p = new ctx.Process({
      target: async () => {
        list.appendSync(1);
        await list.append(process.pid);
      },
    });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(await list.copy()).toEqual([1, p.pid]);
    await queue.put(5);
    expect(await waiting).toBe(5);
  });
});

forEachStartMethod((ctx) => {
  test('a lock whose owner is killed goes to who waits, and its references go back', async () => {
    const lock = await manager.Lock();
    const held = await manager.Event();
    const before = await manager.numberOfObjects();
    const p = new ctx.Process({ target: targets.hold, args: [lock, held] });
    await p.start();
    await held.wait();
    const acquired = lock.acquire();
    p.kill();
    await p.join();
    expect(await acquired).toBe(true);
    await lock.release();
    await becomes(before);
  });

  test('a client that is killed has nothing any more', async () => {
    const authkey = mp.currentProcess().authkey;
    await using own = await new MyManager({ authkey: Buffer.from(authkey) }).start();
    const said = await manager.Event();
    const dict = await manager.dict<string, unknown>();
    const args = [dict, said, { address: own.address as string, authkey: Buffer.from(authkey) }];
    const p = new ctx.Process({ target: targets.refer, args: args as never });
    await p.start();
    await said.wait();
    await becomes(1, own);
    p.kill();
    await p.join();
    await becomes(0, own);
    expect(await dict.getItem('pid')).toBe(p.pid);
  });
});

test('a slow method holds up nobody', async () => {
  await using own = await new MyManager().start();
  const counter = await own.Counter(1);
  const changed = counter.changed();
  expect(counter.addSync(0)).toBe(1);
  expect(await changed).toBe(1);
  const queue: QueueProxy<number> = await manager.Queue<number>();
  const gets = Array.from({ length: 100 }, () => queue.get());
  for (let i = 0; i < 100; i++) queue.putSync(i);
  expect(await Promise.all(gets)).toEqual(Array.from({ length: 100 }, (_, i) => i));
});

test('a blocking call with much to send takes in what is answered meanwhile', async () => {
  const list = await manager.list([new Uint8Array(3_000_000)]);
  // More than the manager keeps for who takes nothing in.
  const gets = Array.from({ length: 10 }, () => list.getItem(0));
  list.appendSync(new Uint8Array(20_000_000));
  for (const get of gets) expect((await get).length).toBe(3_000_000);
  expect(await list.len()).toBe(2);
});

test('a manager that its clients know by another address', async () => {
  const authkey = Buffer.from('by two names');
  const own = await new mp.DefaultContext().Manager({ address: ['127.0.0.1', 0], authkey });
  const [, port] = own.address as [string, number];
  const other = await new SyncManager({ address: ['localhost', port], authkey }).connect();
  const dict = await other.dict<string, ListProxy<number>>();
  await dict.setItem('list', await other.list([1]));
  const found = await dict.getItem('list');
  expect(found._token.address).toEqual(['localhost', port]);
  await found.append(2);
  await dict.setItem('again', found);
  expect(await (await dict.getItem('again')).copy()).toEqual([1, 2]);
  expect(await own.numberOfObjects()).toBeGreaterThan(0);
  await own.shutdown();
  await expect(dict.len()).rejects.toThrow(`localhost:${port}`);
});

test('a worker thread has a connection of its own', async () => {
  const list = await manager.list<number>([1]);
  const lock = await manager.RLock();
  await lock.acquire();
  const worker = new Worker(new URL('../fixtures/dist/manager_worker.js', import.meta.url), {
    workerData: {
      address: manager.address,
      authkey: Uint8Array.from(mp.currentProcess().authkey),
      ids: [list._token.id, lock._token.id],
    },
  });
  const [said] = await once(worker, 'message');
  // It is another owner.
  expect(said).toEqual([[1, 2, 3], false]);
  await once(worker, 'exit');
  expect(await list.copy()).toEqual([1, 2, 3]);
  await lock.release();
});
