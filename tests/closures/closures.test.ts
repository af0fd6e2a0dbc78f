/**
 * Functions by value: programs of many forms send functions, classes and captured values of many shapes
 * (fixtures/closures) to children, under emulated fork and under spawn with the reducer.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type TransformOptions, transform } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const fixtures = join(root, 'tests/fixtures/closures');
const files = ['shapes', 'shape', 'functions', 'variables', 'classes', 'library'];
const tsx = createRequire(import.meta.url).resolve('tsx/cli');

/** What each shape answers, whatever form the program has. */
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as Record<
  string,
  unknown
>;

interface Form {
  /** What node is given, before the start method. */
  readonly args: (folder: string) => readonly string[];
  /** How the program is made of its sources; undefined if it is not. */
  readonly options?: TransformOptions;
  /** Why this Node cannot run it. */
  readonly unable?: string | undefined;
}

const strips = (process.features as { typescript?: unknown }).typescript;
const compiled = (format: 'esm' | 'cjs', minify: boolean): Form => ({
  args: (folder) => [join(folder, `shapes.${extension(format)}`)],
  options: { loader: 'ts', target: 'node20', platform: 'node', format, minify },
});

const forms: Readonly<Record<string, Form>> = {
  'TypeScript under tsx': { args: () => [tsx, join(fixtures, 'shapes.ts')] },
  'TypeScript that Node strips of its types': {
    args: () => [join(fixtures, 'shapes.ts')],
    unable: strips ? undefined : `Node ${process.versions.node} strips no types`,
  },
  'an ES module that tsc has compiled': {
    args: () => [join(root, 'tests/fixtures/dist/closures/shapes.js')],
  },
  'a minified ES module': compiled('esm', true),
  CommonJS: compiled('cjs', false),
  'minified CommonJS': compiled('cjs', true),
};

function extension(format: string | undefined): string {
  return format === 'cjs' ? 'cjs' : 'mjs';
}

async function build(folder: string, options: TransformOptions): Promise<void> {
  const imported = `.${extension(options.format)}'`;
  for (const name of files) {
    const source = readFileSync(join(fixtures, `${name}.ts`), 'utf8');
    const { code } = await transform(source.replace(/(?<='\.\/\w+)\.ts'/g, imported), options);
    writeFileSync(join(folder, `${name}.${extension(options.format)}`), code);
  }
}

let folder = '';

beforeAll(async () => {
  // Inside of the project, so that `multiprocessing` is found as from any program.
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/closures-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

for (const [form, { args, options, unable }] of Object.entries(forms)) {
  if (unable !== undefined) console.warn(`no tests of ${form}: ${unable}`);
  describe.skipIf(unable !== undefined)(form, () => {
    let own = '';
    beforeAll(async () => {
      own = mkdtempSync(join(folder, 'form-'));
      if (options !== undefined) await build(own, options);
    });

    for (const method of ['fork', 'spawn']) {
      const title = method === 'fork' ? 'emulated fork' : 'spawn with the reducer';
      test(`all shapes, under ${title}`, { timeout: 180_000 }, async () => {
        const { code, stdout, stderr } = await runNode([...args(own), method]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const lines = stdout.split('\n').filter(Boolean);
        const answers = lines.map((line) => JSON.parse(line) as [string, unknown]);
        expect(Object.fromEntries(answers)).toEqual(expected);
        expect(answers.length).toBeGreaterThan(60);
      });
    }
  });
}
