/**
 * The life of managers: start, registered types, connecting, the end, also the sudden one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import {
  type BaseManager,
  RemoteError,
  SharedMemoryManager,
  State,
  SyncManager,
} from 'multiprocessing/managers';
import { kill } from 'multiprocessing/os';
import { ForkingPickler } from 'multiprocessing/reduction';
import { ShareableList, SharedMemory } from 'multiprocessing/shared_memory';
import { getTempDir } from 'multiprocessing/util';
import { beforeAll, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/manager_targets.js';
import { MyManager, QueueManager } from '../fixtures/dist/manager_targets.js';
import { startProgram } from '../support/programs.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const HOST = '127.0.0.1';

async function common(manager: MyManager): Promise<void> {
  const foo = await manager.Foo();
  const bar = await manager.Bar();
  expect(['f', 'g', '_h'].filter((name) => name in foo)).toEqual(['f', 'g']);
  expect(['f', 'g', '_h'].filter((name) => name in bar)).toEqual(['f', '_h']);
  expect(await foo.f()).toBe('f()');
  expect(foo.fSync()).toBe('f()');
  await expect(foo.g()).rejects.toThrow(mp.ValueError);
  expect(await foo._callmethod('f')).toBe('f()');
  await expect(foo._callmethod('_h')).rejects.toThrow(RemoteError);
  await expect(foo._callmethod('constructor')).rejects.toThrow(RemoteError);
  expect(await bar._h()).toBe('_h()');
  expect(await bar._callmethod('_h')).toBe('_h()');
  const all: number[] = [];
  for await (const square of await manager.squares()) all.push(square);
  expect(all).toEqual([0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
}

function ended(manager: BaseManager): number | undefined {
  return manager._process?.exitcode;
}

function pidOf(manager: BaseManager): number {
  return manager._process?.pid as number;
}

beforeAll(() => {
  getTempDir(); // there once for the process, and no leftover of a test
});

forEachStartMethod((ctx) => {
  test('registered types, until shutdown', async () => {
    const manager = new MyManager({ ctx });
    await manager.start();
    await common(manager);
    await manager.shutdown();
    await manager.join();
    await manager.shutdown();
    expect(ended(manager)).toBe(0);
  });

  test('await using ends a manager', async () => {
    const manager = new MyManager({ ctx });
    {
      await using m = await manager.start();
      await common(m);
    }
    expect(ended(manager)).toBe(0);
    expect(manager._state.value).toBe(State.SHUTDOWN);
  });

  test('a manager that was started is ended by using', () => {
    const manager = new MyManager({ ctx }).startSync();
    {
      using m = manager;
      expect(m.FooSync().fSync()).toBe('f()');
    }
    expect(ended(manager)).toBe(0);
  });

  test('an initializer runs in the process of the manager', async () => {
    await using manager = await ctx.Manager();
    const ns = await manager.Namespace<{ test: number }>({ test: 0 });
    const other = new SyncManager({ ctx });
    await expect(other.start({ initializer: 1 as never })).rejects.toThrow(TypeError);
    await other.start({ initializer: targets.initializer, initargs: [ns] });
    expect(ns.sync.test).toBe(1);
    await other.shutdown();
    const third = new SyncManager({ ctx });
    await expect(third.start({ initializer: targets.failingInitializer })).rejects.toThrow(
      'not like this',
    );
  });

  test('a manager on TCP, used by its program, by another process, and by who connects', async () => {
    const authkey = Buffer.from(crypto.getRandomValues(new Uint8Array(32)));
    const values = ['hello', undefined, true, 2.25, 'hall\u00e5', '\u043f\u0440', [1, [2]]];
    const manager = new QueueManager({ address: [HOST, 0], authkey, ctx });
    await manager.start();
    const address = manager.address as [string, number];
    const p = new ctx.Process({ target: targets.putAll, args: [address, authkey, values] });
    await p.start();
    const other = await new QueueManager({ address, authkey }).connect();
    const queue = await other.get_queue();
    for (const value of values) expect(await queue.get()).toEqual(value);
    await expect(queue.put(() => 1)).rejects.toThrow(mp.PicklingError);
    await p.join();
    expect(p.exitcode).toBe(0);
    await expect(other.shutdown()).rejects.toThrow(mp.ProcessError);
    await manager.shutdown();
  });

  test('a child that was given a manager makes objects by it', async () => {
    await using manager = await new MyManager({ ctx }).start();
    const list = await manager.Counter(1);
    const p = new ctx.Process({ target: targets.useManager, args: [manager, list] as never });
    await p.start();
    await p.join();
    expect(p.exitcode).toBe(0);
    expect(await list.add(0)).toBe(6);
    expect(() => ForkingPickler.dumps(manager)).toThrow(TypeError);
    expect(JSON.stringify([manager, list])).not.toMatch(/authkey/);
  });

  test('proxies in the tasks of a pool', async () => {
    await using manager = await ctx.Manager();
    const list = await manager.list<number>();
    const pool = ctx.Pool(2);
    await pool.map(
      targets.appendTo,
      [1, 2, 3, 4].map((i) => [list, i] as [typeof list, number]),
    );
    await pool.close();
    await pool.join();
    expect((await list.copy()).sort()).toEqual([1, 2, 3, 4]);
  });

  test('a manager that is killed: calls under way and later ones say so', async () => {
    const manager = await ctx.Manager();
    const queue = await manager.Queue();
    const waits = [queue.get(), queue.get()];
    const pid = pidOf(manager);
    await manager.numberOfObjects();
    kill(pid, 9);
    for (const wait of waits)
      await expect(wait).rejects.toThrow(
        `the manager at ${manager.address} has ended: the manager process has ended: exit code -9`,
      );
    await expect(queue.get()).rejects.toThrow(mp.EOFError);
    expect(() => queue.getSync()).toThrow('exit code -9');
    await expect(manager.list()).rejects.toThrow(mp.EOFError);
    await manager.shutdown();
    await expect(manager.list()).rejects.toThrow('it was shut down');
    await expect(queue.get()).rejects.toThrow('it was shut down');
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test('a manager that is killed while it has processes of its own', async () => {
    const manager = await ctx.Manager();
    const pool = await manager.Pool(1);
    expect(await pool.map(targets.double, [1])).toEqual([2]);
    const queue = await manager.Queue();
    const failed = expect(queue.get()).rejects.toThrow('exit code -9');
    await manager.numberOfObjects();
    kill(pidOf(manager), 9);
    await failed;
    await manager.shutdown();
  });

  test('a manager that is killed while somebody blocks', async () => {
    const manager = await ctx.Manager();
    const queue = await manager.Queue();
    const killer = spawn('sh', ['-c', `read _; kill -9 ${pidOf(manager)}`]);
    const ended = once(killer, 'exit');
    killer.stdin.end('\n');
    expect(() => queue.getSync()).toThrow('exit code -9');
    await ended;
    await manager.shutdown();
  });

  test('shared memory of a manager is gone with it', async () => {
    const manager = new SharedMemoryManager({ ctx });
    await expect(manager.SharedMemory(9)).rejects.toThrow(mp.AssertionError);
    await manager.start();
    const lists = [await manager.ShareableList([0, 1, 2]), manager.ShareableListSync([5])];
    const segments = [await manager.SharedMemory(32), manager.SharedMemorySync(64)];
    const twin = new ShareableList(null, { name: lists[0]?.shm.name });
    expect([...twin]).toEqual([0, 1, 2]);
    const name = segments[0]?.name as string;
    const attached = new SharedMemory({ name });
    expect(attached.size).toBeGreaterThanOrEqual(32);
    await manager.shutdown();
    expect(() => new SharedMemory({ name })).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    for (const shm of [attached, twin.shm, ...segments, ...lists.map((l) => l.shm)]) shm.close();
    let held: string;
    {
      await using second = await new SharedMemoryManager({ ctx }).start();
      const list = await second.ShareableList(['howdy']);
      held = list.shm.name;
      list.shm.close();
    }
    expect(() => new SharedMemory({ name: held })).toThrow();
  });

  test('SIGINT is not for the manager', async () => {
    const manager = await new SharedMemoryManager({ ctx }).start();
    const first = await manager.ShareableList([1]);
    kill(pidOf(manager), 2);
    const second = await manager.ShareableList([2]);
    expect([...first, ...second]).toEqual([1, 2]);
    for (const { shm } of [first, second]) shm.close();
    await manager.shutdown();
  });

  test('a manager that is started at the address of one that has ended just now', async () => {
    const authkey = Buffer.from('again and again');
    const server = new QueueManager({ address: [HOST, 0], authkey, ctx }).getServer();
    const address = server.address as [string, number];
    server.stop();
    for (const word of ['hello', 'world']) {
      const manager = await new QueueManager({ address, authkey, ctx }).start();
      const p = new ctx.Process({ target: targets.putAll, args: [address, authkey, [word]] });
      await p.start();
      await p.join();
      const queue = await manager.get_queue();
      expect(await queue.get()).toBe(word);
      await manager.shutdown();
    }
  });
});

describe.each(['node', 'pickle'] as const)(
  'a manager with the serializer %s that is stopped',
  (serializer) => {
    test.each([
      ['shutdown', true],
      ['shutdown', false],
      ['shutdownSync', true],
      ['shutdownSync', false],
    ] as const)('is terminated by %s (used before: %s)', async (end, isUsed) => {
      const manager = await new SyncManager({ serializer, shutdownTimeout: 0.1 }).start();
      if (isUsed) await manager.list([1]);
      const process = manager._process as mp.Process;
      kill(process.pid as number, 'SIGSTOP');
      await manager[end]();
      expect(process.exitcode).toBe(-15);
    });
  },
);

test('a program with a SharedMemoryManager ends without a word', async () => {
  const { code, stderr, stdout } = await startProgram('shared_memory_manager').outcome;
  expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: '', stdout: '[ 0, 1, 2 ]\n' });
});

test('a manager whose program is killed ends', async () => {
  const program = startProgram('manager_of_killed');
  const [line] = await once(program.child.stdout as NodeJS.ReadableStream, 'data');
  const { pid, address, authkey } = JSON.parse(String(line));
  const other = new SyncManager({ address, authkey: Buffer.from(authkey, 'hex') });
  await other.connect();
  const queue = await other.Queue();
  const failed = expect(queue.get()).rejects.toThrow(mp.EOFError);
  await queue.qsize();
  program.child.kill('SIGKILL');
  await program.outcome;
  await failed;
  await expect(other.list()).rejects.toThrow(
    expect.objectContaining({ message: expect.stringContaining(address) }),
  );
  expect(stateOf(pid)).toMatch(/^(gone|Z)$/);
});

test('a manager that nobody shuts down ends with its program', async () => {
  const { code, stdout, stderr } = await startProgram('manager_forgotten').outcome;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stateOf(Number(stdout))).toBe('gone');
});

test('exposed names that the object has not, or that await would call', async () => {
  await using manager = await new MyManager().start();
  const odd = (await manager._create('Odd')) as Awaited<ReturnType<MyManager['Foo']>>;
  expect(await odd.f()).toBe('f()');
  expect('then' in odd).toBe(false);
  for (const name of ['then', 'nope'])
    await expect(odd._callmethod(name)).rejects.toThrow(
      `method "${name}" of Odd object is exposed, but the object has none`,
    );
});

test('a server in this process, for others and for itself', async () => {
  const authkey = Buffer.from('of this process');
  const manager = new QueueManager({ authkey });
  const server = manager.getServer();
  const served = server.serveForever();
  await expect(server.serveForever()).rejects.toThrow(mp.RuntimeError);
  const second = new QueueManager({ authkey }).getServer();
  await expect(second.serveForever()).rejects.toThrow('another server runs in this process');
  second.stop();
  const p = new mp.Process({
    target: targets.putAll,
    args: [server.address, authkey, ['from a child']],
  });
  await p.start();
  const client = await new QueueManager({ address: server.address, authkey }).connect();
  const queue = await client.get_queue();
  expect(await queue.get()).toBe('from a child');
  expect(() => queue.getSync()).toThrow('would block the manager itself');
  expect(() => client.numberOfObjectsSync()).toThrow('would wait for itself');
  await p.join();
  expect(server.numberOfObjects()).toBeGreaterThan(0);
  server.stop();
  await served;
});

/** The state of a process. */
function stateOf(pid: number): string {
  try {
    return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.[1] ?? 'gone';
  } catch {
    return 'gone';
  }
}
