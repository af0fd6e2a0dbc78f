/**
 * What strangers send to a listener or a client: each gets a typed error, and nothing else happens.
 */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readlinkSync, writeSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import * as mp from 'multiprocessing';
import {
  answerChallenge,
  answerChallengeSync,
  Client,
  ClientSync,
  type Connection,
  deliverChallenge,
  Listener,
  type ListenerOptions,
  Pipe,
  wait,
  waitSync,
} from 'multiprocessing/connection';
import { getTempDir } from 'multiprocessing/util';
import { afterEach, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/listener_targets.js';
import { describeError, errorOf } from '../fixtures/dist/targets.js';
import { fuzzed } from '../support/fuzz.ts';
import { scratchFile } from '../support/scratch.ts';

getTempDir(); // it stays until the end of the process

const authkey = Buffer.from('secret');
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

function track<T extends { close(): void }>(thing: T): T {
  open.push(() => thing.close());
  return thing;
}

const listen = (options: ListenerOptions = {}) =>
  track(new Listener(['127.0.0.1', 0], { authkey, ...options }));

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function long(value: bigint): Buffer {
  const bytes = Buffer.alloc(12, 255);
  bytes.writeBigUInt64BE(value, 4);
  return bytes;
}

const frame = (body: Uint8Array) => Buffer.concat([int(body.length), body]);

/** A stranger, who has sent something when this returns. */
async function stranger(listener: Listener, bytes: Uint8Array, hangUp: boolean): Promise<Socket> {
  const [host, port] = listener.address as readonly [string, number];
  const socket = connect({ host, port });
  socket.on('error', () => {}); // the listener hangs up
  open.push(() => socket.destroy());
  await once(socket, 'connect');
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  if (hangUp) {
    socket.end();
    await once(socket, 'finish');
  }
  return socket;
}

/** Waits until the listener has hung up, in whatever way. */
async function closing(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
}

const wrongLength = { name: 'OSError', message: 'bad message length' };
const cutOff = { name: 'OSError', message: 'got end of file during message' };
const tooLate = { name: 'TimeoutError', code: 'ERR_MP_TIMEOUT' };
const nothing = Buffer.alloc(0);

/** What is sent, whether the stranger hangs up then, and what comes of it. */
const faults: [what: string, bytes: Buffer, hangUp: boolean, error: object][] = [
  ['nothing and the end', nothing, true, { name: 'EOFError' }],
  ['half a length', int(40).subarray(0, 2), true, cutOff],
  ['half a message', Buffer.concat([int(40), Buffer.alloc(20)]), true, cutOff],
  ['a negative length', int(-2), false, wrongLength],
  ['the most negative length', int(-0x80000000), false, wrongLength],
  ['a length of 2 ** 40', long(2n ** 40n), false, wrongLength],
  ['a length of 2 ** 64 - 1', long(2n ** 64n - 1n), false, wrongLength],
  ['half of a long length', long(7n).subarray(0, 9), true, cutOff],
  ['a length of 2 GiB', int(0x7fffffff), false, wrongLength],
  ['a message of 300 bytes', frame(Buffer.alloc(300)), false, wrongLength],
  ['a message of 257 bytes', frame(Buffer.alloc(257)), false, wrongLength],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), false, wrongLength],
  ['garbage', frame(Buffer.from('garbage')), false, { name: 'AuthenticationError' }],
  ['an empty message', frame(nothing), false, { name: 'AuthenticationError' }],
  ['nothing', nothing, false, tooLate],
  ['half a length, slowly', int(40).subarray(0, 2), false, tooLate],
  ['half a message, slowly', Buffer.concat([int(40), Buffer.alloc(20)]), false, tooLate],
];

/** The others are not kept waiting. */
const timeFor = (error: object) => (error === tooLate ? 0.05 : 30);

async function stillServes(listener: Listener): Promise<void> {
  const accepted = listener.accept();
  const client = track(await Client(listener.address, { authkey }));
  const server = track(await accepted);
  await client.send('friend');
  expect(await server.recv()).toBe('friend');
}

describe.each(faults)('a stranger who sends %s', (_, bytes, hangUp, error) => {
  test('is refused by a listener, which goes on', async () => {
    const listener = listen({ authTimeout: timeFor(error) });
    for (const accept of [() => listener.accept(), () => listener.acceptSync()]) {
      const socket = await stranger(listener, bytes, hangUp);
      expect(await errorOf(accept)).toMatchObject(error);
      socket.resume();
      await closing(socket);
    }
    if (error !== tooLate) await stillServes(listener);
  });

  test('is left by a client', async () => {
    const path = scratchFile('socket');
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
      socket.write(bytes);
      if (hangUp) socket.end();
    });
    await listening(server, path);
    const options = { authkey, authTimeout: timeFor(error) };
    expect(await errorOf(() => Client(path, options))).toMatchObject(error);
  });
});

async function listening(server: Server, path: string): Promise<void> {
  server.listen(path);
  await once(server, 'listening');
  open.push(() => new Promise((resolve) => server.close(resolve)));
}

test('a client gives up a listener that never accepts', async () => {
  const listener = listen();
  const options = { authkey, authTimeout: 0.05 };
  expect(await errorOf(() => Client(listener.address, options))).toMatchObject(tooLate);
  expect(await errorOf(() => ClientSync(listener.address, options))).toMatchObject(tooLate);
});

test('the time for the proof is that of the whole of it', async () => {
  const listener = listen({ authTimeout: 0.2 });
  const socket = await stranger(listener, int(200), false);
  const drip = setInterval(() => socket.write('x'), 5);
  open.push(() => clearInterval(drip));
  expect(await errorOf(() => listener.accept())).toMatchObject(tooLate);
});

test('a stranger who says nothing holds up nobody else, and goes with the listener', async () => {
  const listener = listen();
  const first = listener.accept();
  const second = errorOf(() => listener.accept());
  const socket = await stranger(listener, nothing, false);
  track(await Client(listener.address, { authkey }));
  track(await first);
  listener.close();
  expect(await second).toMatchObject({ name: 'OSError', message: 'listener is closed' });
  socket.resume();
  await closing(socket);
});

/** Fds of this process that are sockets. */
const sockets = () =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false; // that of the listing
    }
  }).length;

test('one accept is enough for many who say nothing and one who does, and they are capped', async () => {
  const listener = listen({ backlog: 256, authTimeout: 600 });
  const before = sockets();
  const silent: Socket[] = [];
  for (let i = 0; i < 100; i++) silent.push(await stranger(listener, nothing, false));
  const held = () => sockets() - before - silent.length - 1; // the client is one, too
  const client = Client(listener.address, { authkey });
  const server = track(await listener.accept());
  await server.send('at last');
  expect(await track(await client).recv()).toBe('at last');
  expect(held()).toBeLessThanOrEqual(64 + 1);
  // The others wait where they are, and so does the next accept.
  const [again, next] = await Promise.all([
    Client(listener.address, { authkey }),
    listener.accept(),
  ]);
  track(again);
  track(next);
  listener.close();
  for (const socket of silent) {
    socket.resume();
    await closing(socket);
  }
});

test('a client that needs a thread of its own to answer gets in past silent ones, blocking', async () => {
  const listener = listen({ backlog: 64 });
  for (let i = 0; i < 10; i++) await stranger(listener, nothing, false);
  const p = new (mp.getContext('spawn').Process)({
    target: targets.sayHello,
    args: [listener.address, { authkey }],
  });
  await p.start();
  const server = track(listener.acceptSync());
  expect(server.recvSync()).toBe('hello');
  await p.join();
});

test('a listener is ready when one who is at the proof has said something', async () => {
  const listener = listen();
  const slow = await stranger(listener, nothing, false);
  let heard = Buffer.alloc(0);
  slow.on('data', (data: Buffer) => {
    heard = Buffer.concat([heard, data]);
  });
  const accepting = listener.accept();
  track(await Client(listener.address, { authkey }));
  track(await accepting); // the slow one was taken in before
  while (heard.length < 4 + 11 + 48) await once(slow, 'data');
  expect(await wait([listener], 0)).toEqual([]);
  const ready = wait([listener]);
  slow.write(
    frame(
      createHmac('md5', authkey)
        .update(heard.subarray(4 + 11))
        .digest(),
    ),
  );
  expect(await ready).toEqual([listener]);
  expect(waitSync([listener], 0)).toEqual([listener]);
});

test('strangers who come and go at once are no trouble', async () => {
  const listener = listen({ backlog: 128 });
  for (let i = 0; i < 100; i++) (await Client(listener.address)).close();
  for (let i = 0; i < 100; i++) {
    const { name } = (await errorOf(() => listener.accept())) as { name: string };
    expect(['EOFError', 'OSError', 'BrokenPipeError']).toContain(name);
  }
  await stillServes(listener);
});

test('a length that lies costs no memory', async () => {
  const before = process.memoryUsage().arrayBuffers;
  const ends: Connection[] = [];
  for (let i = 0; i < 16; i++) {
    const [reader, writer] = Pipe(false).map(track) as [Connection, Connection];
    ends.push(reader);
    writeSync(writer.fileno(), Buffer.concat([int(0x7fffffff), Buffer.alloc(100)]));
    writer.close();
  }
  for (const end of ends) expect(await errorOf(() => end.recvBytes())).toMatchObject(cutOff);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 2 ** 25);
});

//
// Mutations
//

/** Numbers that are the same in each run (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Changes bytes somewhere: other ones, fewer, more, or all of them twice. */
function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  let result = Buffer.from(bytes);
  for (let n = 1 + random(3); n > 0; n--) {
    const at = random(result.length + 1);
    const before = result.subarray(0, at);
    const after = result.subarray(at);
    const some = Buffer.from(Array.from({ length: 1 + random(8) }, () => random(256)));
    switch (random(6)) {
      case 0:
        if (at < result.length) result[at] = (result[at] as number) ^ (1 << random(8));
        break;
      case 1:
        result = Buffer.concat([before, some, after.subarray(some.length)]);
        break;
      case 2:
        result = Buffer.concat([before, some, after]);
        break;
      case 3:
        result = Buffer.concat([before, after.subarray(some.length)]);
        break;
      case 4:
        result = Buffer.from(before);
        break;
      default:
        result = Buffer.concat([before, after, after]);
    }
  }
  return result;
}

const hmac = (message: Uint8Array) => createHmac('sha256', authkey).update(message).digest();
const challenge = Buffer.concat([Buffer.from('{sha256}'), Buffer.alloc(40, 7)]);
const asked = frame(Buffer.concat([Buffer.from('#CHALLENGE#'), challenge]));
const welcome = frame(Buffer.from('#WELCOME#'));
const typed = ['AuthenticationError', 'EOFError', 'OSError', 'BrokenPipeError'];

/** A way to a peer and another one back: the peer can hang up and still be talked to. */
function channel() {
  const [hears, speaks] = Pipe(false);
  const [listens, peerSpeaks] = Pipe(false);
  return {
    peerHears: hears,
    peerSpeaks,
    side: {
      sendBytes: (bytes: Uint8Array) => speaks.sendBytes(bytes),
      recvBytes: (n: number) => listens.recvBytes(n),
      sendBytesSync: (bytes: Uint8Array) => speaks.sendBytesSync(bytes),
      recvBytesSync: (n: number) => listens.recvBytesSync(n),
    },
    close: () => {
      for (const end of [hears, speaks, listens, peerSpeaks]) end.close();
    },
  };
}

test(
  '10,000 mutations of a client are each let in or refused',
  async () => {
    const random = generator(1);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < fuzzed(10_000); i++) {
      const { peerHears, peerSpeaks, side, close } = channel();
      const proof = (async () => {
        await deliverChallenge(side, authkey);
        await answerChallenge(side, authkey);
      })();
      const settled = proof.then(
        () => 'let in',
        (error: unknown) => describeError(error).name,
      );
      const asks = Buffer.from(await peerHears.recvBytes()).subarray('#CHALLENGE#'.length);
      const answer = frame(Buffer.concat([Buffer.from('{sha256}'), hmac(asks)]));
      const all = Buffer.concat([answer, asked, welcome]);
      writeSync(peerSpeaks.fileno(), i === 0 ? all : mutate(all, random));
      peerSpeaks.close();
      const outcome = await settled;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      close();
    }
    expect(outcomes.get('let in')).toBeGreaterThan(0);
    for (const outcome of outcomes.keys()) expect([...typed, 'let in']).toContain(outcome);
    expect(outcomes.get('AuthenticationError')).toBeGreaterThan(1000);
    expect(outcomes.get('OSError')).toBeGreaterThan(1000);
  },
  fuzzed(120_000),
);

test(
  '10,000 mutations of a listener are each believed or not',
  () => {
    const random = generator(2);
    const outcomes = new Map<string, number>();
    for (let i = 0; i < fuzzed(10_000); i++) {
      const { peerSpeaks, side, close } = channel();
      const all = Buffer.concat([asked, welcome]);
      writeSync(peerSpeaks.fileno(), i === 0 ? all : mutate(all, random));
      peerSpeaks.close();
      let outcome = 'believed';
      try {
        answerChallengeSync(side, authkey);
      } catch (error) {
        outcome = describeError(error).name;
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      close();
    }
    expect(outcomes.get('believed')).toBeGreaterThan(0);
    for (const outcome of outcomes.keys()) expect([...typed, 'believed']).toContain(outcome);
    expect(outcomes.get('AuthenticationError')).toBeGreaterThan(1000);
  },
  fuzzed(120_000),
);
