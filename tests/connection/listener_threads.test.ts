/** Listeners in worker threads. */
import { expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';

test('a worker accepts at a listener that it was given, and can be terminated meanwhile', async () => {
  const { stdout, stderr, code } = await runProgram('listen_in_worker', ['50']);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toBe('from a thread\nconnected\nterminated 50\n');
});
