/**
 * The calls of one Connection among each other, and its life in the process. Counterparts of CPython's tests:
 * docs/cpython-tests.md.
 */
import { readFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { Connection, waitSync } from 'multiprocessing/connection';
import { close, dup, pipe, read } from 'multiprocessing/os';
import { expect, test } from 'vitest';
import * as targets from '../fixtures/dist/connection_targets.js';
import { keep, pair } from '../support/connections.ts';
import { collectUntil } from '../support/garbage.ts';
import { runNode } from '../support/programs.ts';

const { failure } = targets;
const bytes = (text: string) => Buffer.from(text);

test('calls are served in their order, the blocking and the other ones together', async () => {
  const [a, b] = pair();
  const big = Buffer.alloc(3 << 20, 'b');
  const received = [b.recv(), b.recvBytes(), b.recvBytes(8 << 20), b.recv()];
  const first = a.send('first');
  a.sendBytesSync(bytes('second'));
  const sends = [a.sendBytes(big), a.send('fourth'), a.send('fifth')];
  const results = await Promise.all(received);
  expect([results[0], String(results[1]), results[3]]).toEqual(['first', 'second', 'fourth']);
  expect((results[2] as Buffer).equals(big)).toBe(true);
  expect(b.recvSync()).toBe('fifth');
  await Promise.all([first, ...sends]);
});

test('a blocking send completes what was sent before, a blocking recv what was asked for before', async () => {
  const [a, b] = pair();
  const p = new (mp.getContext('spawn').Process)({ target: targets.echo, args: ['sync', b] });
  await p.start();
  b.close();
  const big = Buffer.alloc(2 << 20, 'b');
  const pending = [a.sendBytes(big), a.sendBytes(bytes('2'))];
  const received = a.recvBytes();
  a.sendBytesSync(bytes('3')); // writes what the others have left
  expect(String(a.recvBytesSync())).toBe('2'); // takes the first one for `received`
  expect(String(a.recvBytesSync())).toBe('3');
  expect((await received).length).toBe(big.length);
  await Promise.all(pending);
  a.sendBytesSync(bytes(''));
  await p.join();
});

test('closing ends what waits', async () => {
  const [a, b] = pair();
  const waiting = [a.recv(), a.recvBytes(), a.poll(undefined), b.sendBytes(Buffer.alloc(8 << 20))];
  a.close();
  b.close();
  const outcomes = await Promise.all(waiting.map((promise) => failure(() => promise)));
  expect(outcomes).toEqual(Array(4).fill('OSError: handle is closed'));
});

test('a poll that waits gives up after its time, and those behind it go on', async () => {
  const [a, b] = pair();
  expect(await a.poll(0.01)).toBe(false);
  const polls = [a.poll(0.01), a.poll(30)];
  const received = a.recv();
  expect(await polls[0]).toBe(false);
  b.sendSync('x');
  expect(await polls[1]).toBe(true);
  expect(await received).toBe('x');
  expect(await a.poll(-1)).toBe(false);
});

test('neither messages nor polls keep the event loop from its other work', async () => {
  const [a, b] = pair();
  let turns = 0;
  const timer = setInterval(() => turns++, 0);
  for (let i = 0; i < 2000; i++) {
    await a.sendBytes(bytes('m'));
    await b.recvBytes();
  }
  clearInterval(timer);
  expect(turns).toBeGreaterThan(0);
});

test('the file is not left non-blocking for others who share it', async () => {
  const [a, b] = pair();
  const waiting = a.recv();
  await new Promise((resolve) => setImmediate(resolve));
  const info = readFileSync(`/proc/self/fdinfo/${a.fileno()}`, 'utf8');
  expect(Number.parseInt(/flags:\s*(\d+)/.exec(info)?.[1] as string, 8) & 0o4000).toBe(0);
  b.sendSync(1);
  expect(await waiting).toBe(1);
});

test('a process can end while its connections are ready', async () => {
  const url = import.meta.resolve('multiprocessing/connection');
  const outcome = await runNode([
    '--input-type=module',
    '-e',
    `import { Pipe, wait } from '${url}';
     const [a, b] = Pipe();
     const received = a.recv();
     setImmediate(() => b.sendSync('message'));
     console.log(await received);
     process.on('exit', () => {
       a.recv();
       wait([a]);
       b.close();
     });`,
  ]);
  expect(outcome).toEqual({ code: 0, signal: null, stdout: 'message\n', stderr: '' });
});

test('what is no handle is told', () => {
  expect(() => new Connection(-1)).toThrow(mp.ValueError);
  for (const wrong of ['3', 1.5, undefined, null]) {
    expect(() => new Connection(wrong as never)).toThrow('handle must be an fd');
  }
  expect(() => new Connection(44_977_608)).toThrow(
    expect.objectContaining({ name: 'OSError', code: 'EBADF' }),
  );
  expect(() => new Connection(0, { readable: false, writable: false })).toThrow(mp.ValueError);
  expect(() => new Connection(0, { codec: 'none' as never })).toThrow(/codec: 'none' is unknown/);
  expect(() => new Connection(0, { codec: {} as never })).toThrow('codec must be a name');
});

test('a connection says what it is, and closes at the end of its block', async () => {
  const [a, b] = pair();
  expect(String(a)).toBe(`<Connection handle=${a.fileno()}>`);
  {
    using closing = a;
    await using later = b;
    expect([closing.closed, later.closed]).toEqual([false, false]);
  }
  expect([a.closed, b.closed, String(a)]).toEqual([true, true, '<Connection closed>']);
});

test('a connection that is collected closes its file', async () => {
  const [r, w] = pipe();
  (() => new Connection(w, { readable: false }).sendBytesSync(bytes('x')))();
  expect([...read(r, 10)]).toEqual([0, 0, 0, 1, 120]);
  expect(await collectUntil(() => waitSync([r], 0).length > 0)).toBe(true);
  expect(read(r, 10).length).toBe(0);
  close(r);
});

test('a codec of one’s own makes objects of bytes', async () => {
  const json = {
    dumps: (obj: unknown) => Buffer.from(JSON.stringify(obj)),
    loads: (data: Uint8Array) => JSON.parse(Buffer.from(data).toString()) as unknown,
  };
  const [x, y] = pair();
  const [a] = keep(new Connection(dup(x.fileno()), { codec: json }));
  await a.send({ a: [1] });
  expect(await y.recvBytes()).toEqual(bytes('{"a":[1]}'));
  y.sendBytesSync(bytes('null'));
  expect(a.recvSync()).toBe(null);
});

test('a short message that has to wait is sent as it was', async () => {
  const [a, b] = pair();
  const sends = [a.sendBytes(Buffer.alloc(8_000_000))]; // more than there is room for
  const short = Buffer.from('before');
  sends.push(a.sendBytes(short));
  short.write('after!');
  expect((await b.recvBytes()).length).toBe(8_000_000);
  expect(Buffer.from(await b.recvBytes()).toString()).toBe('before');
  await Promise.all(sends);
});
