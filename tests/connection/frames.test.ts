/**
 * What a Connection does with bytes that are no messages: truncated ones, lengths that lie, random changes of valid ones.
 */
import { constants } from 'node:buffer';
import { Connection, Pipe } from 'multiprocessing/connection';
import { close, dup, pipe, read, write } from 'multiprocessing/os';
import { ForkingPickler } from 'multiprocessing/reduction';
import { afterEach, describe, expect, test } from 'vitest';
import { failure, recv, recvBytes } from '../fixtures/dist/connection_targets.js';
import { fuzzed } from '../support/fuzz.ts';

const forms = ['sync', 'async'] as const;

/** Connections that a test makes; closed after it. */
const open: Connection[] = [];
const keep = (connection: Connection) => {
  open.push(connection);
  return connection;
};

afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
});

const int = (value: number) => {
  const header = Buffer.alloc(4);
  header.writeInt32BE(value);
  return header;
};
const long = (value: bigint) => {
  const header = Buffer.alloc(8);
  header.writeBigUInt64BE(value);
  return Buffer.concat([int(-1), header]);
};

/** The reading end of a pipe in which there are these bytes, and then the end. */
function endAfter(...parts: Buffer[]): Connection {
  const [r, w] = pipe();
  write(w, Buffer.concat(parts));
  close(w);
  return keep(new Connection(r, { writable: false }));
}

/** A socket in which there are these bytes. */
function withBytes(...parts: Buffer[]): Connection {
  const [a, b] = Pipe();
  open.push(a, b);
  write(b.fileno(), Buffer.concat(parts));
  return a;
}

/** Numbers from 0 up to 2 ** 32, always the same ones: xorshift. */
function randomNumbers(seed: number): () => number {
  let x = seed;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
}

describe.each(forms)('%s', (form) => {
  test('the end between two messages is an EOFError, inside of one an OSError', async () => {
    const message = Buffer.concat([int(3), Buffer.from('abc')]);
    const complete = endAfter(message);
    expect(String(await recvBytes(form, complete))).toBe('abc');
    for (let i = 0; i < 2; i++) {
      expect(await failure(() => recvBytes(form, complete))).toMatch(/^EOFError/);
    }
    for (let length = 1; length < message.length; length++) {
      const cut = endAfter(message.subarray(0, length));
      for (let i = 0; i < 2; i++) {
        expect(await failure(() => recvBytes(form, cut))).toBe(
          'OSError: got end of file during message',
        );
      }
    }
    const cut = endAfter(long(5n).subarray(0, 9));
    expect(await failure(() => recvBytes(form, cut))).toBe(
      'OSError: got end of file during message',
    );
  });

  test('a length that cannot be right ends the reading, not the writing', async () => {
    for (const header of [int(-2), int(-0x80000000), long(2n ** 63n), long(2n ** 64n - 1n)]) {
      const conn = withBytes(header, Buffer.alloc(8));
      expect(await failure(() => recv(form, conn))).toBe('OSError: bad message length');
      expect(await failure(() => recv(form, conn))).toBe('OSError: connection is write-only');
      expect([conn.readable, conn.writable, conn.closed]).toEqual([false, true, false]);
      const reader = endAfter(header);
      expect(await failure(() => recv(form, reader))).toBe('OSError: bad message length');
      expect(reader.closed).toBe(true);
    }
  });

  test('a message with a long header is received, however short it is', async () => {
    const conn = withBytes(long(2n), Buffer.from('ab'), int(1), Buffer.from('c'));
    expect(String(await recvBytes(form, conn))).toBe('ab');
    expect(String(await recvBytes(form, conn))).toBe('c');
  });

  test('a length that lies costs no more memory than what came', async () => {
    const before = process.memoryUsage();
    const conns: Connection[] = [];
    for (const size of [0x7fffffff, 2 ** 31, 2 ** 40]) {
      const conn = endAfter(size < 2 ** 31 ? int(size) : long(BigInt(size)), Buffer.alloc(13));
      conns.push(conn);
      const possible = size <= constants.MAX_LENGTH; // not 2 ** 40 in Node 20
      expect(await failure(() => recvBytes(form, conn))).toBe(
        possible ? 'OSError: got end of file during message' : 'OSError: bad message length',
      );
    }
    expect(process.memoryUsage().rss - before.rss).toBeLessThan(64 << 20);
    expect(conns).toHaveLength(3);
  });

  test(
    '10,000 changed messages: each is an object or an error with a name',
    async () => {
      const random = randomNumbers(20_240_301);
      const objects = [[1, 'text', null], { a: [2.5, true] }, new Map([[1n, new Date(0)]]), 'x'];
      const names = new Map<string, number>();
      for (let i = 0; i < fuzzed(5000); i++) {
        const body = Buffer.from(ForkingPickler.dumps(objects[i % objects.length]));
        const message = Buffer.concat([int(body.length), body]);
        for (let n = random() % 3; n >= 0; n--) {
          message[random() % message.length] = random() & 255;
        }
        const conn = endAfter(message.subarray(0, message.length - (random() % 5 === 0 ? 1 : 0)));
        const outcome = await failure(() => recv(form, conn));
        const name = outcome.slice(0, outcome.indexOf(':'));
        names.set(name, (names.get(name) ?? 0) + 1);
        conn.close();
      }
      const known = ['', 'nothin', 'OSError', 'EOFError', 'UnpicklingError'];
      for (const name of names.keys()) expect(known).toContain(name);
      expect(names.get('OSError')).toBeGreaterThan(100);
      expect(names.get('UnpicklingError')).toBeGreaterThan(100);
    },
    fuzzed(60_000),
  );
});

test('bytes that come one by one are put together', async () => {
  const [a, b] = Pipe();
  open.push(a, b);
  const received = [a.recvBytes(), a.recvBytes()];
  for (const byte of Buffer.concat([int(2), Buffer.from('ab'), long(1n), Buffer.from('c')])) {
    write(b.fileno(), Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect((await Promise.all(received)).map(String)).toEqual(['ab', 'c']);
});

test('a message of more than 2 GiB has a long header', async () => {
  const [a, b] = Pipe();
  open.push(a, b);
  const raw = keep(new Connection(dup(b.fileno())));
  const size = 2 ** 31 + 5;
  const sent = a.sendBytes(new Uint8Array(size)); // zeros, which cost no memory until they are read
  const header = Buffer.alloc(12);
  header.set(read(raw.fileno(), 12));
  expect([header.readInt32BE(0), header.readBigUInt64BE(4)]).toEqual([-1, BigInt(size)]);
  a.close();
  expect(await failure(() => sent)).toBe('OSError: handle is closed');
});
