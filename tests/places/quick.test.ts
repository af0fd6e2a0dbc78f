/** The quick part of `pnpm test:places`: the runners that are here anyway. Deviations: D-123, D-124. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { scratchFile } from '../support/scratch.ts';
import { EXPECTED, fillProject, visit } from './places.ts';
import { runners } from './runners.ts';

const quick = ['node --test', 'node FILE', 'vitest, forks', 'vitest, TypeScript'];

test.each(quick)('%s', { timeout: 100_000 }, async (name) => {
  const runner = runners.find((each) => each.name === name);
  if (runner === undefined) throw new Error(`no runner ${name}`);
  const folder = scratchFile('project');
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  symlinkSync(
    fileURLToPath(new URL('../../node_modules', import.meta.url)),
    join(folder, 'node_modules'),
  );
  fillProject(folder, runner);
  const { output, ...outcome } = await visit(folder, runner, process.execPath);
  expect({ ...outcome, output: '' }).toEqual({
    ...EXPECTED,
    output: outcome.code === 0 && outcome.left === '' ? '' : output,
  });
});
