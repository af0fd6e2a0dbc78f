/**
 * `multiprocessing/vitest_coverage`: what a child has run is in vitest's report as if it had run in the test itself. The same calls
 * are counted twice, here and in a child; every statement, function and branch has the same number in both reports.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const folder = fileURLToPath(new URL('../fixtures/vitest_coverage/', import.meta.url));
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

interface FileReport {
  readonly s: Readonly<Record<string, number>>;
  readonly f: Readonly<Record<string, number>>;
  readonly b: Readonly<Record<string, readonly number[]>>;
}

interface Settings {
  readonly file?: string;
  readonly method: string;
  readonly pool?: string;
  readonly flags?: string;
  readonly include?: string;
}

/** Runs vitest, and reads its report. */
async function report(where: string, settings: Settings) {
  const { file = 'all.mjs', method, pool = 'forks', flags = '', include } = settings;
  const reports = scratchFile('reports');
  const { code, stdout, stderr } = await runNode([vitest, 'run', '--root', folder], {
    env: {
      VITEST: undefined,
      NODE_OPTIONS: undefined,
      FILE: `./${file}`,
      METHOD: method,
      POOL: pool,
      FLAGS: flags,
      WHERE: where,
      REPORTS: reports,
      INCLUDE: include,
    },
  });
  const path = join(reports, 'coverage-final.json');
  const files = existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, FileReport>)
    : {};
  const names = Object.keys(files).map((name) => name.slice(folder.length));
  return { code, output: stdout + stderr, names, reports, found: files[folder + file] };
}

async function isTheSame(settings: Settings, where = 'child'): Promise<void> {
  const here = await report('parent', settings);
  const there = await report(where, settings);
  expect([here.code, there.code], here.output + there.output).toEqual([0, 0]);
  expect(there.found).toEqual(here.found);
  const { s = {}, f = {} } = there.found ?? {};
  expect(new Set([...Object.values(s), ...Object.values(f)]).has(0)).toBe(true);
  expect(Math.max(...Object.values(f))).toBeGreaterThan(1);
  expect(readdirSync(there.reports)).toEqual(['coverage-final.json']);
}

describe('a report has the same numbers wherever it ran', () => {
  test.each(['spawn', 'forkserver', 'fork'])('%s', async (method) => isTheSame({ method }));

  test.each(['threads', 'vmThreads', 'vmForks'])('pool: %s', async (pool) =>
    isTheSame({ method: 'forkserver', pool }),
  );

  test.runIf(process.platform === 'linux').each(['child', 'grandchild'])(
    'a real fork, on Linux: %s',
    async (where) => isTheSame({ method: 'fork', flags: '--single-threaded' }, where),
  );

  test('TypeScript under tsx', async () =>
    isTheSame({ file: 'all.ts', method: 'spawn', flags: '--import tsx' }));

  test.runIf(stripsTypes)('TypeScript by type stripping, on Node 22.18 and newer', async () =>
    isTheSame({ file: 'all.ts', method: 'spawn' }),
  );
});

test('what the settings include is in the report', async () => {
  const settings = { method: 'spawn', include: 'all.ts' };
  const { code, output, names } = await report('child', settings);
  expect([code, names], output).toEqual([0, ['all.ts']]);
});

test('nothing is left of a run that fails', async () => {
  const { code, output, reports } = await report('nowhere', { method: 'spawn' });
  expect([code, existsSync(reports)], output).toEqual([1, false]);
  expect(output).toContain('on purpose');
});
