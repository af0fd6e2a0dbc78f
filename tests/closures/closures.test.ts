/**
 * Functions by value: programs of many forms send functions, classes and captured values of many shapes
 * (fixtures/closures) to children, under emulated fork and under spawn with the reducer.
 */
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { asWritten, byEsbuild, type Form, scratchFolder } from '../support/program_forms.ts';
import { runNode } from '../support/programs.ts';

const files = ['shapes', 'shape', 'functions', 'variables', 'classes', 'library'];

/** What each shape answers, whatever form the program has. */
const expected = JSON.parse(
  readFileSync(new URL('../fixtures/closures/expected.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;

const forms: Readonly<Record<string, Form>> = {
  ...asWritten,
  'a minified ES module': byEsbuild({ format: 'esm', minify: true }),
  CommonJS: byEsbuild({ format: 'cjs' }),
  'minified CommonJS': byEsbuild({ format: 'cjs', minify: true }),
};

const scratch = scratchFolder();

for (const [form, { args, build, unable }] of Object.entries(forms)) {
  if (unable !== undefined) console.warn(`no tests of ${form}: ${unable}`);
  describe.skipIf(unable !== undefined)(form, () => {
    let own = '';
    beforeAll(async () => {
      own = scratch.sub();
      await build?.(files, own);
    });

    for (const method of ['fork', 'spawn']) {
      const title = method === 'fork' ? 'emulated fork' : 'spawn with the reducer';
      test(`all shapes, under ${title}`, { timeout: 180_000 }, async () => {
        const { code, stdout, stderr } = await runNode([...args('shapes', own), method]);
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        const lines = stdout.split('\n').filter(Boolean);
        const answers = lines.map((line) => JSON.parse(line) as [string, unknown]);
        expect(Object.fromEntries(answers)).toEqual(expected);
        expect(answers.length).toBeGreaterThan(60);
      });
    }
  });
}
