/**
 * What tools of coverage say of a program and its children: by `pnpm test:coverage [--node PATH]`. Each with the packed
 * library in an empty project. A branch of the helper runs in the child only, another in the parent only, one nowhere, and each
 * report must say just that. Prints the table of docs/coverage.md.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { add, makeScratch, tarball } from '../package/projects.ts';

const { values } = parseArgs({ options: { node: { type: 'string', default: process.execPath } } });

/** What is not covered: the numbers of lines, and those of branches. */
interface Gaps {
  readonly lines: readonly number[];
  readonly branches: readonly number[];
}

interface Tool {
  readonly name: string;
  readonly packages: Readonly<Record<string, string>>;
  /** The arguments of node, behind those that it needs for a fork. */
  readonly args: readonly string[];
  readonly right: Gaps;
  /** What a right cell says. */
  readonly says: string;
}

/** Lines 8 (`nowhere`) and 15 to 17 (a function that nobody calls). */
const BOTH = { lines: [8, 16, 17], branches: [8] };

const tools: readonly Tool[] = [
  {
    name: 'c8 12.0.0',
    packages: { c8: '12.0.0' },
    args: ['node_modules/c8/bin/c8.js', '--reporter=lcovonly', '--reports-dir=report', values.node],
    right: BOTH,
    says: 'right',
  },
  {
    name: 'node --test --experimental-test-coverage',
    packages: {},
    args: [
      '--test',
      '--experimental-test-coverage',
      '--test-reporter=lcov',
      '--test-reporter-destination=report/lcov.info',
      'node_tests.mjs',
    ],
    right: { ...BOTH, branches: [7] }, // it begins behind the brace
    says: 'right',
  },
  {
    name: 'vitest 4.1.12, v8',
    packages: { vitest: '4.1.12', '@vitest/coverage-v8': '4.1.12' },
    args: ['node_modules/vitest/vitest.mjs', 'run'],
    // It counts in its own workers only: what the child runs (lines 3 and 12) is not in its report.
    right: { lines: [3, 8, 12, 16], branches: [2, 5] },
    says: 'right, of the parent alone',
  },
];

const methods = {
  spawn: { METHOD: 'spawn' },
  forkserver: { METHOD: 'forkserver' },
  'fork, emulated': { METHOD: 'fork', REAL: 'false' },
  'fork, real': { METHOD: 'fork', REAL: 'true' },
} as const;

const FORK = '--single-threaded';
const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const project = makeScratch();
writeFileSync(join(project, 'package.json'), '{ "private": true }\n');
add('npm', project, {
  multiprocessing: tarball,
  ...Object.assign({}, ...tools.map(({ packages }) => packages)),
});
cpSync(here('coverage_project'), project, { recursive: true });
cpSync(here('../fixtures/coverage/helper.mjs'), join(project, 'helper.mjs'));

/** Runs a tool, and reads its report. */
function measure({ args }: Tool, env: Readonly<Record<string, string>>): Gaps | string {
  const flags = env.REAL === 'true' ? [FORK] : [];
  const isC8 = args.at(-1) === values.node;
  const program = isC8 ? [...flags, 'program.mjs'] : [];
  rmSync(join(project, 'report'), { recursive: true, force: true });
  mkdirSync(join(project, 'report'));
  const { VITEST: _, NODE_V8_COVERAGE: __, ...own } = process.env;
  const { status, stdout, stderr } = spawnSync(
    values.node,
    [...(args[0] === '--test' ? flags : []), ...args, ...program],
    { cwd: project, env: { ...own, ...env, FLAGS: flags.join(' ') }, encoding: 'utf8' },
  );
  if (status !== 0) return `ended with ${status}:\n${stdout}${stderr}`;
  return readGaps(readFileSync(join(project, 'report/lcov.info'), 'utf8'));
}

function readGaps(report: string): Gaps {
  const section = report.split('end_of_record').find((text) => /^SF:.*helper\.mjs$/m.test(text));
  const all = [...(section ?? '').matchAll(/^(DA|BRDA):(\d+),(?:\d+,\d+,)?(\d+)/gm)];
  const gaps = (kind: string) =>
    all
      .filter(([, key, , count]) => key === kind && count === '0')
      .map(([, , line]) => Number(line));
  if (all.length === 0) return { lines: [-1], branches: [-1] };
  return { lines: gaps('DA'), branches: gaps('BRDA') };
}

let wrong = 0;
console.log(`| | ${Object.keys(methods).join(' | ')} |`);
console.log(`| --- |${' --- |'.repeat(Object.keys(methods).length)}`);
for (const tool of tools) {
  const cells = Object.values(methods).map((env) => {
    const found = measure(tool, env);
    if (JSON.stringify(found) === JSON.stringify(tool.right)) return tool.says;
    wrong++;
    console.error(tool.name, env, typeof found === 'string' ? found.slice(0, 2000) : found);
    return '**wrong**';
  });
  console.log(`| ${tool.name} | ${cells.join(' | ')} |`);
}
process.exit(wrong > 0 ? 1 : 0);
