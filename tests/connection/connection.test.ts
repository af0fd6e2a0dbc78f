/**
 * Connection and Pipe, in their blocking and their asynchronous form. Counterparts of CPython's tests:
 * docs/cpython-tests.md.
 */
import * as mp from 'multiprocessing';
import { Connection } from 'multiprocessing/connection';
import { pipe } from 'multiprocessing/os';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/connection_targets.js';
import { keep, pair } from '../support/connections.ts';
import { Channel, Gate } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;
const { failure, poll, recv, recvBytes, recvBytesInto, send, sendBytes } = targets;
const bytes = (text: string) => Buffer.from(text);

forEachStartMethod((ctx) => {
  describe.each(forms)('%s', (form) => {
    test('objects, bytes and buffers go to a child and back', async () => {
      const [conn, childConn] = keep(...ctx.Pipe());
      const p = new ctx.Process({ target: targets.echo, args: [form, childConn] });
      p.daemon = true;
      await p.start();
      childConn.close();
      expect(Number.isInteger(conn.fileno())).toBe(true);

      const objects = [1, 2.25, null, new Map([['k', new Date(5)]]), 2n ** 70n];
      expect(await send(form, conn, objects)).toBeUndefined();
      expect(await recv(form, conn)).toEqual(objects);
      expect(await sendBytes(form, conn, bytes('hello world'))).toBeUndefined();
      expect(await recvBytes(form, conn)).toEqual(bytes('hello world'));

      const numbers = Int32Array.of(0, 1, 2, 3);
      const into = new Int32Array(10);
      await sendBytes(form, conn, numbers);
      expect(await recvBytesInto(form, conn, into)).toBe(16);
      expect([...into]).toEqual([0, 1, 2, 3, 0, 0, 0, 0, 0, 0]);
      await sendBytes(form, conn, new DataView(numbers.buffer));
      expect(await recvBytesInto(form, conn, into.fill(0).buffer, 12)).toBe(16);
      expect([...into]).toEqual([0, 0, 0, 0, 1, 2, 3, 0, 0, 0]);

      const big = Buffer.alloc(16 << 20, 'X');
      await sendBytes(form, conn, big);
      expect(Buffer.compare(await recvBytes(form, conn), big)).toBe(0);

      await sendBytes(form, conn, bytes(''));
      expect([conn.readable, conn.writable]).toEqual([true, true]);
      expect(await failure(() => recv(form, conn))).toMatch(/^EOFError/);
      expect(await failure(() => recvBytes(form, conn))).toMatch(/^EOFError/);
      await p.join();
      expect(p.exitcode).toBe(0);
    });

    test('the parent may close its copy right after the start', async () => {
      const [conn, childConn] = keep(...ctx.Pipe());
      const p = new ctx.Process({ target: targets.echo, args: [form, childConn] });
      await p.start();
      childConn.close();
      await sendBytes(form, conn, bytes('hello'));
      expect(await recvBytes(form, conn)).toEqual(bytes('hello'));
      await sendBytes(form, conn, bytes(''));
      conn.close();
      await p.join();
      expect(p.exitcode).toBe(0);
    });

    test('poll tells of each message, the empty ones too, and of the end', async () => {
      const texts = ['hello', '', 'a', 'b', '', 'bye', '', 'lop'];
      const gate = new Gate();
      const [a, b] = keep(...ctx.Pipe());
      const args = [form, b, texts, gate.path] as const;
      const p = new ctx.Process({ target: targets.sendTexts, args: [...args] });
      await p.start();
      b.close();
      for (const text of texts) {
        expect(await poll(form, a)).toBe(false);
        expect(await poll(form, a, 0.01)).toBe(false);
        gate.open();
        expect(await poll(form, a, 30)).toBe(true);
        expect(await poll(form, a)).toBe(true);
        expect(await recvBytes(form, a)).toEqual(bytes(text));
      }
      expect(await poll(form, a, 30)).toBe(true);
      expect(await failure(() => recvBytes(form, a))).toMatch(/^EOFError/);
      await p.join();
    });

    test('poll in another process takes nothing', async () => {
      const channel = new Channel();
      const [r, w] = keep(...ctx.Pipe(false));
      const p = new ctx.Process({ target: targets.pollOnce, args: [form, r, channel.path] });
      await p.start();
      expect(await channel.next()).toBe('begin');
      for (const text of ['first', 'second']) await sendBytes(form, w, bytes(text));
      w.close();
      await p.join();
      expect(await channel.next()).toBe(true);
      expect(await recvBytes(form, r)).toEqual(bytes('first'));
      expect(await recvBytes(form, r)).toEqual(bytes('second'));
    });

    test('messages never merge', async () => {
      const [a, b] = keep(...ctx.Pipe());
      expect(await poll(form, a, 0)).toBe(false);
      const p = new ctx.Process({ target: targets.sendTexts, args: [form, b, ['a', 'b', 'cd']] });
      await p.start();
      await p.join();
      for (const text of ['a', 'b', 'cd']) {
        expect([await poll(form, a, 1), await poll(form, a, 0)]).toEqual([true, true]);
        expect(await recvBytes(form, a)).toEqual(bytes(text));
      }
    });

    test('a child that is killed is the end of its connection', async () => {
      const [a, b] = keep(...ctx.Pipe());
      const p = new ctx.Process({ target: targets.echo, args: [form, b] });
      await p.start();
      b.close();
      await sendBytes(form, a, bytes('alive'));
      expect(await recvBytes(form, a)).toEqual(bytes('alive'));
      p.kill();
      await p.join();
      expect(await failure(() => recv(form, a))).toMatch(/^EOFError/);
      expect(await failure(() => send(form, a, 1))).toMatch(/^BrokenPipeError/);
    });
  });
});

forEachStartMethod(['fork'], (ctx) => {
  test('what the parent waits for is not its child’s, and the child’s connection works at once', async () => {
    for (const form of forms) {
      const [a, b] = pair();
      const waiting = b.recv();
      await new Promise((resolve) => setImmediate(resolve)); // it has begun to wait
      const p = new ctx.Process({ target: targets.useInherited, args: [form, b] });
      await p.start();
      b.close();
      expect(await failure(() => waiting)).toBe('OSError: handle is closed');
      await a.send('for the child');
      expect(await a.recv()).toBe('for the child');
      await p.join();
      expect(p.exitcode).toBe(0);
    }
  });
});

describe.each(forms)('%s', (form) => {
  test('a pipe in one direction refuses the other one', async () => {
    const [reader, writer] = pair(false);
    await send(form, writer, 1);
    expect(await recv(form, reader)).toBe(1);
    expect([reader.readable, reader.writable]).toEqual([true, false]);
    expect([writer.readable, writer.writable]).toEqual([false, true]);
    expect(await failure(() => send(form, reader, 2))).toBe('OSError: connection is read-only');
    expect(await failure(() => recv(form, writer))).toBe('OSError: connection is write-only');
    expect(await failure(() => poll(form, writer))).toBe('OSError: connection is write-only');
    writer.close();
    expect(await failure(() => recv(form, reader))).toMatch(/^EOFError/);
  });

  test('a part of a buffer is sent, within its bounds', async () => {
    const text = 'abcdefghijklmnopqrstuvwxyz';
    const [a, b] = pair();
    for (const [args, expected] of [
      [[], text],
      [[5], text.slice(5)],
      [[7, 8], text.slice(7, 15)],
      [[26], ''],
      [[26, 0], ''],
    ] as const) {
      await sendBytes(form, a, bytes(text), ...args);
      expect(await recvBytes(form, b)).toEqual(bytes(expected));
    }
    for (const args of [[27], [22, 5], [26, 1], [-1], [4, -1]] as const) {
      expect(await failure(() => sendBytes(form, a, bytes(text), ...args))).toMatch(/^ValueError/);
    }
    for (const wrong of ['text', [1], undefined, 5]) {
      expect(await failure(() => sendBytes(form, a, wrong as never))).toMatch(
        /^TypeError: bytes must be/,
      );
    }
    expect(await poll(form, b)).toBe(false);
  });

  test('a message that does not fit is in the error, and gone from the pipe', async () => {
    const [a, b] = pair();
    const long = bytes('hello world'.repeat(10));
    await sendBytes(form, a, long);
    await sendBytes(form, a, bytes('next'));
    const error = await Promise.resolve()
      .then(() => recvBytesInto(form, b, Buffer.alloc(40)))
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(mp.BufferTooShort);
    expect((error as mp.BufferTooShort).args).toEqual([long]);
    expect(await recvBytesInto(form, b, new SharedArrayBuffer(4))).toBe(4);
    expect(await failure(() => recvBytesInto(form, b, Buffer.alloc(4), 5))).toMatch(/^ValueError/);
    expect(await failure(() => recvBytesInto(form, b, Buffer.alloc(4), -1))).toMatch(/^ValueError/);
    await sendBytes(form, a, bytes(''));
    expect(await recvBytesInto(form, b, Buffer.alloc(4), 4)).toBe(0);
  });

  test('a message longer than maxlength ends the reading', async () => {
    const [a, b] = pair();
    await sendBytes(form, a, bytes('four'));
    expect(await recvBytes(form, b, 4)).toEqual(bytes('four'));
    await sendBytes(form, a, bytes('five!'));
    expect(await failure(() => recvBytes(form, b, 4))).toBe('OSError: bad message length');
    expect(await failure(() => recvBytes(form, b))).toBe('OSError: connection is write-only');
    await sendBytes(form, b, bytes('still writable'));
    expect(await recvBytes(form, a)).toEqual(bytes('still writable'));
    const [reader, writer] = pair(false);
    await sendBytes(form, writer, bytes('five!'));
    expect(await failure(() => recvBytes(form, reader, 4))).toBe('OSError: bad message length');
    expect(reader.closed).toBe(true);
    expect(await failure(() => recvBytes(form, a, -1))).toMatch(/^ValueError/);
  });

  test('nothing works on a closed connection but closing it', async () => {
    const [a] = pair();
    expect(a.closed).toBe(false);
    a.close();
    a.close();
    expect(a.closed).toBe(true);
    const calls = [
      () => a.fileno(),
      () => send(form, a, 1),
      () => sendBytes(form, a, bytes('')),
      () => recv(form, a),
      () => recvBytes(form, a),
      () => recvBytesInto(form, a, Buffer.alloc(1)),
      () => poll(form, a),
    ];
    for (const call of calls) expect(await failure(call)).toBe('OSError: handle is closed');
  });

  test('a real pipe of another program works as a socket does', async () => {
    const [r, w] = pipe();
    const [reader] = keep(new Connection(r, { writable: false }));
    const [writer] = keep(new Connection(w, { readable: false }));
    const big = Buffer.alloc(300_000, 'y');
    expect(await poll(form, reader, 0.01)).toBe(false);
    const all = Promise.all([writer.sendBytes(big), writer.send(1), writer.send({ a: 2 })]);
    expect(Buffer.compare(await recvBytes('async', reader), big)).toBe(0);
    expect([await recv(form, reader), await recv(form, reader)]).toEqual([1, { a: 2 }]);
    await all;
    writer.close();
    expect(await poll(form, reader)).toBe(true);
    expect(await failure(() => recv(form, reader))).toMatch(/^EOFError/);
  });
});
