/** A program whose modules are loaded by node:vm, as test runners do it, has the one library of its process. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

test('realms with another globalThis and another process share one library, which outlives them', async () => {
  const path = fileURLToPath(new URL('../fixtures/programs/other_realms.cjs', import.meta.url));
  const { stdout, stderr, code } = await runNode([path]);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(JSON.parse(stdout)).toEqual({
    sameProcess: true,
    sameLibrary: true,
    sameMain: true,
    got: [[1, [2]]],
    exitcode: 4,
    bundle: false,
  });
});
