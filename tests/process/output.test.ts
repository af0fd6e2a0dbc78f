/**
 * What a program and its children print is seen: errors when they happen, and output whatever way a child ends.
 */
import type { ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { pipe } from '../../packages/posix/dist/index.js';
import { type Outcome, runProgram, startProgram } from '../support/programs.ts';
import { Gate } from '../support/scratch.ts';
import { forEachWay, ways } from '../support/start_methods.ts';

/** Settles when the child has printed this on stderr; fails if it ends without. */
function untilSays(child: ChildProcess, text: string): Promise<void> {
  let said = '';
  return new Promise((resolve, reject) => {
    child.stderr?.on('data', (chunk: string) => {
      said += chunk;
      if (said.includes(text)) resolve();
    });
    child.once('close', () => reject(new Error(`it has said: ${said}`)));
  });
}

const said = new Map<string, Promise<Outcome>>();

/** What a program says that ends of that error and has no child. */
function saidAlone(what: string): Promise<Outcome> {
  const known = said.get(what) ?? runProgram('main_fails', ['none', what]);
  said.set(what, known);
  return known;
}

forEachWay((how) => {
  const { name, options } = ways(how);

  describe('an error that ends the main program is printed while its children run', () => {
    test.each([
      'throw',
      'later throw',
      'text',
      'nothing',
      'rejection',
      'rejected text',
      'exit code',
      'exit handler',
      'monitor',
    ])('%s', async (what) => {
      const gate = new Gate();
      const alone = await saidAlone(what);
      const { child, outcome } = startProgram('main_fails', [name, what, gate.path], options);
      await untilSays(child, alone.stderr);
      expect(alone.stderr).toMatch(/mistake|text|undefined/);
      expect(child.exitCode).toBe(null); // it waits for its child
      gate.open(2);
      expect(await outcome).toEqual(alone);
    });
  });

  test.each(['caught', 'captured'])('an error that is %s ends nothing', async (what) => {
    const gate = new Gate();
    const { child, outcome } = startProgram('main_fails', [name, what, gate.path], options);
    await untilSays(child, what);
    gate.open(2);
    expect(await outcome).toEqual({
      code: 3,
      signal: null,
      stdout: 'finalized\n',
      stderr: `${what}: a mistake\n`,
    });
  });

  test('an error that ends a child is printed while its own children run', async () => {
    const gate = new Gate();
    const args = [name, 'in the child', gate.path];
    const { child, outcome } = startProgram('main_fails', args, options);
    await untilSays(child, 'RangeError: a mistake');
    gate.open();
    expect(await outcome).toMatchObject({ code: 0, stdout: 'finalized\n' });
  });

  describe.each(['', 'later '])('a target that ends %s', (when) => {
    test.each([
      ['rejection', /^Process P:\nError: nobody handles this\n(.*\n)*1\n$/],
      ['rejection at once', /^Process P:\nError: nobody handles this\n(.*\n)*1\n$/],
      ['handled rejection', /^4\n$/],
      ['warning', /Warning: a warning\n(.*\n)*0\n$/],
      ['tick', /^ticked\n0\n$/],
    ])('has its last turn: %s', async (what, stderr) => {
      const outcome = await runProgram('ends', [name, `${when}${what}`], options);
      expect(outcome).toMatchObject({ code: 0, stdout: '' });
      expect(outcome.stderr).toMatch(stderr);
      expect(outcome.stderr).not.toContain('a turn too many');
    });

    test.each([
      ['exit', 3],
      ['exit in finally', 3],
      ['SystemExit', 3],
      ['error', 1],
      ['return', 0],
    ])('by %s leaves nothing unwritten', async (what, code) => {
      const size = 10_000_000;
      const args = [name, `${when}${what}`, String(size)];
      const { stdout, stderr } = await runProgram('ends', args, options);
      expect({ length: stdout.length, end: stdout.slice(-2) }).toEqual({ length: size, end: 'xy' });
      expect(stderr.split('\n').at(-2)).toBe(String(code));
    });

    test('by process.exit is not held up by a reader that is gone', async () => {
      const [reader, unread] = pipe();
      closeSync(reader);
      const { stderr } = await runProgram('ends', [name, `${when}exit`, '1000000'], {
        ...options,
        stdio: ['ignore', unread, 'pipe'],
      });
      closeSync(unread);
      expect(stderr).toMatch(/(^|\n)\d\n$/);
    });
  });
});
