/**
 * wait and waitSync. Counterparts of CPython's tests: docs/cpython-tests.md.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import * as mp from 'multiprocessing';
import { type Connection, wait, waitSync } from 'multiprocessing/connection';
import { close, kill, pipe, write } from 'multiprocessing/os';
import { describe, expect, test } from 'vitest';
import { sendNumbers, waitFor } from '../fixtures/dist/connection_targets.js';
import { endWith, sendLines } from '../fixtures/dist/wait_targets.js';
import { keep, pair } from '../support/connections.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const forms = ['sync', 'async'] as const;

async function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer({ pauseOnConnect: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

forEachStartMethod((ctx) => {
  describe.each(forms)('%s', (form) => {
    test.each([false, true])('many writers are read as they are ready (slow: %s)', async (slow) => {
      const children: mp.Process[] = [];
      let readers: Connection[] = [];
      for (let i = 0; i < 4; i++) {
        const [r, w] = keep(...ctx.Pipe(false));
        const p = new ctx.Process({ target: sendNumbers, args: [form, w, slow] });
        await p.start();
        w.close();
        readers.push(r);
        children.push(p as unknown as mp.Process);
      }
      const messages: unknown[] = [];
      while (readers.length > 0) {
        for (const r of await waitFor(form, readers)) {
          try {
            messages.push(form === 'sync' ? r.recvSync() : await r.recv());
          } catch (error) {
            expect(error).toBeInstanceOf(mp.EOFError);
            readers = readers.filter((other) => other !== r);
          }
        }
      }
      const expected = children.flatMap(({ pid }) => [...Array(10).keys()].map((i) => [i, pid]));
      expect(messages.sort()).toEqual(expected.sort());
      for (const child of children) await child.join();
    });

    test('a sentinel is waited for beside connections', async () => {
      const event = ctx.Event();
      const [a, b] = pair();
      const p = new ctx.Process({ target: endWith, args: [event] });
      await p.start();
      expect(await waitFor(form, [a, p.sentinel, b], 0.02)).toEqual([]);
      event.set();
      expect(await waitFor(form, [a, p.sentinel, b], 30)).toEqual([p.sentinel]);
      a.sendSync(null);
      expect(await waitFor(form, [a, p.sentinel, b], 30)).toEqual([p.sentinel, b]);
      b.sendSync(null);
      expect(await waitFor(form, [a, p.sentinel, b], 30)).toEqual([a, p.sentinel, b]);
      await p.join();
      p.close();
    });
  });

  test.each([false, true])('sockets are read as they are ready (slow: %s)', async (slow) => {
    const { server, port } = await listening();
    const accepted: Socket[] = [];
    server.on('connection', (socket) => accepted.push(socket));
    const children = [0, 1, 2, 3].map(
      () => new ctx.Process({ target: sendLines, args: [port, slow] }),
    );
    for (const child of children) await child.start();
    while (accepted.length < 4) await once(server, 'connection');
    server.close();
    const texts = new Map<Socket, string>(accepted.map((socket) => [socket, '']));
    for (const socket of accepted) socket.on('error', () => {}).on('end', () => ended.add(socket));
    const ended = new Set<Socket>();
    while (ended.size < 4) {
      const ready = await wait([...texts.keys()].filter((socket) => !ended.has(socket)));
      for (const socket of ready) {
        // Node reads when somebody asks; nothing means: not yet, or the end.
        const chunk = (socket.read() as Buffer | null) ?? '';
        texts.set(socket, texts.get(socket) + String(chunk));
        if (chunk === '') await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const lines = [...Array(10).keys()].map((i) => `${i}\n`).join('');
    expect([...texts.values()]).toEqual([lines, lines, lines, lines]);
    for (const socket of accepted) socket.destroy();
    for (const child of children) await child.join();
  });
});

describe.each(forms)('%s', (form) => {
  test('a timeout ends the wait, a negative one at once', async () => {
    const [a, b] = pair();
    const begin = performance.now();
    expect(await waitFor(form, [a, b], 0.1)).toEqual([]);
    expect(performance.now() - begin).toBeGreaterThanOrEqual(98);
    expect(await waitFor(form, [a, b], -1)).toEqual([]);
    expect(await waitFor(form, [a, b], 0)).toEqual([]);
    expect(await waitFor(form, [], 0.01)).toEqual([]);
    b.sendSync(null);
    expect(await waitFor(form, [a, b], 20)).toEqual([a]);
    expect(await waitFor(form, new Set([b, a]))).toEqual([a]);
  });

  test('an object that is named twice is returned once', async () => {
    const [a, b] = pair();
    b.sendSync(1);
    expect(await waitFor(form, [a, b, a], 20)).toEqual([a]);
    const fd = a.fileno();
    expect(await waitFor<number | Connection>(form, [a, fd], 20)).toEqual([a, fd]);
  });

  test('what cannot be waited for is told', async () => {
    const [a] = pair();
    const wrong = async (object: unknown) => {
      try {
        await waitFor(form, [a, object as number], 1);
        return 'nothing';
      } catch (error) {
        return `${(error as Error).name}: ${(error as Error).message}`;
      }
    };
    expect(await wrong({})).toMatch(/^TypeError: objects must be fd numbers/);
    expect(await wrong('3')).toMatch(/^TypeError: objects must be fd numbers/);
    expect(await wrong(999_999)).toMatch(/^OSError: poll: EBADF/);
    expect(await wrong(connect({ port: 1, lookup: () => {} } as never).destroy())).toMatch(
      /^ValueError: objects: Socket has no open fd/,
    );
    a.close();
    expect(await wrong(1)).toBe('OSError: handle is closed');
  });

  test('a signal does not end the wait', async () => {
    const [a, b] = pair();
    const heard = once(process, 'SIGUSR2');
    const ignore = () => {};
    process.on('SIGUSR2', ignore);
    try {
      const [r, w] = pipe();
      kill(process.pid, 'SIGUSR2');
      expect(await waitFor<number | Connection>(form, [a, r], 0.05)).toEqual([]);
      write(w, Buffer.from('x'));
      kill(process.pid, 'SIGUSR2');
      expect(await waitFor<number | Connection>(form, [a, r], 30)).toEqual([r]);
      close(r);
      close(w);
      await heard; // the signal did arrive
    } finally {
      process.off('SIGUSR2', ignore);
    }
    b.close();
    expect(await waitFor(form, [a], 30)).toEqual([a]);
  });
});

test('a server is ready when somebody connects, and a socket with what Node has read already', async () => {
  const { server, port } = await listening();
  expect(waitSync([server], 0)).toEqual([]);
  const connection = once(server, 'connection');
  const waiting = wait([server], 30);
  const client = connect(port, '127.0.0.1');
  expect(await waiting).toEqual([server]);
  const [socket] = (await connection) as [Socket];
  expect(await wait([socket], 0)).toEqual([]);
  client.write('data');
  expect(await wait([socket], 30)).toEqual([socket]);
  const readable = once(socket, 'readable');
  await readable;
  expect(socket.readableLength).toBe(4);
  expect(waitSync([socket], 0)).toEqual([socket]);
  expect(String(socket.read())).toBe('data');
  expect(waitSync([socket], 0)).toEqual([]);
  client.destroy();
  socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test('a wait goes on when another has taken the message', async () => {
  const [a, b] = pair();
  const waiting = wait([a], 0.2);
  b.sendSync(1);
  expect(a.recvSync()).toBe(1);
  expect(await waiting).toEqual([]);
  const second = wait([a], 30);
  b.sendSync(2);
  expect(await second).toEqual([a]);
});
