/**
 * What a manager is sent by who should not, or what makes no sense: it goes on serving the others.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import * as mp from 'multiprocessing';
import { Client, type Connection } from 'multiprocessing/connection';
import { BaseManager, MakeProxyType, RemoteError, SyncManager } from 'multiprocessing/managers';
import * as pickle from 'multiprocessing/pickle';
import { ForkingPickler } from 'multiprocessing/reduction';
import { getTempDir } from 'multiprocessing/util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MyManager } from '../fixtures/dist/manager_targets.js';
import { fuzzed } from '../support/fuzz.ts';

getTempDir(); // it stays until the end of the process

const HOST = '127.0.0.1';
const authkey = Buffer.from('only for friends');

describe('what is refused before anything is made', () => {
  class Own extends BaseManager {}

  test('of a manager', () => {
    const refused = (options: object) => () => new Own(options);
    expect(refused({ authKey: authkey })).toThrow("unknown option 'authKey'");
    expect(refused({ authkey: 'text' })).toThrow(TypeError);
    expect(refused({ authkey: Buffer.alloc(0) })).toThrow(mp.ValueError);
    expect(refused({ serializer: 'xmlrpclib' })).toThrow(mp.ValueError);
    expect(refused({ shutdownTimeout: '1' })).toThrow(TypeError);
    expect(refused({ ctx: {} })).toThrow(TypeError);
    expect(refused({ maxMessageBytes: 0 })).toThrow(mp.ValueError);
  });

  test('of its life', async () => {
    const manager = new SyncManager();
    await expect(manager.list()).rejects.toThrow(mp.AssertionError);
    await expect(manager.shutdown()).rejects.toThrow(mp.ProcessError);
    await expect(manager.connect()).rejects.toThrow(mp.ValueError);
    await manager.start();
    await expect(manager.start()).rejects.toThrow('Already started server');
    expect(() => manager.getServer()).toThrow('Already started server');
    await manager.shutdown();
    await expect(manager.start()).rejects.toThrow('Manager has shut down');
    const taken = await new SyncManager({ address: '\0mp-test-taken' }).start();
    await expect(new SyncManager({ address: '\0mp-test-taken' }).start()).rejects.toThrow(
      expect.objectContaining({ code: 'EADDRINUSE' }),
    );
    await taken.shutdown();
    await expect(new SyncManager({ address: '\0mp-test-nobody' }).connect()).rejects.toThrow(
      expect.objectContaining({
        code: 'ECONNREFUSED',
        message: expect.stringContaining('the manager at @mp-test-nobody cannot be reached'),
      }),
    );
  });

  test('of a registration', () => {
    const refused = (...args: unknown[]) => {
      return () => (Own.register as (...args: unknown[]) => void)(...args);
    };
    expect(refused(1)).toThrow(TypeError);
    expect(refused('x', 1)).toThrow(TypeError);
    expect(refused('x', () => 1, { exposed: 'f' })).toThrow(TypeError);
    expect(refused('x', () => 1, { proxytype: 1 })).toThrow(TypeError);
    expect(refused('x', () => 1, { methodToTypeid: { f: 1 } })).toThrow(mp.AssertionError);
    expect(refused('x', () => 1, { method_to_typeid: {} })).toThrow('unknown option');
    expect(refused('start', () => 1)).toThrow(mp.ValueError);
    Own.register('twice', () => 1);
    Own.register('twice', () => 2);
    expect(Own._registry.get('twice')?.callable?.toString()).toContain('2');
    expect(BaseManager._registry.size).toBe(0);
    expect(MakeProxyType('A', ['f'])).toBe(MakeProxyType('A', ['f']));
    expect(MakeProxyType('A', ['f', 'g'])).not.toBe(MakeProxyType('A', ['f']));
  });
});

describe.each(['node', 'pickle'] as const)('at a manager with the serializer %s', (serializer) => {
  let manager: SyncManager;
  let address: readonly [string, number];

  beforeAll(async () => {
    const options = { address: [HOST, 0] as [string, number], authkey, serializer };
    manager = await new SyncManager({
      ...options,
      maxMessageBytes: 1 << 20,
      authTimeout: 1,
    }).start();
    address = manager.address as [string, number];
    await stillServes();
  });
  afterAll(async () => {
    await stillServes();
    await manager.shutdown();
  });

  async function stillServes(): Promise<void> {
    const list = await manager.list([1]);
    expect(await list.pop()).toBe(1);
    list[Symbol.dispose]();
  }

  async function stranger(): Promise<Socket> {
    const socket = connect({ host: HOST, port: address[1] });
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  }

  async function closed(socket: Socket): Promise<void> {
    socket.resume();
    // In whatever way it does: once() of node:events rejects at an error before.
    if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  }

  /** Somebody who holds the key, and speaks for himself. */
  const friend = (): Promise<Connection> =>
    Client([...address], { authkey, codec: { dumps: (o) => o as Uint8Array, loads: (b) => b } });

  test('a wrong key', async () => {
    const wrong = new SyncManager({ address, authkey: Buffer.from('wrong'), serializer });
    await expect(wrong.connect()).rejects.toThrow(mp.AuthenticationError);
    await stillServes();
  });

  test('silence, garbage, and a length that cannot be', async () => {
    const silent = await stranger();
    const others = await Promise.all([stranger(), stranger()]);
    others[0]?.write('GET / HTTP/1.1\r\n\r\n');
    others[1]?.write(Buffer.alloc(12, 255));
    await stillServes();
    await Promise.all([silent, ...others].map(closed));
  });

  test('a huge message of somebody with the key ends his connection alone', async () => {
    const connection = await friend();
    const held = await friend();
    await connection.sendBytes(new Uint8Array((1 << 20) + 1)).catch(() => {});
    await expect(connection.recvBytes()).rejects.toThrow();
    connection.close();
    await held.sendBytes(Buffer.from('nonsense'));
    await stillServes();
    held.close();
  });

  test('what it does not know is answered', async () => {
    const link = manager._link();
    const ask = (ident: string | null, method: string, ...args: unknown[]) =>
      link.call({ ident, method, args });
    const list = await manager.list([1]);
    await expect(ask(null, 'no such thing')).rejects.toThrow(RemoteError);
    await expect(ask(null, 'create', 'no type')).rejects.toThrow(RemoteError);
    await expect(ask(null, 'create', 'Iterator')).rejects.toThrow(/one non-keyword argument/);
    await expect(ask('1234', 'append', 1)).rejects.toThrow(RemoteError);
    await expect(ask(list._token.id, 'value')).rejects.toThrow(RemoteError);
    await expect(ask(list._token.id, 'constructor')).rejects.toThrow(RemoteError);
    await expect(ask(list._token.id, '__proto__')).rejects.toThrow(RemoteError);
    await expect(ask(null, 'decref', '1234')).rejects.toThrow(RemoteError);
    await expect(manager.Semaphore(-1)).rejects.toThrow(mp.ValueError);
    await expect(manager.Barrier(0)).rejects.toThrow(mp.ValueError);
    expect(await list.copy().catch(() => list._getvalue())).toEqual([1]);
  });

  test('mutated messages of somebody with the key', async () => {
    const dict = await manager.dict({ a: 1 });
    const id = dict._token.id;
    const request = [id, 'update', [new Map<unknown, unknown>([['k', [1, 'x', 2.5]]])], {}];
    const head = serializer === 'node' ? Buffer.from([9, 0, 0, 0]) : Buffer.alloc(0);
    const body = serializer === 'node' ? ForkingPickler.dumps(request) : pickle.dumps(request);
    const valid = Buffer.concat([head, body]);
    const hello = [null, 'accept_connection', ['fuzz'], {}];
    const first =
      serializer === 'node'
        ? Buffer.concat([Buffer.alloc(4), ForkingPickler.dumps(hello)])
        : Buffer.from(pickle.dumps(hello));
    let random = 1;
    const next = (below: number) => {
      random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
      return random % below;
    };
    let connection: Connection | undefined;
    for (let i = 0; i < fuzzed(5000); i++) {
      if (i % 500 === 0) {
        connection?.close();
        connection = await friend();
        await connection.sendBytes(first);
        if (serializer === 'pickle') await connection.recvBytes();
      }
      const mutated = Buffer.from(valid);
      for (let j = 0; j <= next(3); j++) mutated[next(mutated.length)] = next(256);
      // A request whose number says so gets no answer.
      if (serializer === 'node') mutated.writeUInt32LE(i + 1, 0);
      await connection?.sendBytes(
        next(10) === 0 ? mutated.subarray(0, next(valid.length) + 4) : mutated,
      );
      await connection?.recvBytes();
    }
    connection?.close();
    expect(await dict.len()).toBeGreaterThan(0);
    await stillServes();
  });
});

test('a manager class that the program made twice, by another name', async () => {
  await using manager = await new MyManager({ authkey }).start();
  const other = await new BaseManager({ address: manager.address, authkey }).connect();
  const counter = await other._create('Counter', [5]);
  expect(String(counter)).toBe('<Counter object>');
  expect(await counter._callmethod('add', [1])).toBe(6);
});
