/**
 * The kinds of main modules in docs/start-methods.md: what a program may be written in and be run by, with
 * the Node that runs these tests. Each program imports other files, awaits at its top level (CommonJS excepted),
 * and has its child load a file that nobody has loaded before.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const mains = join(root, 'tests/fixtures/mains');
const tsx = createRequire(import.meta.url).resolve('tsx/cli');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

const methods = process.platform === 'linux' ? ['spawn', 'fork', 'forkserver'] : ['spawn'];
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

/** Runs a program under every start method at once; each must print its method and these words. */
async function expectWorks(command: readonly string[], words: string): Promise<void> {
  const results = await Promise.all(
    methods.map(async (method) => [method, await runNode([...command, method])] as const),
  );
  const expected = methods.map((method) => {
    return [method, { stdout: `${method} ${words}\n`, stderr: '', code: 0, signal: null }];
  });
  expect(Object.fromEntries(results)).toEqual(Object.fromEntries(expected));
}

async function expectFails(command: readonly string[], message: RegExp): Promise<void> {
  const { stdout, stderr, code } = await runNode([...command, 'spawn']);
  expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
  expect(stderr).toMatch(message);
}

describe('under tsx', () => {
  test('an ES module with top-level await and a late import', async () => {
    await expectWorks([tsx, join(mains, 'module/main.ts')], 'awaited late one two');
  });

  test('TypeScript that has to be transpiled', async () => {
    await expectWorks([tsx, join(mains, 'enum/main.ts')], 'awaited late High two');
  });

  test('TypeScript in a package without a type, which becomes CommonJS', async () => {
    await expectWorks([tsx, join(mains, 'untyped/main.ts')], 'late one two');
  });

  test('a CommonJS program', async () => {
    await expectWorks([tsx, join(mains, 'commonjs/main.cjs')], 'late module one two');
  });
});

describe('under a hook of require', () => {
  const flags = ['-r', join(mains, 'hooked/hook.cjs')];

  test('what the program has required its children require', async () => {
    await expectWorks([...flags, join(mains, 'hooked/main.quoted')], 'late one\nhelper two');
  });

  test('an ES module that requires it', async () => {
    const script = join(mains, 'hooked/requires.mjs');
    await expectWorks([...flags, script], 'late one\nhelper two');
  });
});

describe('under node alone', () => {
  let compiled = '';

  beforeAll(() => {
    mkdirSync(join(root, '.cache'), { recursive: true });
    compiled = mkdtempSync(join(root, '.cache/mains-'));
  });
  afterAll(() => rmSync(compiled, { recursive: true }));

  test.skipIf(!stripsTypes)('TypeScript that Node strips of its types', async () => {
    await expectWorks([join(mains, 'module/main.ts')], 'awaited late one two');
  });

  test.skipIf(!stripsTypes)('TypeScript that has to be transpiled is refused by Node', async () => {
    await expectFails([join(mains, 'enum/main.ts')], /ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX/);
  });

  test.skipIf(stripsTypes)(
    'TypeScript is refused by a Node that does not strip types',
    async () => {
      await expectFails([join(mains, 'module/main.ts')], /ERR_UNKNOWN_FILE_EXTENSION/);
    },
  );

  test('an ES module that tsc has compiled', async () => {
    const options = '--ignoreConfig --module nodenext --target es2023 --types node --skipLibCheck';
    const places = ['--rootDir', join(mains, 'module'), '--outDir', compiled];
    const { stdout, code } = await runNode([
      tsc,
      ...options.split(' '),
      '--rewriteRelativeImportExtensions',
      ...places,
      join(mains, 'module/main.ts'),
    ]);
    expect({ stdout, code }).toEqual({ stdout: '', code: 0 });
    await expectWorks([join(compiled, 'main.js')], 'awaited late one two');
  });

  test('a CommonJS program', async () => {
    await expectWorks([join(mains, 'commonjs/main.cjs')], 'late module one two');
  });
});
