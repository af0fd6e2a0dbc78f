/** Runs a test runner in a project of its own, in a pid namespace where there can be one, and looks at what it leaves. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Runner, testFile } from './runners.ts';

/** How long a runner may take, seconds. It is ended then with all that it has started. */
const LIMIT = 90;

const NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** Whether this user may have a pid namespace. */
function canIsolate(): boolean {
  try {
    execFileSync(NAMESPACE[0] as string, [...NAMESPACE.slice(1), 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('no pid namespace here (unshare): what outlives its runner is not ended');
    return false;
  }
}

let isolates: boolean | undefined;

/** Runs what stands behind it, then says how it ended, and which programs live on once they had time to end. */
const SUPERVISOR = `ulimit -u 600; "$@"; echo "ended with $?"
others() { cat /proc/[0-9]*/comm 2>/dev/null | grep -v -x -e bash -e cat -e grep -e timeout -e sleep -e tr; }
[ $$ = 1 ] || exit 0
i=0; while [ -n "$(others)" ] && [ $i -lt 100 ]; do i=$((i + 1)); sleep 0.05; done
echo "left: $(others | tr '\\n' ' ')"`;

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
  isolates ??= canIsolate();
  const file = join(folder, 'runs');
  writeFileSync(file, '');
  const before = segments();
  const command = [
    'bash',
    '-c',
    SUPERVISOR,
    'bash',
    'timeout',
    String(LIMIT),
    node,
    ...runner.args,
  ];
  const [program, ...args] = isolates ? [...NAMESPACE, ...command] : command;
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(VITEST|NODE_TEST|NODE_OPTIONS|npm_)/.test(name),
    ),
  );
  const child = spawn(program as string, args, {
    cwd: folder,
    env: { ...env, PLACES_RUNS: file, FORCE_COLOR: '0', NO_COLOR: '1', CI: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  await once(child, 'close');
  return {
    code: Number(/^ended with (\d+)$/m.exec(output)?.[1] ?? -1),
    output,
    passed: Number(runner.passed.exec(output)?.[1] ?? -1),
    runs: readFileSync(file, 'utf8').trim().split('\n').sort(),
    left: [/^left: (.*)$/m.exec(output)?.[1]?.trim() ?? '', ...newOf(before)].join(' ').trim(),
  };
}

function segments(): ReadonlySet<string> {
  return new Set(readdirSync('/dev/shm'));
}

function newOf(before: ReadonlySet<string>): string[] {
  return readdirSync('/dev/shm').filter((name) => !before.has(name));
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
