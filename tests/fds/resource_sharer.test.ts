/**
 * Strangers and broken processes at the socket by which fds are fetched: who is let in, and who is believed.
 */
import { execFile } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import * as mp from 'multiprocessing';
import { type Connection, Pipe } from 'multiprocessing/connection';
import { ForkingPickler, sendfds } from 'multiprocessing/reduction';
import { DupFd, stop } from 'multiprocessing/resource_sharer';
import { afterEach, describe, expect, test } from 'vitest';
import {
  acceptStream,
  connectStreamSync,
  listenStream,
  unixAddress,
} from '../../packages/posix/dist/index.js';
import * as targets from '../fixtures/dist/reduction_fds.js';
import { errorOf } from '../fixtures/dist/targets.js';
import { AS_NOBODY, noFdLimit, noOtherUser } from '../support/limits.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const run = promisify(execFile);
const open: { close(): void }[] = [];
const children: { join(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) thing.close();
  stop();
  for (const p of children.splice(0)) await p.join();
});

function track<T extends { close(): void }>(thing: T): T {
  open.push(thing);
  return thing;
}

const pair = () => Pipe().map(track) as [Connection, Connection];
const fdCount = () => readdirSync('/proc/self/fd').length;

/** A message with an fd of this process. */
function share(): Uint8Array {
  const fd = openSync('/dev/null', 'r');
  const pickled = ForkingPickler.dumps(new DupFd(fd));
  closeSync(fd);
  return pickled;
}

const NAME = /[0-9a-f]{32}\/\d+/;
const nameIn = (message: Uint8Array) =>
  NAME.exec(Buffer.from(message).toString('latin1'))?.[0] ?? '';
const addressIn = (message: Uint8Array) =>
  `\0multiprocessing-sharer-${nameIn(message).slice(0, 32)}`;

/** The same message with another name in it. */
function renamed(message: Uint8Array, name: string): Uint8Array {
  const text = Buffer.from(message).toString('latin1');
  const old = nameIn(message);
  expect(name).toHaveLength(old.length);
  return Buffer.from(text.replace(old, name), 'latin1');
}

/** Somebody who connects, and says nothing. */
function visit(address: string): number {
  const fd = connectStreamSync(unixAddress(address));
  track({ close: () => closeSync(fd) });
  return fd;
}

/** A child that fetches what it is sent the message of. */
async function fetcher(user?: number): Promise<Connection> {
  const [mine, theirs] = pair();
  const p = new (mp.getContext('spawn').Process)({ target: targets.fetchAs, args: [theirs, user] });
  await p.start();
  children.push(p);
  theirs.close();
  expect(await mine.recv()).toBe('ready');
  return mine;
}

const NOBODY = 65534;

describe('who is let in', () => {
  test.skipIf(noOtherUser)('another user hears nothing at all', async () => {
    const address = addressIn(share());
    const [setpriv = '', ...flags] = AS_NOBODY;
    const script = `import(${JSON.stringify(import.meta.resolve('../../packages/posix/dist/index.js'))})
      .then(({ connectStreamSync, unixAddress }) => {
        const fd = connectStreamSync(unixAddress(${JSON.stringify(address)}));
        console.log('connected, then', require('fs').readSync(fd, Buffer.alloc(100)), 'bytes');
      });`;
    const { stdout } = await run(setpriv, [...flags, process.execPath, '-e', script], { cwd: '/' });
    expect(stdout).toBe('connected, then 0 bytes\n');
  });

  test.skipIf(noOtherUser)('a child that has become another user does', async () => {
    const conn = await fetcher(NOBODY);
    await conn.sendBytes(share());
    expect(await conn.recv()).toBe('fetched');
  });

  test('those who say nothing have so many places, and keep nobody out', async () => {
    const conn = await fetcher();
    const message = share();
    const before = fdCount();
    const silent = Array.from({ length: 200 }, () => visit(addressIn(message)));
    await conn.sendBytes(message);
    expect(await conn.recv()).toBe('fetched'); // behind all of those
    expect(fdCount() - before - silent.length).toBeLessThan(2 * 64 + 10); // a visit has a watch, too
  });

  test.skipIf(noFdLimit)('at the limit of open files visitors wait, and nobody spins', async () => {
    const [mine, theirs] = pair();
    const p = new (mp.getContext('spawn').Process)({
      target: targets.shareAtLimit,
      args: [theirs],
    });
    await p.start();
    children.push(p);
    theirs.close();
    const message = await mine.recvBytes(); // from now on the child has no fd left
    const loading = ForkingPickler.loads(message);
    const refused = Number(await mine.recv()); // and has some again
    closeSync(((await loading) as DupFd).detach());
    expect(refused).toBeLessThan(100); // one that spins has thousands
    await mine.send('done');
  });
});

describe('who is believed', () => {
  const wrong = [
    ['no place', (name: string) => name.replace(/^./, 'x')],
    ['a path', (name: string) => `/tmp/${name.slice(5)}`],
    ['no number', (name: string) => name.replace(/\d$/, 'x')],
    ['number 0', (name: string) => name.replace(/\/\d/, '/0')],
  ] as const;

  test.each(wrong)('a name with %s is refused before anybody is asked', async (_, change) => {
    const message = share();
    const bad = renamed(message, change(nameIn(message)));
    const error = {
      name: 'UnpicklingError',
      message: expect.stringMatching(/where it says that an fd is, none can be/),
    };
    expect(await errorOf(() => ForkingPickler.loads(bad))).toMatchObject(error);
    expect(await errorOf(() => ForkingPickler.loadsSync(bad))).toMatchObject(error);
  });

  test('one who sends two fds for one gives none', async () => {
    const message = share();
    const random = 'a'.repeat(32);
    const listener = listenStream(unixAddress(`\0multiprocessing-sharer-${random}`), 1);
    track({ close: () => closeSync(listener) });
    const before = fdCount();
    const loading = errorOf(() =>
      ForkingPickler.loads(renamed(message, `${random}/${nameIn(message).slice(33)}`)),
    );
    await new Promise((resolve) => setImmediate(resolve)); // it has connected
    const owner = acceptStream(listener)?.fd as number;
    await sendfds(owner, [0, 1]);
    expect(await loading).toMatchObject({ name: 'UnpicklingError' });
    closeSync(owner);
    expect(fdCount()).toBe(before);
  });
});

forEachStartMethod((ctx) => {
  test('who waits for an owner that stands still goes on with everything else', async () => {
    const [conn, child] = pair();
    const p = new ctx.Process({ target: targets.shareAndStop, args: [child], daemon: true });
    await p.start();
    await conn.recv();
    const state = () => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${p.pid}/status`, 'utf8'))?.[1];
    const got = conn.recv();
    let order = '';
    const arrival = got.then(() => {
      order += 'fd';
    });
    while (state() !== 'T') await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    order += '100 turns, ';
    process.kill(p.pid as number, 'SIGCONT');
    await arrival;
    expect(order).toBe('100 turns, fd');
    track((await got) as Connection);
    await conn.send('thanks');
    await p.join();
    expect(p.exitcode).toBe(0);
  });
});
