/**
 * Twenty clients of one manager, blocking and awaiting ones, that make, nest, store, lock, put and get, while they are killed at random
 * moments and replaced. What is counted under a lock is right, no lock stays taken, and at the end no object is left, nor an fd, nor
 * memory.
 *
 *     tsx benchmarks/soak/managers.ts [COUNT = 4000000 calls]
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import type {
  AcquirerProxy,
  DictProxy,
  ListProxy,
  QueueProxy,
  SyncManager,
} from 'multiprocessing/managers';
import { collectUntil } from '../../tests/support/garbage.ts';
import { check, countOr, done, limitTime, printSeed, randomFrom, within } from './support.ts';

const CLIENTS = 20;
const STOP = 0;
const FAILED = 1;
/** How often each client has counted for certain, and how many calls it has made. */
const COUNTED = 8;
const WORDS = 2;
const MOST = 4000;

interface Shared {
  counts: DictProxy<string, number>;
  lock: AcquirerProxy;
  queue: QueueProxy<unknown>;
  store: ListProxy<unknown>;
  words: Int32Array;
}

export async function useAll(shared: Shared, id: number, address: string, key: Uint8Array) {
  const { counts, lock, queue, store, words } = shared;
  const { SyncManager } = await import('multiprocessing/managers');
  const manager: SyncManager = await new SyncManager({ address, authkey: key }).connect();
  const at = COUNTED + id * WORDS;
  const sync = id % 2 === 0;
  try {
    while (Atomics.load(words, STOP) === 0) {
      if (sync) {
        lock.acquireSync();
        counts.setItemSync('n', counts.getItemSync('n') + 1);
        Atomics.add(words, at, 1);
        lock.releaseSync();
        const list = manager.listSync<unknown>([id]);
        list.appendSync('x'.repeat(100));
        store.setItemSync(id % CLIENTS, list);
        queue.putSync(list);
        const got = queue.getSync();
        if (!Array.isArray(got)) (got as ListProxy).lenSync();
        Atomics.add(words, at + 1, 10);
      } else {
        await lock.acquire();
        await counts.setItem('n', (await counts.getItem('n')) + 1);
        Atomics.add(words, at, 1);
        await lock.release();
        const dict = await manager.dict<number, unknown>();
        await Promise.all(Array.from({ length: 50 }, (_, i) => dict.setItem(i, { i })));
        await store.setItem(id % CLIENTS, dict);
        await queue.put([dict, new Uint8Array(20_000)]);
        await queue.get();
        Atomics.add(words, at + 1, 60);
      }
    }
  } catch (error) {
    console.error(error);
    Atomics.add(words, FAILED, 1);
  }
}

function fdsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

function memoryOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function main(): Promise<void> {
  const count = countOr(4_000_000);
  limitTime(60 + count / 5000);
  const random = randomFrom(printSeed());
  const ctx = mp.getContext('forkserver');
  const manager = await ctx.Manager();
  const pid = (manager as unknown as { _process: mp.Process })._process.pid as number;
  const words = ctx.RawArray('i', COUNTED + MOST * WORDS);
  const shared: Shared = {
    counts: await manager.dict({ n: 0 }),
    lock: await manager.Lock(),
    queue: await manager.Queue(),
    store: await manager.list<unknown>(Array(CLIENTS).fill(null)),
    words,
  };
  const objects = await manager.numberOfObjects();
  const fds = fdsOf(pid);
  let started = 0;
  const key = Uint8Array.from(mp.currentProcess().authkey);
  const start = async () => {
    check(started < MOST, 'too many clients');
    const args = [shared, started++, manager.address as string, key] as const;
    const p = new ctx.Process({ target: useAll, args: [...args] });
    await p.start();
    return p;
  };
  const clients = await Promise.all(Array.from({ length: CLIENTS }, start));
  const sum = (offset: number) => {
    let all = 0;
    for (let i = 0; i < started; i++) all += words[COUNTED + i * WORDS + offset] as number;
    return all;
  };
  let killed = 0;
  let most = 0;
  while (sum(1) < count) {
    await sleep(20 + random() * 100);
    const i = Math.floor(random() * CLIENTS);
    const victim = clients[i] as mp.Process;
    check(victim.isAlive(), `client ${i} has ended: exit code ${victim.exitcode}`);
    victim.kill();
    killed++;
    await within(30, 'the join of a killed client', victim.join());
    clients[i] = (await start()) as never;
    most = Math.max(most, memoryOf(pid));
    check(Atomics.load(words, FAILED) === 0, 'a client has failed');
  }
  Atomics.store(words, STOP, 1);
  // What killed clients have taken out of the queue others wait for.
  for (let i = 0; i < CLIENTS; i++) await shared.queue.put([i]);
  for (const p of clients) {
    await within(60, 'the end of a client', p.join());
    check(p.exitcode === 0, `exit code ${p.exitcode}`);
  }
  check(await within(30, 'the lock', shared.lock.acquire()), 'the lock is taken');
  const counted = await shared.counts.getItem('n');
  const sure = sum(0);
  check(counted >= sure && counted <= sure + killed, `${counted} counted, ${sure} for certain`);
  while (!(await shared.queue.empty())) (await shared.queue.get()) as unknown;
  await shared.lock.release();
  await shared.store.clear();
  let left = Number.NaN;
  await collectUntil(() => {
    left = manager.numberOfObjectsSync();
    return left === objects;
  });
  check(left === objects, `${left - objects} objects too many:\n${await manager.debugInfo()}`);
  check(fdsOf(pid) <= fds + 2, `${fdsOf(pid)} fds, ${fds} at the start`);
  await manager.shutdown();
  done(
    `${sum(1)} calls of ${started} clients, ${killed} killed; ${counted} counted under the lock, ${sure} for certain; no object left; the manager had ${most.toFixed(0)} MB at most`,
  );
}

if (mp.isMain(import.meta)) await main();
