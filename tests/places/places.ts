/** Runs a test runner in a project of its own, and looks at what it leaves. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Runner, testFile } from './runners.ts';
import { supervise } from './supervise.ts';

/** How long a runner may take, seconds. */
const LIMIT = 90;

export interface Visit {
  readonly code: number;
  readonly output: string;
  /** How many tests its report calls passed. */
  readonly passed: number;
  /** Each test as often as it has run. */
  readonly runs: readonly string[];
  /** Programs that outlive it, and names in /dev/shm. */
  readonly left: string;
}

/** Writes the files of a runner's project. */
export function fillProject(folder: string, runner: Runner): void {
  for (const name of readdirSync(folder)) {
    if (/^(it\.test|.*\.config)\./.test(name)) rmSync(join(folder, name));
  }
  cpSync(fileURLToPath(new URL('project', import.meta.url)), folder, { recursive: true });
  for (const [name, text] of Object.entries(runner.files ?? {})) {
    writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(folder, runner.file), testFile(runner));
}

/** Runs its tests. @param node the program that is node */
export async function visit(folder: string, runner: Runner, node: string): Promise<Visit> {
  const file = join(folder, 'runs');
  writeFileSync(file, '');
  const added = { PLACES_RUNS: file };
  const { code, stdout, stderr, left } = await supervise(
    folder,
    [node, ...runner.args],
    added,
    LIMIT,
  );
  const output = stdout + stderr;
  return {
    code,
    output,
    passed: Number(runner.passed.exec(output)?.[1] ?? -1),
    runs: readFileSync(file, 'utf8').trim().split('\n').sort(),
    left,
  };
}

/** What every visit has to be. @internal */
export const EXPECTED = {
  code: 0,
  passed: 9,
  runs: ['spawn', 'forkserver', 'fork']
    .flatMap((method) => ['helper', 'own', 'inline'].map((name) => `${method} ${name}`))
    .sort(),
  left: '',
};
