/**
 * Connections, sockets, listeners and fds on their way to other processes. Counterparts of CPython's tests:
 * docs/cpython-tests.md.
 */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import * as mp from 'multiprocessing';
import {
  type Address,
  Client,
  type Connection,
  type Family,
  Listener,
  Pipe,
} from 'multiprocessing/connection';
import {
  DupFd,
  ForkingPickler,
  recvfds,
  recvfdsSync,
  recvHandle,
  recvHandleSync,
  sendfds,
  sendfdsSync,
  sendHandle,
  sendHandleSync,
} from 'multiprocessing/reduction';
import { DupFd as SharedFd, stop } from 'multiprocessing/resource_sharer';
import { getTempDir } from 'multiprocessing/util';
import { afterEach, expect, test } from 'vitest';
import { dupAbove } from '../../packages/posix/dist/index.js';
import * as targets from '../fixtures/dist/reduction_fds.js';
import { errorOf } from '../fixtures/dist/targets.js';
import { findPythons } from '../support/python.ts';
import { Channel, scratchFile } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

getTempDir(); // it stays until the end of the process

const families: Family[] = ['AF_INET', 'AF_UNIX'];

const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
  stop();
});

function track<T extends { close(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

const pair = (duplex = true) => Pipe(duplex).map(track) as [Connection, Connection];

/** The links of this process's fds. */
function openLinks(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // that of the listing
    }
  });
}

async function listening(options = {}): Promise<{ server: Server; port: number }> {
  const server = createServer(options);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as { port: number }).port };
}

forEachStartMethod((ctx) => {
  const start = async (target: (...args: never[]) => unknown, ...args: unknown[]) => {
    const p = new ctx.Process({ target: target as () => void, args: args as [], daemon: true });
    await p.start();
    return p;
  };
  const ended = async (
    ...processes: { join(): Promise<void>; exitcode?: number | undefined }[]
  ) => {
    for (const p of processes) await p.join();
    expect(processes.map((p) => p.exitcode)).toEqual(processes.map(() => 0));
  };

  test('a connection and a socket that another process has accepted', async () => {
    const [lconn, lchild] = pair();
    const [rconn, rchild] = pair();
    const accepting = await start(targets.acceptForOther, lchild, families);
    const connecting = await start(targets.connectToOther, rchild);
    for (const family of families) {
      const message = `This connection uses family ${family}`;
      await rconn.send([await lconn.recv(), message]);
      const received = track((await lconn.recv()) as Connection);
      expect(await received.recv()).toBe(message.toUpperCase());
    }
    await rconn.send(null);
    const message = 'This connection uses a normal socket';
    await rconn.send([await lconn.recv(), message]);
    const socket = (await lconn.recv()) as Socket;
    expect(socket).toBeInstanceOf(Socket);
    expect(await text(socket)).toBe(message.toUpperCase());
    socket.destroy();
    await lconn.send(null);
    await ended(accepting, connecting);
  });

  test('it is fetched while its owner blocks', async () => {
    const [lconn, lchild] = pair();
    const accepting = await start(targets.acceptForOtherSync, lchild, families);
    for (const _ of families) {
      const client = track(await Client((await lconn.recv()) as Address));
      await client.send('hello');
      const received = track((await lconn.recv()) as Connection);
      expect(await received.recv()).toBe('hello');
    }
    await lconn.send(null);
    await ended(accepting);
  });

  test('and while its owner waits for a child to end, blocked', async () => {
    const [conn, child] = pair();
    const p = await start(targets.useBothSync, child);
    const [r, w] = pair(false);
    const [r2, w2] = pair(false);
    conn.sendSync(w);
    conn.sendSync(r2);
    w2.sendSync('foobar');
    p.joinSync(30);
    expect(p.exitcode).toBe(0);
    expect(r.recvSync()).toBe('all is well');
    expect(conn.recvSync()).toBe('foobarfoobar');
  });

  test('an end of a pipe is for its direction', async () => {
    for (const target of [targets.useBoth, targets.useBothSync]) {
      const [conn, child] = pair();
      const p = await start(target, child);
      {
        using r = pair(false)[0];
        const w = open.at(-1) as Connection;
        await conn.send(w);
        w.close();
        expect(await r.recv()).toBe('all is well');
      }
      const [r, w] = pair(false);
      await conn.send(r);
      r.close();
      await w.send('foobar');
      expect(await conn.recv()).toBe('foobarfoobar');
      await ended(p);
    }
  });

  test('an fd is sent to a child', async () => {
    for (const target of [targets.writeFd, targets.writeFdSync]) {
      const [conn, child] = pair();
      const p = await start(target, child, 'foo');
      const path = scratchFile();
      const fd = openSync(path, 'w');
      await sendHandle(conn, fd, p.pid as number);
      closeSync(fd);
      await ended(p);
      expect(readFileSync(path, 'utf8')).toBe('foo');
    }
  });

  test('an fd with a large number', async () => {
    const [conn, child] = pair();
    const p = await start(targets.writeFdSync, child, 'bar');
    const path = scratchFile();
    const fd = openSync(path, 'w');
    const large = dupAbove(fd, 300);
    expect(large).toBeGreaterThan(255);
    sendHandleSync(conn, large, p.pid as number);
    closeSync(large);
    closeSync(fd);
    await ended(p);
    expect(readFileSync(path, 'utf8')).toBe('bar');
  });

  test('a message without an fd is a RuntimeError', async () => {
    for (const receive of [recvHandle, recvHandleSync]) {
      const [conn, child] = pair();
      const p = await start(targets.writeWithoutFd, child);
      const error = {
        name: 'RuntimeError',
        message: expect.stringContaining('0 items of ancdata'),
      };
      expect(await errorOf(() => receive(conn))).toMatchObject(error);
      await ended(p);
    }
  });

  test('a connection can be closed as soon as the child has started', async () => {
    const [conn, child] = pair();
    const p = await start(targets.echo, child);
    child.close();
    await conn.sendBytes(Buffer.from('hello'));
    expect(Buffer.from(await conn.recvBytes()).toString()).toBe('hello');
    await conn.sendBytes(Buffer.alloc(0));
    await ended(p);
  });

  test('connections through a queue', async () => {
    for (const target of [targets.answerFromQueue, targets.answerFromQueueSync]) {
      const queue = ctx.Queue<Connection | null>();
      const p = await start(target, queue);
      for (let i = 0; i < 5; i++) {
        const [mine, theirs] = pair();
        await queue.put(theirs);
        theirs.close();
        await mine.send(i);
        expect(await mine.recv()).toEqual(['answered', i]);
      }
      await queue.put(null);
      await ended(p);
      queue.close();
    }
  });

  test('a chain of three processes', async () => {
    const [first, firstChild] = pair();
    const [second, secondChild] = pair();
    const middle = await start(targets.passOn, firstChild, second);
    const last = await start(targets.answerSockets, secondChild);
    for (const end of [firstChild, second, secondChild]) end.close();
    const [mine, theirs] = pair();
    await first.send(theirs);
    theirs.close();
    expect(await first.recv()).toBe('passed on');
    await mine.send(1);
    expect(await mine.recv()).toEqual(['end of the chain', 1]);

    const { server, port } = await listening({ pauseOnConnect: true, allowHalfOpen: true });
    const client = createConnection(port, '127.0.0.1');
    const accepted = await new Promise<Socket>((resolve) => server.once('connection', resolve));
    await first.send(accepted);
    accepted.destroy();
    expect(await first.recv()).toBe('passed on');
    client.end('hello');
    expect(await text(client)).toBe('end of the chain: hello');
    server.close();
    await first.send(null);
    await ended(middle, last);
  });

  test('a server is shared, and so is a listener', async () => {
    const { server, port } = await listening();
    const [conn, child] = pair();
    const p = await start(targets.serveSome, child, 3);
    await conn.send(server);
    expect(await conn.recv()).toBe('ready');
    server.close();
    for (let i = 0; i < 3; i++) {
      expect(await text(createConnection(port, '127.0.0.1'))).toBe('served');
    }
    await ended(p);

    const listener = track(new Listener());
    const [conn2, child2] = pair();
    const p2 = await start(targets.acceptAtListener, child2);
    await conn2.send(listener);
    expect(await conn2.recv()).toBe('got it');
    const client = track(await Client(listener.address));
    expect(await client.recv()).toBe(p2.pid);
    await ended(p2);
  });

  test('an owner that is killed before the fd is fetched', async () => {
    const [conn, child] = pair();
    const channel = new Channel();
    const p = await start(targets.shareAndWait, child, channel.path);
    expect(await channel.next()).toBe('shared');
    p.kill();
    await p.join();
    const error = {
      name: 'UnpicklingError',
      message: expect.stringMatching(/^the process that has sent this fd has ended/),
    };
    expect(await errorOf(() => conn.recv())).toMatchObject(error);
  });

  test('two processes that block fetch of each other', async () => {
    const [a, b] = pair();
    const both = [await start(targets.exchangeSync, a), await start(targets.exchangeSync, b)];
    // They end when each has said that it has got everything.
    for (const end of [a, b]) end.close();
    for (const p of both) await p.join(30);
    expect(both.map((p) => p.exitcode)).toEqual([0, 0]);
  });

  test('an fd is fetched once, and what is not fetched is closed', async () => {
    const [conn, child] = pair();
    const channel = new Channel();
    const path = scratchFile();
    const fd = openSync(path, 'w');
    const p = await start(targets.fetchTwice, channel.path, child);
    await conn.send(new DupFd(fd));
    expect(await channel.next()).toEqual({
      name: 'UnpicklingError',
      message: expect.stringMatching(/^this fd is not there any more/),
    });
    ForkingPickler.dumps(new DupFd(fd));
    const pickled = ForkingPickler.dumps(new SharedFd(fd));
    closeSync(fd);
    expect(openLinks().filter((link) => link === path)).toHaveLength(2);
    stop();
    expect(openLinks()).not.toContain(path);
    const late = ForkingPickler.loadsSync(pickled) as SharedFd;
    expect(await errorOf(() => late.detach())).toMatchObject({ name: 'UnpicklingError' });
    await ended(p);
  });

  test('a thousand connections leave no fd behind', async () => {
    const [conn, child] = pair();
    const p = await start(targets.fetchMany, child, 1000);
    const before = openLinks().length;
    for (let i = 0; i < 1000; i++) {
      const [a, b] = Pipe();
      await conn.send(a);
      a.close();
      await conn.recv();
      b.close();
    }
    // Its own watch of the connection.
    expect(await conn.recv()).toBeLessThanOrEqual(1);
    stop();
    await ended(p);
    expect(openLinks().length).toBeLessThanOrEqual(before);
  });
});

forEachStartMethod(['spawn', 'forkserver'], (ctx) => {
  test('a server in the args of a process', async () => {
    const { server, port } = await listening();
    const [conn, child] = pair();
    const p = new ctx.Process({ target: targets.serveArg, args: [server, child, 2], daemon: true });
    await p.start();
    expect(await conn.recv()).toBe('ready');
    server.close();
    for (let i = 0; i < 2; i++) {
      expect(await text(createConnection(port, '127.0.0.1'))).toBe('served');
    }
    await p.join();
    expect(p.exitcode).toBe(0);
  });
});

forEachStartMethod(['forkserver'], (ctx) => {
  test('owners that are killed at any moment: an fd or an error, a hundred times', async () => {
    const results = new Map<string, number>();
    for (let i = 0; i < 100; i++) {
      const [conn, child] = pair();
      const p = new ctx.Process({ target: targets.shareAndWait, args: [child, '/dev/null'] });
      p.daemon = true;
      await p.start();
      child.close();
      if (i % 2 === 0) await conn.poll(30);
      const received = conn.recv().then(
        (end) => {
          (end as Connection).close();
          return 'fetched';
        },
        (error: Error) => error.name,
      );
      if (i % 4 < 2) await new Promise((resolve) => setImmediate(resolve));
      p.kill();
      const result = await received;
      results.set(result, (results.get(result) ?? 0) + 1);
      await p.join();
      conn.close();
    }
    const expected = ['EOFError', 'OSError', 'UnpicklingError', 'fetched'];
    for (const result of results.keys()) expect(expected).toContain(result);
  });
});

test('a forked child has none of what its parent shares', async () => {
  const ctx = mp.getContext('fork');
  const available = mp.getAllStartMethods().includes('fork');
  if (!available) return console.warn('no fork here: nothing is inherited');
  const [conn, child] = pair();
  const pickled = ForkingPickler.dumps(pair()[0]);
  const p = new ctx.Process({ target: targets.fetchMany, args: [child, 0], daemon: true });
  await p.start();
  stop();
  // Only the child could still have the socket: nobody listens any more.
  expect(await errorOf(() => ForkingPickler.loadsSync(pickled))).toMatchObject({
    name: 'UnpicklingError',
    message: expect.stringMatching(/^the process that has sent this fd has ended/),
  });
  expect(await conn.recv()).toBe(0);
  await p.join();
});

test('what is got where it was put needs no other process', async () => {
  const [a, b] = pair();
  const [mine, theirs] = pair();
  await a.send(theirs);
  const back = track((await b.recv()) as Connection);
  await back.send(1);
  expect(await mine.recv()).toBe(1);
  const queue = mp.Queue<Connection>();
  queue.putSync(theirs);
  const again = track(queue.getSync());
  again.sendSync(2);
  expect(mine.recvSync()).toBe(2);
  queue.close();
});

test('a message that cannot be pickled leaves no fd behind', async () => {
  const [a] = pair();
  await a.send(new DupFd(0)); // from now on this process listens
  const queue = mp.SimpleQueue();
  const before = openLinks();
  const message = [pair()[0], () => 1];
  const calls = [() => a.send(message), () => a.sendSync(message), () => queue.put(message)];
  for (const call of calls) expect(await errorOf(call)).toMatchObject({ name: 'PicklingError' });
  expect(openLinks()).toHaveLength(before.length + 2); // the pair
  queue.close();
});

test('a worker thread shares and fetches', async () => {
  const module = (name: string) => JSON.stringify(import.meta.resolve(`multiprocessing${name}`));
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     Promise.all([import(${module('/connection')}), import(${module('/reduction')})]).then(
       async ([{ Pipe }, { ForkingPickler }]) => {
         const conn = await ForkingPickler.loads(workerData);
         const [a, b] = Pipe();
         await conn.send(a);
         a.close();
         const other = await conn.recv();
         await other.send('from the thread');
         await b.send(await b.recv());
         other.close(); b.close(); conn.close();
       });`,
    { eval: true, workerData: await forThread() },
  );
  const conn = forThread.conn as Connection;
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const theirs = track((await conn.recv()) as Connection);
  const [mine, sent] = pair();
  await conn.send(sent);
  sent.close();
  expect(await mine.recv()).toBe('from the thread');
  await theirs.send('back');
  expect(await theirs.recv()).toBe('back');
  expect(await ended).toBe(0);
});

async function forThread(): Promise<Uint8Array> {
  const { dumpsForThread } = await import('multiprocessing/reduction');
  const [mine, theirs] = pair();
  forThread.conn = mine;
  return dumpsForThread(theirs);
}
forThread.conn = undefined as Connection | undefined;

test('what is shared does not keep a program going', async () => {
  const { runNode } = await import('../support/programs.ts');
  const module = (name: string) => import.meta.resolve(`multiprocessing${name}`);
  const { code, stdout, stderr } = await runNode([
    '--input-type=module',
    '-e',
    `import { Pipe } from '${module('/connection')}';
     import { ForkingPickler } from '${module('/reduction')}';
     ForkingPickler.dumps(Pipe());
     console.log('done');`,
  ]);
  expect([code, stdout, stderr]).toEqual([0, 'done\n', '']);
});

test('sendfds and recvfds', async () => {
  const [a, b] = pair();
  const path = scratchFile();
  const fd = openSync(path, 'w');
  const many = Array.from({ length: 253 }, () => fd);
  const receiving = recvfds(b, 253);
  await sendfds(a, many);
  const received = await receiving;
  expect(received).toHaveLength(253);
  for (const copy of received) closeSync(copy);
  sendfdsSync(a.fileno(), [fd, fd]);
  const error = { name: 'AssertionError', message: expect.stringContaining('2 fds came') };
  expect(await errorOf(() => recvfdsSync(b, 1))).toMatchObject(error);
  const wrong: [call: () => unknown, name: string, message: RegExp][] = [
    [() => sendfds(a, [...many, fd]), 'ValueError', /too many/],
    [() => sendfds(a, [-1]), 'ValueError', /negative/],
    [() => sendfdsSync(a, ['x' as never]), 'TypeError', /whole number/],
    [() => sendfds(a, 3 as never), 'TypeError', /array/],
    [() => sendfds({} as never, [fd]), 'TypeError', /^sock must be/],
    [() => recvfds(b, -1), 'ValueError', /^size/],
    [() => sendHandle(a, 99_999), 'OSError', /EBADF/],
  ];
  for (const [call, name, message] of wrong) {
    const expected = { name, message: expect.stringMatching(message) };
    expect(await errorOf(call)).toMatchObject(expected);
  }
  closeSync(fd);
  expect(openLinks()).not.toContain(path);
  a.close();
  expect(await errorOf(() => recvHandle(b))).toMatchObject({ name: 'EOFError' });
});

test('a socket that cannot be sent says why', async () => {
  const { server, port } = await listening();
  const client = createConnection(port, '127.0.0.1');
  const accepted = await new Promise<Socket>((resolve) => server.once('connection', resolve));
  const readable = new Promise((resolve) => accepted.once('readable', resolve));
  client.write('unread');
  await readable;
  const refusals: [object: object, why: RegExp][] = [
    [accepted, /has read 6 bytes, which would be lost/],
    [new Socket(), /not connected/],
    [createServer(), /does not listen/],
  ];
  for (const [object, why] of refusals) {
    const error = { name: 'PicklingError', message: expect.stringMatching(why) };
    expect(await errorOf(() => ForkingPickler.dumps(object))).toMatchObject(error);
  }
  client.destroy();
  accepted.destroy();
  server.close();
});

const { pythons, reasons } = findPythons();
for (const reason of reasons) console.warn(`not there: ${reason}`);

test.skipIf(pythons.length === 0)('CPython sends and receives handles', async () => {
  for (const { label, start } of pythons) {
    const path = scratchFile();
    const fd = openSync(path, 'w');
    const listener = track(new Listener());
    const child = start(
      `import os, sys
from multiprocessing.connection import Client
from multiprocessing.reduction import recv_handle, send_handle
conn = Client(sys.argv[1])
fd = recv_handle(conn)
os.write(fd, b'python was here')
send_handle(conn, fd, os.getppid())
conn.close()`,
      listener.address as string,
    );
    const conn = track(await listener.accept());
    await sendHandle(conn, fd);
    const back = await recvHandle(conn);
    expect([label, (await child.outcome).code]).toEqual([label, 0]);
    closeSync(back);
    closeSync(fd);
    expect(readFileSync(path, 'utf8')).toBe('python was here');
  }
});
