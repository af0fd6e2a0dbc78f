/** Under Node's permission model: what the library needs is said, and no more than that is needed. */
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const program = (name: string) =>
  fileURLToPath(new URL(`../fixtures/programs/${name}`, import.meta.url));
const known = process.allowedNodeEnvironmentFlags;
const model = known.has('--permission') ? '--permission' : '--experimental-permission';
const inspects = known.has('--allow-inspector');
const needed = [model, '--allow-fs-read=*', '--allow-addons'];

async function outputOf(flags: readonly string[], ...words: string[]): Promise<string> {
  const { stdout } = await runNode(['--no-warnings', ...flags, ...words]);
  return stdout;
}

describe.runIf(process.platform === 'linux')('under the permission model', () => {
  test('the flags that are needed are named', async () => {
    const expected = /^ERR_MP_PERMISSION .*koffi.*--allow-addons --allow-fs-read=\*/;
    expect(await outputOf(needed.slice(0, 2), program('permitted.cjs'), 'spawn')).toMatch(expected);
    expect(await outputOf(['--no-addons'], program('permitted.mjs'))).toMatch(expected);
  });

  test.each(['spawn', 'forkserver'])(
    'what CommonJS exports is found without the inspector: %s',
    async (method) => {
      expect(await outputOf(needed, program('permitted.cjs'), method)).toBe('0 42\n');
    },
  );

  test('an object that may have private members is refused where nobody can tell', async () => {
    const stdout = await outputOf(needed, program('permitted.cjs'), 'spawn', 'secret');
    expect(stdout).toMatch(/^0 42\nERR_MP_PICKLING .*#hidden/);
  });

  test('what an ES module exports is found with it; else it is said what to do', async () => {
    expect(await outputOf(needed, program('permitted.mjs'))).toMatch(
      inspects
        ? /^ERR_MP_PICKLING .*start node with --allow-inspector/
        : /^ERR_MP_PICKLING .*only functions that a CommonJS module exports.*Node 24 or newer/,
    );
    if (!inspects) return;
    expect(await outputOf([...needed, '--allow-inspector'], program('permitted.mjs'))).toBe(
      'sent\n',
    );
  });
});
