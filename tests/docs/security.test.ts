/**
 * Holds docs/security.md to the truth: each of its tests is there. Below that, the tests of sentences that no other file has.
 */

import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import inspector from 'node:inspector';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import * as mp from 'multiprocessing';
import { Client, Listener, Pipe } from 'multiprocessing/connection';
import { closures, ForkingPickler } from 'multiprocessing/reduction';
import { getTempDir } from 'multiprocessing/util';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/targets.js';
import { isThere, namedTests, read } from '../support/doc_tests.ts';

getTempDir(); // it stays until the end of the process

describe('the page of security', () => {
  test('names tests that exist', () => {
    const named = namedTests(read('docs/security.md'), ' \\|$');
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((each) => !isThere(each))).toEqual([]);
  });
});

const secret = 'in a variable';
const inline = () => secret;

test('a message with code is refused by all but a child', async () => {
  const bytes = closures.ForkingPickler.dumps(inline);
  const refusal = /functions by value, which would be executed/;
  expect(() => ForkingPickler.loadsSync(bytes)).toThrow(mp.UnpicklingError);
  await expect(ForkingPickler.loads(bytes)).rejects.toThrow(refusal);
  const listener = new Listener(undefined, { authkey: Buffer.from('key') });
  try {
    const proved = Client(listener.address, { authkey: Buffer.from('key') });
    for (const [a, b] of [Pipe(), [await listener.accept(), await proved] as const]) {
      await a.sendBytes(bytes);
      await expect(b.recv()).rejects.toThrow(refusal);
      await a.sendBytes(bytes);
      expect(() => b.recvSync()).toThrow(refusal);
      a.close();
      b.close();
    }
  } finally {
    listener.close();
  }
});

test('nobody but a child is sent code', async () => {
  const [a, b] = Pipe();
  await expect(a.send(inline)).rejects.toThrow(mp.PicklingError);
  expect(() => a.sendSync(inline)).toThrow(mp.PicklingError);
  a.close();
  b.close();
  const queue = mp.SimpleQueue();
  expect(() => queue.putSync(inline)).toThrow(mp.PicklingError);
  queue.close();
});

/** Carries bytes between those who connect to it and a port, as they are but for one word. */
async function relay(
  port: number,
  from: string,
  to: string,
): Promise<{ port: number; close(): void }> {
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = netConnect(port, '127.0.0.1');
    sockets.push(near, far);
    near.on('data', (data) => far.write(data.toString('latin1').replace(from, to), 'latin1'));
    far.on('data', (data) => near.write(data));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as { port: number }).port, close };
}

test('what follows the proof is neither encrypted nor signed', async () => {
  const authkey = Buffer.from('key');
  const listener = new Listener(['127.0.0.1', 0], { authkey });
  const between = await relay((listener.address as [string, number])[1], 'to Alice', 'to Mallo');
  try {
    const connecting = Client(['127.0.0.1', between.port], { authkey });
    const [server, client] = [await listener.accept(), await connecting];
    await client.send('pay 5 to Alice');
    expect(await server.recv()).toBe('pay 5 to Mallo');
    client.close();
    server.close();
  } finally {
    between.close();
    listener.close();
  }
});

/** The sockets at which a process listens, of those that /proc/net shows. */
function listeningSockets(pid: number): string[] {
  const inodes = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return []; // that of the listing
    }
  });
  expect(inodes.length).toBeGreaterThan(0); // the one that it is asked by
  const lines = (file: string) => readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n');
  const unix = lines('unix').filter((line) => / 00010000 /.test(line));
  const tcp = [...lines('tcp'), ...lines('tcp6')].filter((line) => / 0A /.test(line));
  return [...unix, ...tcp].filter((line) =>
    line.split(/\s+/).some((word) => inodes.includes(word)),
  );
}

test('no server can be connected to', async () => {
  const listener = new Listener();
  expect(listeningSockets(process.pid)).not.toEqual([]); // as it is found out here
  listener.close();
  const p = new (mp.getContext('forkserver').Process)({ target: targets.empty });
  await p.start();
  await p.join();
  const server = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .split(' ')
    .map(Number)
    .find(
      (pid) => pid !== 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('forkserver'),
    );
  expect(server).toBeDefined();
  expect(listeningSockets(server as number)).toEqual([]);
});

test('no debugger can connect because a function was sent', async () => {
  const p = new (mp.getContext('fork').Process)({
    target: () => {
      process.exitCode = inspector.url() === undefined ? 5 : 6;
    },
  });
  await p.start();
  await p.join();
  expect([p.exitcode, inspector.url()]).toEqual([5, undefined]);
});

test('a worker runs what its parent sends, and what the parent reads of it names things only', async () => {
  await using pool = mp.getContext('forkserver').Pool(1);
  expect(await pool.apply(() => inline())).toBe(secret);
  const sent = [
    () => () => secret,
    () => {
      throw Object.assign(new Error('with code'), { code: () => secret });
    },
    () => process.getBuiltinModule('node:child_process').execSync,
    () => process.getBuiltinModule('node:vm').runInThisContext,
  ];
  for (const task of sent) await expect(pool.apply(task)).rejects.toThrow(/Error sending result/);
});
