/** The tools of coverage that coverage.ts tries, and what each of them should say of coverage_project/helper.mjs. */

/** What is not covered: the numbers of lines, and those of branches. */
export interface Gaps {
  readonly lines: readonly number[];
  readonly branches: readonly number[];
}

export interface Tool {
  readonly name: string;
  readonly packages: Readonly<Record<string, string>>;
  /** The arguments of node, behind those that it needs for a fork. */
  readonly args: readonly string[];
  /** What it runs by another node, if it does. */
  readonly runs?: string;
  /** vitest's, for coverage. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly right: Gaps;
  /** The methods under which it has only what the parent ran. */
  readonly alone?: readonly string[];
}

/** Lines 8 (`nowhere`) and 15 to 17 (a function that nobody calls). */
const BOTH = { lines: [8, 16, 17], branches: [8] };

/** vitest counts statements, and an `if` as a whole: line 17 has none. */
const BY_STATEMENT = { lines: [8, 16], branches: [5] };
/** The same without what the child runs: lines 3 and 12. */
export const ALONE = { lines: [3, 8, 12, 16], branches: [2, 5] };

const VITEST = ['node_modules/vitest/vitest.mjs', 'run'];
const VITEST4 = { vitest: '4.1.12', '@vitest/coverage-v8': '4.1.12' };
const VITEST5 = { vitest: '5.1.2', '@vitest/coverage-v8': '5.1.2' };
const BY_LIBRARY = { provider: 'custom', customProviderModule: 'multiprocessing/vitest_coverage' };

export const tools: readonly Tool[] = [
  {
    name: 'c8 12.0.0',
    packages: { c8: '12.0.0' },
    args: ['node_modules/c8/bin/c8.js', '--reporter=lcovonly', '--reports-dir=report'],
    runs: 'program.mjs',
    right: BOTH,
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
  },
  {
    name: 'vitest 4.1.12, multiprocessing/vitest_coverage',
    packages: VITEST4,
    args: VITEST,
    settings: BY_LIBRARY,
    right: BY_STATEMENT,
  },
  {
    name: 'vitest 5.1.2, multiprocessing/vitest_coverage',
    packages: VITEST5,
    args: VITEST,
    settings: BY_LIBRARY,
    right: BY_STATEMENT,
  },
  {
    name: 'vitest 5.1.2, v8, autoAttachSubprocess',
    packages: VITEST5,
    args: VITEST,
    settings: { provider: 'v8', autoAttachSubprocess: true },
    right: BY_STATEMENT,
    alone: ['fork, real'], // it takes the files of processes that Node has started
  },
  {
    name: 'vitest 4.1.12, v8',
    packages: VITEST4,
    args: VITEST,
    settings: { provider: 'v8' },
    right: BY_STATEMENT,
    alone: ['spawn', 'forkserver', 'fork, emulated', 'fork, real'],
  },
];

export const methods = {
  spawn: { METHOD: 'spawn' },
  forkserver: { METHOD: 'forkserver' },
  'fork, emulated': { METHOD: 'fork', REAL: 'false' },
  'fork, real': { METHOD: 'fork', REAL: 'true' },
} as const;

/** What the table has in a cell that is right. */
export function cellOf({ alone }: Tool, method: string): string {
  return alone?.includes(method) ? 'right, of the parent alone' : 'right';
}
