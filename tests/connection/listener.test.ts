/**
 * Listeners and clients, in one process and between processes. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as mp from 'multiprocessing';
import {
  type Address,
  Client,
  ClientSync,
  type Connection,
  type Family,
  Listener,
  type ListenerOptions,
  wait,
} from 'multiprocessing/connection';
import { ForkingPickler } from 'multiprocessing/reduction';
import { getTempDir } from 'multiprocessing/util';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/listener_targets.js';
import { errorOf } from '../fixtures/dist/targets.js';
import { collectUntil } from '../support/garbage.ts';
import { Channel, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

getTempDir(); // it stays until the end of the process

let counter = 0;
const abstractName = () => `\0mp-test-${process.pid}-${counter++}`;

const kinds: [kind: string, address: () => Address | undefined, options?: ListenerOptions][] = [
  ['AF_INET', () => undefined, { family: 'AF_INET' }],
  ['AF_UNIX', () => undefined, { family: 'AF_UNIX' }],
  ['an abstract name', abstractName],
];

const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

function track<T extends { close(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

const listen = (address?: Address, options?: ListenerOptions) =>
  track(new Listener(address, options));

async function connected(listener: Listener): Promise<[client: Connection, server: Connection]> {
  const [client, server] = await Promise.all([Client(listener.address), listener.accept()]);
  return [track(client), track(server)];
}

describe.each(kinds)('a listener of %s', (kind, address, options) => {
  test('an address is taken once', async () => {
    const listener = listen(address(), options);
    const again = () => new Listener(listener.address);
    expect(await errorOf(again)).toMatchObject({ name: 'OSError', code: 'EADDRINUSE' });
  });

  test('it is a context, and accepts nothing afterwards', async () => {
    const listener = listen(address(), options);
    {
      await using _ = listener;
      using client = await Client(listener.address);
      using server = await listener.accept();
      await client.send(1729);
      expect(await server.recv()).toBe(1729);
    }
    const expected = { name: 'OSError', code: 'EBADF', message: 'listener is closed' };
    expect(await errorOf(() => listener.accept())).toMatchObject(expected);
    expect(await errorOf(() => listener.acceptSync())).toMatchObject(expected);
    expect(await errorOf(() => listener.fileno())).toMatchObject(expected);
    listener.close();
  });

  test('the blocking twins do the same', async () => {
    const listener = listen(address(), options);
    const client = track(ClientSync(listener.address));
    const server = track(listener.acceptSync());
    client.sendSync({ n: 1 });
    expect(server.recvSync()).toEqual({ n: 1 });
    await server.sendBytes(Buffer.from('hello')); // CPython's issue 16955
    expect(await client.poll(1)).toBe(true);
  });

  test('it knows its address and its last client', async () => {
    const listener = listen(address(), options);
    expect(listener.lastAccepted).toBeUndefined();
    const [client] = await connected(listener);
    expect(inspect(listener)).toBe(`<Listener address=${inspect(listener.address)}>`);
    if (kind === 'AF_INET') {
      expect(listener.address).toEqual(['127.0.0.1', expect.any(Number)]);
      expect(listener.lastAccepted).toEqual(['127.0.0.1', expect.any(Number)]);
      expect(listener.lastAccepted).not.toEqual(listener.address);
    } else {
      expect(listener.lastAccepted).toBe('');
    }
    client.close();
    listener.close();
    expect(String(listener)).toBe('<Listener closed>');
  });

  test('it can be waited for', async () => {
    const listener = listen(address(), options);
    expect(await wait([listener], 0)).toEqual([]);
    const waiting = wait([listener], 20);
    const client = track(await Client(listener.address));
    expect(await waiting).toEqual([listener]);
    track(listener.acceptSync());
    client.close();
  });

  test('accepts under way are served in order, and end when it is closed', async () => {
    const listener = listen(address(), options);
    const order: number[] = [];
    const accepting = [0, 1, 2, 3].map(async (i) => {
      const server = track(await listener.accept());
      order.push(i);
      return server;
    });
    const results = Promise.allSettled(accepting);
    for (let i = 0; i < 2; i++) {
      const client = track(await Client(listener.address));
      await client.send(i);
      expect(await (await accepting[i])?.recv()).toBe(i);
    }
    listener.close();
    expect((await results).map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'rejected'],
    ]);
    expect(order).toEqual([0, 1]);
    await expect(accepting[3]).rejects.toMatchObject({ message: 'listener is closed' });
  });
});

// Over TCP they do as well, but the kernel tries again only after a second, then two, then four.
test.each(kinds.slice(1))(
  'clients wait for a place in the backlog of %s',
  async (_, at, options) => {
    const listener = listen(at(), { ...options, backlog: 0 });
    const clients = Array.from({ length: 8 }, () => Client(listener.address));
    for (let i = 0; i < clients.length; i++) track(await listener.accept());
    for (const client of await Promise.all(clients)) track(client);
    expect(await wait([listener], 0)).toEqual([]);
  },
);

test('clients that wait for a place are refused when the listener is closed', async () => {
  const listener = listen(abstractName(), { backlog: 0 });
  const clients = Array.from({ length: 4 }, () =>
    Client(listener.address).then(
      (client) => {
        client.close();
        return 'connected';
      },
      (error: { code: string }) => error.code,
    ),
  );
  await clients[0];
  listener.close();
  const outcomes = await Promise.all(clients);
  expect(new Set(outcomes)).toEqual(new Set(['connected', 'ECONNREFUSED']));
});

const hasIPv6 = Object.values(networkInterfaces())
  .flat()
  .some((address) => address?.address === '::1');
if (!hasIPv6) console.warn('no test of IPv6: this machine has no ::1');

test.skipIf(!hasIPv6)('an IPv6 number is an address', async () => {
  for (const [address, options] of [
    [['::1', 0], {}],
    [undefined, { family: 'AF_INET6' }],
  ] as [Address | undefined, ListenerOptions][]) {
    const listener = listen(address, options);
    expect(listener.address).toEqual(['::1', expect.any(Number)]);
    const [client, server] = await connected(listener);
    await client.send('six');
    expect(await server.recv()).toBe('six');
  }
});

describe('addresses', () => {
  test('a host may have a name', async () => {
    const listener = listen(['localhost', 0]);
    const [, port] = listener.address as readonly [string, number];
    track(await Client(['localhost', port]));
    track(ClientSync(['localhost', port]));
    const any = listen(['', 0]);
    expect(any.address[0]).toBe('0.0.0.0');
    const unknown: Address = ['x'.repeat(64), 1];
    const expected = { name: 'OSError', code: expect.stringMatching(/^(ENOTFOUND|EAI_AGAIN)$/) };
    expect(await errorOf(() => Client(unknown))).toMatchObject(expected);
    expect(await errorOf(() => ClientSync(unknown))).toMatchObject(expected);
    expect(await errorOf(() => new Listener(unknown))).toMatchObject(expected);
  });

  test('a family that is not there is told', async () => {
    const family = 'AF_PIPE' as Family;
    for (const f of [
      () => new Listener('\\\\.\\test'),
      () => new Listener(undefined, { family }),
      () => new Listener('x', { family: 'AF_VSOCK' as Family }),
      () => Client('\\\\.\\test'),
      () => ClientSync('x', { family }),
    ]) {
      expect(await errorOf(f)).toMatchObject({
        name: 'ValueError',
        message: expect.stringMatching(/^Family AF_\w+ is not recognized/),
      });
    }
  });

  test.each<[string, unknown, object, string]>([
    ['no address', 7, {}, 'ValueError'],
    ['a host without a port', ['localhost'], {}, 'TypeError'],
    ['a host that is no text', [1, 2], {}, 'TypeError'],
    ['a port that is none', ['localhost', 70_000], {}, 'ValueError'],
    ['half a port', ['localhost', 1.5], {}, 'ValueError'],
    ['a zero byte within', 'a\0b', {}, 'ValueError'],
    ['a path of another family', 'path', { family: 'AF_INET' }, 'TypeError'],
    ['a host of another family', ['localhost', 0], { family: 'AF_UNIX' }, 'TypeError'],
    ['a key that is text', ['localhost', 0], { authkey: 'secret' }, 'TypeError'],
    ['a time that is none', ['localhost', 0], { authTimeout: Number.NaN }, 'ValueError'],
    ['an unknown codec', ['localhost', 0], { codec: 'json' }, 'ValueError'],
    ['an unknown option', ['localhost', 0], { authKey: Buffer.of(1) }, 'TypeError'],
  ])('%s is told before anything is made', async (_, address, options, name) => {
    for (const make of [
      () => new Listener(address as Address, options),
      () => Client(address as Address, options),
      () => ClientSync(address as Address, options),
    ]) {
      expect(await errorOf(make)).toMatchObject({ name });
    }
  });

  test('a backlog is a whole number', async () => {
    const backlog = '1' as unknown as number;
    expect(await errorOf(() => new Listener(undefined, { backlog }))).toMatchObject({
      name: 'TypeError',
      message: "backlog must be a whole number, not '1'",
    });
  });

  test('a path that is too long is told with the limit', async () => {
    const path = scratchFile('x'.repeat(120));
    for (const f of [() => new Listener(path), () => Client(path), () => ClientSync(path)]) {
      expect(await errorOf(f)).toMatchObject({
        name: 'OSError',
        code: 'ENAMETOOLONG',
        message: expect.stringContaining('a Unix socket can have 107'),
      });
    }
    const longest = listen(`\0${'n'.repeat(106)}`);
    await connected(longest);
  });

  test('nobody listens there', async () => {
    const path = scratchFile();
    expect(await errorOf(() => Client(path))).toMatchObject({ code: 'ENOENT' });
    expect(await errorOf(() => ClientSync(path))).toMatchObject({ code: 'ENOENT' });
    const listener = listen(['localhost', 0]);
    listener.close();
    expect(await errorOf(() => Client(listener.address))).toMatchObject({ code: 'ECONNREFUSED' });
    const error = await errorOf(() => ClientSync(listener.address));
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });
});

describe('the path of a socket', () => {
  test('goes with close, and only once', () => {
    const path = scratchFile();
    const listener = listen(path);
    expect(existsSync(path)).toBe(true);
    listener.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, '');
    listener.close();
    expect(existsSync(path)).toBe(true);
  });

  test('stays when it is another socket by now, and may be gone', async () => {
    const path = scratchFile();
    const first = listen(path);
    rmSync(path);
    const second = listen(path);
    first.close();
    await connected(second);
    renameSync(path, `${path}.moved`);
    second.close();
    expect(existsSync(`${path}.moved`)).toBe(true);
  });

  test('goes with a listener that nobody has any more', async () => {
    const path = scratchFile();
    void new Listener(path);
    expect(await collectUntil(() => !existsSync(path))).toBe(true);
  });
});

test('a listener with a key is sent to nobody but a child that is being started', () => {
  for (const authkey of [mp.currentProcess().authkey, Buffer.from('secret'), Uint8Array.of(7)]) {
    const listener = listen(undefined, { authkey });
    expect(() => ForkingPickler.dumps(listener)).toThrow(/AuthenticationString .* disallowed/);
  }
});

forEachStartMethod((ctx) => {
  test.each(kinds)('a child is a client: %s', async (_, address, options) => {
    for (const target of [targets.sayHello, targets.sayHelloSync]) {
      const listener = listen(address(), options);
      const p = new ctx.Process({ target, args: [listener.address], daemon: true });
      await p.start();
      const server = track(await listener.accept());
      expect(await server.recv()).toBe('hello');
      await p.join();
      expect(p.exitcode).toBe(0);
    }
  });

  test('what a client has sent is there after its end', async () => {
    const listener = listen();
    const p = new ctx.Process({ target: targets.sayHello, args: [listener.address] });
    await p.start();
    await p.join();
    const server = track(await listener.accept());
    expect(await server.recv()).toBe('hello');
    expect(await errorOf(() => server.recv())).toMatchObject({ name: 'EOFError' });
  });

  test.each(kinds)('children accept at a listener of their parent: %s', async (_, at, options) => {
    const authkey = Buffer.from('of the family');
    const listener = listen(at(), { ...options, authkey, backlog: 8 });
    const children = [targets.acceptSome, targets.acceptSomeSync].map(
      (target) => new ctx.Process({ target, args: [listener, 2], daemon: true }),
    );
    for (const child of children) await child.start();
    const pids: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      using client = await Client(listener.address, { authkey });
      pids.push(await client.recv());
    }
    for (const child of children) await child.join();
    const expected = children.flatMap(({ pid }) => [pid, pid]);
    expect(pids.sort()).toEqual(expected.sort());
    // The children have closed theirs: the listener and its path are still there.
    const accepted = listener.accept();
    track(await Client(listener.address, { authkey }));
    track(await accepted);
  });

  test('signals do not end an accept', async () => {
    for (const sync of [true, false]) {
      const channel = new Channel();
      const args = [channel.path, sync] as const;
      const p = new ctx.Process({ target: targets.acceptDespiteSignals, args, daemon: true });
      await p.start();
      const address = (await channel.next()) as Address;
      for (let i = 0; i < 20; i++) process.kill(p.pid as number, 'SIGUSR2');
      const client = track(await Client(address));
      expect(await client.recv()).toBe('accepted');
      await p.join();
      expect(p.exitcode).toBe(0);
    }
  });

  test('a path goes with the process that made it, wherever that is by then', async () => {
    const channel = new Channel();
    const folder = scratchFile('folder');
    mkdirSync(folder);
    const p = new ctx.Process({ target: targets.listenAndEnd, args: [channel.path, folder] });
    await p.start();
    await p.join();
    expect([p.exitcode, await channel.next()]).toEqual([0, 'socket']);
    expect(existsSync(join(folder, 'socket'))).toBe(false);
  });
});
