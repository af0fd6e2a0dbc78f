/**
 * Those who wait in their event loops are rung. A bell that does not ring is no error of who rings it, and who waits
 * finds out without it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/bell_targets.js';
import { findPythons } from '../support/python.ts';
import { Channel } from '../support/scratch.ts';
import { type Context, forEachStartMethod } from '../support/start_methods.ts';

const hasPython = findPythons().pythons.length > 0;

/** A bell that somebody else has: one that takes rings from one friend only, and such that are full. */
const STRANGER = `
import socket, sys
kind, name = sys.argv[1], b'\\0multiprocessing-%08x' % int(sys.argv[2])
type = socket.SOCK_STREAM if kind == 'full of calls' else socket.SOCK_DGRAM
bell = socket.socket(socket.AF_UNIX, type)
bell.bind(name)
if kind == 'forbidden':
    bell.connect(name)
elif kind == 'full of calls':
    bell.listen(0)
callers = []
while kind.startswith('full'):
    callers.append(socket.socket(socket.AF_UNIX, type))
    callers[-1].setblocking(False)
    try:
        callers[-1].connect(name)
        while type == socket.SOCK_DGRAM:
            callers[-1].send(b'x')
    except BlockingIOError:
        break
print('ready', flush=True)
sys.stdin.read()
`;

/** The table of this process in which those who ring look bells up: a token and a bell for each. */
function memberTable(): Int32Array {
  const registry = (process.getBuiltinModule('node:fs') as { [key: symbol]: unknown })[
    Symbol.for('multiprocessing.state')
  ];
  const hub = (registry as Map<string, { table: { memory: { buffer: ArrayBuffer } } }>).get(
    'waitHub',
  );
  return new Int32Array(
    (hub as { table: { memory: { buffer: ArrayBuffer } } }).table.memory.buffer,
  );
}

/** Gives a process another bell. */
function replaceBell(pid: number, id: number): void {
  const words = memberTable();
  for (let i = 0; i < words.length; i += 2) {
    if (((words[i] as number) & 0x3fffff) === pid) words[i + 1] = id;
  }
}

function makeWaited(ctx: Context): targets.Waited {
  const full = ctx.Queue<string>(1);
  full.putSync('first');
  return {
    lock: ctx.Lock(),
    semaphore: ctx.Semaphore(0),
    event: ctx.Event(),
    condition: ctx.Condition(),
    barrier: ctx.Barrier(2),
    queue: ctx.Queue<string>(),
    full,
  };
}

const came = [true, true, true, true, true, 'item', 'put'];

forEachStartMethod((ctx) => {
  /** A child that waits for all of these. */
  async function startWaiting(all: targets.Waited, channel: Channel) {
    all.lock.acquireSync();
    const p = new ctx.Process({ target: targets.waitForAll, args: [all, channel.path] });
    await p.start();
    expect(await channel.next()).toBe('waiting');
    return p;
  }

  describe.each(['forbidden', 'full', 'full of calls'])('a bell that is %s', (kind) => {
    test.skipIf(!hasPython)('is no error, and who waits comes without it', async () => {
      const [all, channel] = [makeWaited(ctx), new Channel()];
      const p = await startWaiting(all, channel);
      const id = p.pid as number;
      const stranger = spawn('python3', ['-c', STRANGER, kind, String(id)]);
      await once(stranger.stdout, 'data');
      replaceBell(id, id);
      expect(targets.endAllWaits(all)).toEqual([expect.any(Number), 'first']);
      expect(await channel.next()).toEqual(came);
      await p.join();
      stranger.stdin.end();
      await once(stranger, 'close');
    });
  });

  test('a bell that is gone is no error, and who waits comes without it', async () => {
    const [all, channel] = [makeWaited(ctx), new Channel()];
    const p = await startWaiting(all, channel);
    replaceBell(p.pid as number, 1);
    expect(targets.endAllWaits(all)).toEqual([expect.any(Number), 'first']);
    expect(await channel.next()).toEqual(came);
    await p.join();
  });

  test('who has no fd to ring with has no error, and who waits comes without it', async () => {
    const [all, channel, others] = [makeWaited(ctx), new Channel(), new Channel()];
    const p = await startWaiting(all, channel);
    const q = new ctx.Process({ target: targets.endAllWaitsWithoutFds, args: [all, others.path] });
    await q.start();
    expect(await others.next()).toEqual([expect.any(Number), 'first']);
    expect(await channel.next()).toEqual(came);
    for (const child of [p, q]) await child.join();
  });
});
