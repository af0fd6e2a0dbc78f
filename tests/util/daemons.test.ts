/**
 * The end of processes that do not run: stopped ones, and those that a debugger holds.
 */
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { native } from '../../packages/posix/dist/ffi/ffi.js';
import { waitpid } from '../../packages/posix/dist/index.js';
import * as lifecycle from '../fixtures/dist/lifecycle_targets.js';
import { untilGone } from '../support/processes.ts';
import { startProgram } from '../support/programs.ts';
import { Channel, Gate } from '../support/scratch.ts';
import { forEachStartMethod } from '../support/start_methods.ts';

const ptrace = native('long ptrace(long request, int pid, uintptr_t address, uintptr_t data)');
const [PTRACE_SEIZE, PTRACE_INTERRUPT] = [0x4206, 0x4207];
const WALL = 0x40000000;

/** Holds a process as a debugger at its prompt does. @returns whether this system allows it */
function hold(pid: number): boolean {
  if (ptrace(PTRACE_SEIZE, pid, 0, 0) !== 0) return false;
  expect(ptrace(PTRACE_INTERRUPT, pid, 0, 0)).toBe(0);
  expect(waitpid(pid, WALL)[0]).toBe(pid);
  return true;
}

forEachStartMethod((ctx, method) => {
  const startDaemon = async (kind: string) => {
    const [channel, gate] = [new Channel(), new Gate()];
    const args = [method, channel.path, gate.path, kind];
    const { child, outcome } = startProgram('leave_running', args, { method });
    const pid = (await channel.next()) as number;
    return { child, outcome, pid, gate };
  };

  for (const kind of ['busy daemon', 'idle daemon']) {
    test(`a ${kind} that is stopped ends with its process`, async () => {
      const { outcome, pid, gate } = await startDaemon(kind);
      process.kill(pid, 'SIGSTOP');
      gate.open();
      expect(await outcome).toMatchObject({ code: 0, stdout: '', stderr: '' });
      await untilGone(pid);
    });
  }

  test('a daemon that a debugger holds does not keep its process', async (context) => {
    const { child, outcome, pid, gate } = await startDaemon('idle daemon');
    const held = hold(pid);
    const exit = once(child, 'exit');
    gate.open();
    expect(await exit).toEqual([0, null]);
    if (held) expect(waitpid(pid, WALL)[0]).toBe(pid); // until then nobody else can reap it
    expect(await outcome).toMatchObject({ code: 0, stdout: '', stderr: '' });
    if (!held) context.skip('this system does not allow ptrace');
  });

  test('terminate ends a stopped process', async () => {
    const channel = new Channel();
    const p = new ctx.Process({ target: lifecycle.reportThenStay, args: [channel.path, 'await'] });
    await p.start();
    const pid = (await channel.next()) as number;
    process.kill(pid, 'SIGSTOP');
    p.terminate();
    await p.join();
    expect(p.exitcode).toBe(-15);
  });
});
