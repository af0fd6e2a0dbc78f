/**
 * Test runners. Under one the main module is the runner or the file of tests itself, and a child that imported that would
 * run all tests once more. No counterpart in CPython, whose runners import what they test. Deviations: D-123, D-124.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { argv, writesCoverage } from '@multiprocessing/posix';

/** What runners tell their workers by: who has them is taken for one. */
const VARIABLES =
  /^(NODE_TEST_CONTEXT|NODE_TEST_WORKER_ID|JEST_WORKER_ID|MOCHA_WORKER_ID|TINYPOOL_WORKER_ID|VITEST|VITEST_.*)$/;

/** The environment of this process without what is the test runner's own. @internal */
export function environmentOfChildren(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  if (!entries.some(([name]) => VARIABLES.test(name))) return process.env;
  return Object.fromEntries(entries.filter(([name]) => !VARIABLES.test(name)));
}

/** Whether this process runs the tests of Node's own runner, started by `node --test` or as `node file.test.js`. */
function runsNodeTests(): boolean {
  if (process.env.NODE_TEST_CONTEXT !== undefined) return true;
  const { moduleLoadList = [] } = process as { moduleLoadList?: string[] };
  return moduleLoadList.includes('NativeModule test');
}

/** Whether a test runner has started this process, or is loaded in it. */
function underRunner(): boolean {
  const { JEST_WORKER_ID, MOCHA_WORKER_ID, VITEST } = process.env;
  if (JEST_WORKER_ID !== undefined || MOCHA_WORKER_ID !== undefined) return true;
  if (VITEST !== undefined || runsNodeTests()) return true;
  const { describe, it } = globalThis as { describe?: unknown; it?: unknown };
  if (typeof describe === 'function' && typeof it === 'function') return true;
  return /[\\/]node_modules[\\/](mocha|ava)[\\/]/.test(started());
}

/** The file that was started, behind the links of node_modules/.bin. */
function started(): string {
  try {
    return realpathSync(argv[1] ?? '');
  } catch {
    return '';
  }
}

/**
 * Whether somebody counts which lines and branches of this process run: Node itself, or vitest or jest by a session of the inspector.
 * Of jest it is not known; it may.
 * @internal
 */
export function coverageIsTaken(): boolean {
  if (writesCoverage || process.env.JEST_WORKER_ID !== undefined) return true;
  const { __vitest_worker__: worker } = globalThis as {
    __vitest_worker__?: { config?: { coverage?: { enabled?: boolean } } };
  };
  return worker?.config?.coverage?.enabled === true;
}

const known = new Map<string, boolean>();

/**
 * Whether a file holds tests that this process runs: by its name, or because it registers some.
 * @param path of a file
 * @internal
 */
export function isTestFile(path: string): boolean {
  if (!underRunner()) return false;
  let answer = known.get(path);
  if (answer === undefined) {
    answer = /[.\-_](test|spec)\.[cm]?[jt]sx?$/.test(path) || registersTests(path);
    known.set(path, answer);
  }
  return answer;
}

/** A call at the beginning of a line, with a title or a class and a function: a method of such a name is none. */
const REGISTERS =
  /^\s*(await\s+)?(describe|it|test|suite|specify|context)(\.\w+)*(\s*\(\s*(['"`]|[\w.$]+,\s*(async\b|function\b|\())|\.each\b)/m;

function registersTests(path: string): boolean {
  try {
    const source = readFileSync(path, 'utf8');
    return REGISTERS.test(source);
  } catch {
    return false; // no file: nothing that could be imported
  }
}
