/**
 * Who counts as dead: only who is dead by the kernel's word. D-101.
 */
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/living_targets.js';
import { running, runProgram } from '../support/programs.ts';
import { Channel, Gate } from '../support/scratch.ts';
import { forEachStartMethod, type Method } from '../support/start_methods.ts';

const right = 'from the living: false\nfrom the dead: true\n';
const program = fileURLToPath(new URL('../fixtures/dist/programs/living.js', import.meta.url));

/** Whether this user may make namespaces of mounts and processes. */
const mayUnshare = spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status === 0;
if (!mayUnshare) console.warn('no tests without /proc: unshare(1) needs more rights');

/** Runs the program with a /proc of its own kind. @param prepare a command of the shell */
function runWith(prepare: string, method: Method, how = ''): ReturnType<typeof runProgram> {
  const node = `'${process.execPath}' ${method === 'fork' ? '--single-threaded' : ''}`;
  const options = ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c'];
  return running(
    spawn('unshare', [...options, `${prepare} && exec ${node} '${program}' ${method} ${how}`]),
  ).outcome;
}

forEachStartMethod((ctx, method) => {
  test('who is hidden from other users lives until it is dead', async ({ skip }) => {
    if (!mayUnshare) skip();
    expect(await runWith('mount -t proc -o hidepid=2 proc /proc', method, 'users')).toMatchObject({
      stdout: right,
      code: 0,
    });
  });

  describe('a process without a free fd', () => {
    test.each(['sync', 'async'] as const)('leaves a lock to who has it (%s)', async (form) => {
      const lock = ctx.Lock();
      const channel = new Channel();
      await lock.acquire();
      const p = new ctx.Process({
        target: targets.tryWithoutFds,
        args: [form, lock, channel.path],
      });
      await p.start();
      expect(await channel.next()).toBe(false);
      await p.join();
      lock.release();
    });

    test('keeps a lock that it takes', async () => {
      const lock = ctx.Lock();
      const channel = new Channel();
      const gate = new Gate();
      const args = [lock, channel.path, gate.path] as const;
      const p = new ctx.Process({ target: targets.holdWithoutFds, args });
      await p.start();
      expect(await channel.next()).toBe(true);
      expect(lock.acquireSync(true, 0.5)).toBe(false);
      expect(await lock.acquire(true, 0.5)).toBe(false);
      gate.open();
      await p.join();
      expect(lock.acquireSync(false)).toBe(true);
      lock.release();
    });

    test('waits for an item of who lives', async () => {
      const queue = ctx.Queue();
      const channel = new Channel();
      const p = new ctx.Process({ target: targets.getWithoutFds, args: [queue, channel.path] });
      await p.start();
      expect(await channel.next()).toMatchObject({ name: 'Empty' });
      await p.join();
      queue.close();
    });

    test('waits for tasks in living hands', async () => {
      const tasks = ctx.JoinableQueue();
      const taken = ctx.Event();
      const [channel, gate] = [new Channel(), new Gate()];
      tasks.put('a task');
      const worker = new ctx.Process({
        target: targets.workSlowly,
        args: [tasks, taken, gate.path],
      });
      await worker.start();
      await taken.wait();
      const joins = new ctx.Process({
        target: targets.joinWithoutFds,
        args: [tasks, channel.path],
      });
      await joins.start();
      expect(await channel.next()).toBe(false);
      gate.open();
      expect(await tasks.join(30)).toBe(true);
      await Promise.all([worker.join(), joins.join()]);
      tasks.close();
    });

    test('meets at a barrier whom it finds there', async () => {
      const barrier = ctx.Barrier(2);
      const channel = new Channel();
      const first = new ctx.Process({
        target: targets.meetAndReport,
        args: [barrier, channel.path],
      });
      await first.start();
      while (barrier.nWaiting === 0) await new Promise(setImmediate);
      const last = new ctx.Process({
        target: targets.meetWithoutFds,
        args: [barrier, channel.path],
      });
      await last.start();
      expect((await channel.take(2)).sort()).toEqual([0, 1]);
      await Promise.all([first.join(), last.join()]);
    });
  });
});

describe.each(['spawn', 'fork'] as const)('%s', (method) => {
  test('a zombie is dead, also for who has no fd to look at it', async () => {
    const outcome = await runProgram('living', [method, 'no-fds'], { method });
    expect(outcome).toMatchObject({ stdout: right, code: 0 });
  });
});

test.each([
  ['without /proc', 'umount -l /proc'],
  ['with the /proc of other ids', 'true'],
])('%s nobody is dead before it is', async (_, prepare) => {
  if (!mayUnshare) return;
  const outcome = await runWith(prepare, 'spawn');
  expect(outcome).toMatchObject({ stdout: right, code: 0 });
});
