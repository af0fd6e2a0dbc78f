/** `multiprocessing/testing`. The check after each test of this project is the one that is tried here. */
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as mp from 'multiprocessing';
import { SharedMemory } from 'multiprocessing/shared_memory';
import { expectNoLeftovers, recordProcesses } from 'multiprocessing/testing';
import { describe, expect, test } from 'vitest';
import { empty, exitWith, sleepSync } from '../fixtures/dist/targets.js';
import { forEachStartMethod } from '../support/start_methods.ts';

/** What is left now, without time for it to go. */
async function left(check: () => Promise<void>): Promise<string> {
  const error = await check().then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error === undefined) return 'nothing';
  expect(error).toBeInstanceOf(mp.AssertionError);
  return (error as Error).message;
}

/** Other files of tests have shared memory at the same time. */
const AT_ONCE = { timeout: 0, segments: /^testing_left$/ };

forEachStartMethod((ctx) => {
  test('a child that lives on is left, and one that has ended is not', async () => {
    const check = expectNoLeftovers(AT_ONCE);
    const p = new ctx.Process({ target: sleepSync, args: [60_000] });
    await p.start();
    expect(await left(check)).toContain(`child ${p.pid} (`);
    p.kill();
    await p.join();
    p.close();
    await expectNothing(check);
  });

  test('the order of starts, and exit codes', async () => {
    using recording = recordProcesses();
    const codes = [3, 0, 4];
    for (const [i, code] of codes.entries()) {
      const p = new ctx.Process({ name: `job ${i}`, target: exitWith, args: [code] });
      await p.start();
      expect(recording.processes.at(-1)).toEqual({
        name: `job ${i}`,
        pid: p.pid,
        method: ctx._name,
        exitcode: undefined,
      });
      await p.join();
    }
    expect(recording.processes.map(({ name, exitcode }) => [name, exitcode])).toEqual([
      ['job 0', 3],
      ['job 1', 0],
      ['job 2', 4],
    ]);
    recording.stop();
    const unseen = new ctx.Process({ target: empty });
    await unseen.start();
    await unseen.join();
    expect(recording.processes.length).toBe(3);
  });
});

async function expectNothing(check: () => Promise<void>): Promise<void> {
  expect(await left(check)).toBe('nothing');
}

describe('what is no process', () => {
  test('an fd', async () => {
    const check = expectNoLeftovers(AT_ONCE);
    const fd = openSync('/dev/null', 'r');
    expect(await left(check)).toBe(`left behind: fd ${fd} (/dev/null)`);
    await expectNothing(expectNoLeftovers(AT_ONCE)); // it was there before
    closeSync(fd);
    await expectNothing(check);
  });

  test('a number that is something else now', async () => {
    const fd = openSync('/dev/null', 'r');
    const check = expectNoLeftovers(AT_ONCE);
    closeSync(fd);
    const other = openSync('/dev/zero', 'r');
    expect(other).toBe(fd);
    expect(await left(check)).toBe(`left behind: fd ${fd} (/dev/zero)`);
    closeSync(other);
  });

  test('shared memory, and a temporary file', async () => {
    const check = expectNoLeftovers(AT_ONCE);
    const memory = new SharedMemory({ name: 'testing_left', create: true, size: 16 });
    const file = join(tmpdir(), 'pymp-left');
    writeFileSync(file, '');
    const message = await left(check);
    expect(message).toContain(`shared memory testing_left`);
    expect(message).toContain('temporary file pymp-left');
    memory.close();
    memory.unlink();
    rmSync(file);
    await expectNothing(check);
  });

  test('what is ending has its time', async () => {
    const check = expectNoLeftovers({ timeout: 60 });
    const fd = openSync('/dev/null', 'r');
    let looks = 0;
    // Closed in a later look than the first: this counts the turns of the event loop that the check lets pass.
    const timer = setInterval(() => {
      if (++looks === 20) closeSync(fd);
    }, 5);
    await check();
    clearInterval(timer);
    expect(looks).toBeGreaterThanOrEqual(20);
  });

  test('what is told to be none', async () => {
    const check = expectNoLeftovers({ ...AT_ONCE, ignore: /\/dev\/null/ });
    const fd = openSync('/dev/null', 'r');
    await expectNothing(check);
    closeSync(fd);
  });

  test('at the end of a block, and around each test', async () => {
    const bodies: (() => unknown)[] = [];
    const hook = (body: () => unknown) => bodies.push(body);
    expectNoLeftovers({ ...AT_ONCE, beforeEach: hook, afterEach: hook });
    const [before, after] = bodies as [() => void, () => Promise<void>];
    const fd = openSync('/dev/null', 'r');
    before();
    await after();
    let error: unknown;
    let second = -1;
    try {
      await using _nothing = expectNoLeftovers(AT_ONCE);
      second = openSync('/dev/null', 'r');
    } catch (caught) {
      error = caught;
    }
    expect(error).toMatchObject({ message: `left behind: fd ${second} (/dev/null)` });
    await expect(after()).rejects.toThrow(`fd ${second} (/dev/null)`);
    closeSync(fd);
    closeSync(second);
    await after();
  });

  test('a timeout that is none', () => {
    expect(() => expectNoLeftovers({ timeout: Number.NaN })).toThrow(mp.ValueError);
  });
});
