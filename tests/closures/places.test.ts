/**
 * Where an error of a function by value says that it comes from: in the child as in the program, whatever made the program and
 * whether Node is to show the file that people have written.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TransformOptions, transformSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const written = join(root, 'tests/fixtures/closures/places.ts');
const tsx = createRequire(import.meta.url).resolve('tsx/cli');
const strips = (process.features as { typescript?: unknown }).typescript;

interface Form {
  /** What node is given before the start method. */
  readonly args: (folder: string) => readonly string[];
  /** Which file errors show. */
  readonly shows: RegExp;
  readonly unable?: string | undefined;
}

const forms: Readonly<Record<string, Form>> = {
  'TypeScript under tsx': { args: () => [tsx, written], shows: /^places\.ts:/ },
  'TypeScript that Node strips of its types': {
    args: () => [written],
    shows: /^places\.ts:/,
    unable: strips ? undefined : `Node ${process.versions.node} strips no types`,
  },
  'by tsc': { args: () => [byTsc()], shows: /^places\.js:/ },
  'by tsc, with source maps': {
    args: () => ['--enable-source-maps', byTsc()],
    shows: /^places\.ts:/,
  },
  'by esbuild, minified, with source maps': {
    args: (folder) => ['--enable-source-maps', byEsbuild(folder, { minify: true })],
    shows: /^places\.ts:/,
  },
  'by esbuild, CommonJS, with source maps': {
    args: (folder) => ['--enable-source-maps', byEsbuild(folder, { format: 'cjs' })],
    shows: /^places\.ts:/,
  },
};

const byTsc = () => join(root, 'tests/fixtures/dist/closures/places.js');

function byEsbuild(folder: string, options: TransformOptions): string {
  const { format = 'esm' } = options;
  let source = readFileSync(written, 'utf8');
  // Of the same length, and on the same line.
  if (format === 'cjs') source = source.replace('mp.isMain(import.meta)', 'mp.isMain(module)     ');
  const { code } = transformSync(source, {
    loader: 'ts',
    target: 'node20',
    sourcemap: 'inline',
    sourcefile: written,
    format,
    ...options,
  });
  const file = join(folder, format === 'cjs' ? 'out.cjs' : 'out.mjs');
  writeFileSync(file, code);
  return file;
}

let folder = '';

beforeAll(() => {
  // Inside of the project, so that `multiprocessing` is found as from any program.
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/places-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

for (const [form, { args, shows, unable }] of Object.entries(forms)) {
  if (unable !== undefined) console.warn(`no tests of ${form}: ${unable}`);
  describe.skipIf(unable !== undefined)(form, () => {
    let own: readonly string[] = [];
    beforeAll(() => {
      own = args(folder);
    });
    for (const method of ['fork', 'spawn', 'forkserver']) {
      test(`under ${method}`, { timeout: 180_000 }, async () => {
        const { code, stdout, stderr } = await runNode([...own, method]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const lines = stdout.split('\n').filter(Boolean);
        const places = lines.map((line) => JSON.parse(line) as [string, string, string]);
        expect(places.length).toBeGreaterThan(20);
        for (const [, here] of places) expect(here).toMatch(shows);
        expect(places.filter(([, here, there]) => here !== there)).toEqual([]);
      });
    }
  });
}

test('who looks for the source map of the library finds one', () => {
  const bundle = join(root, 'packages/multiprocessing/dist/bundle/bundle.cjs');
  const found = readFileSync(bundle, 'utf8').match(/sourceMappingURL=.*/g);
  expect(found).toEqual(['sourceMappingURL=bundle.cjs.map']);
});
