/**
 * A function that first runs in a forked child is compiled there, in each child anew (posix/ffi/compiled.ts). V8 itself
 * tells what it compiles.
 */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { forkAvailable } from 'multiprocessing/os';
import { expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const CHILDREN = 6;

/** One line of V8's log: `function,WHAT,SCRIPT,START,END,MILLISECONDS,MICROSECOND,NAME`. */
type Line = readonly string[];

/** The logs of all node processes that a program has started. A forked child goes on with the log of its parent. */
async function logsOf(
  method: 'forkserver' | 'fork' | 'emulated' | 'spawn',
  target: string,
): Promise<Line[][]> {
  const directory = scratchFile('logs');
  mkdirSync(directory);
  const words = [method === 'emulated' ? 'fork' : method, String(CHILDREN), target];
  const { stderr, stdout } = await runProgram('starts', words, {
    execArgv: ['--log-function-events', `--logfile=${directory}/%p.log`],
    ...(method === 'fork' && { method }),
  });
  expect({ stderr, stdout }).toEqual({
    stderr: '',
    stdout: `${JSON.stringify(Array(CHILDREN).fill(0))}\n`,
  });
  return readdirSync(directory).map((name) =>
    readFileSync(join(directory, name), 'utf8')
      .split('\n')
      .map((line) => line.split(',')),
  );
}

/** What each child has compiled of some scripts: all that follows its first function of our own. */
function compiledByChildren(log: readonly Line[], scripts: RegExp): string[][] {
  const paths = new Map(
    log.filter(([kind]) => kind === 'script-details').map(([, id, path]) => [id, path ?? '']),
  );
  const children: string[][] = [];
  for (const [kind, what, id, start, end, , , name] of log) {
    if (kind !== 'function') continue;
    if (what === 'first-execution' && name === 'waitForGo') children.push([]);
    const path = paths.get(id) ?? '';
    if (what !== 'interpreter' || !scripts.test(path)) continue;
    children.at(-1)?.push(`${name} (${path}, ${start} to ${end})`);
  }
  return children;
}

const SCRIPTS = { 'the library': /\/bundle\.cjs$/, 'the library or Node': /\/bundle\.cjs$|^node:/ };

test.skipIf(!forkAvailable().available).each([
  ['forkserver', 'the library or Node', 'empty'],
  ['forkserver', 'the library or Node', 'later'],
  ['fork', 'the library or Node', 'empty'],
  ['emulated', 'the library', 'inline'],
  ['fork', 'the library', 'later'], // Node's functions that keep its parent's event loop from it compile in their use alone
] as const)(
  'no child of %s compiles a function of %s for a target that is %s',
  async (method, whose, target) => {
    const logs = await logsOf(method, target);
    const children = logs.flatMap((log) => compiledByChildren(log, SCRIPTS[whose]));
    expect(children.length).toBeGreaterThanOrEqual(CHILDREN); // some are thrown away and made again
    // Their parent goes on in the same log, but compiles once. What a child compiles, each of them compiles.
    const all = children.flat();
    expect(all.filter((name, i) => all.indexOf(name) !== i)).toEqual([]);
  },
);

// A child with nothing but its parent's code cache: what its parent could practise is in there (popen/spawn/code_cache.ts).
test('no spawned child compiles what reads a message', async () => {
  const logs = await logsOf('spawn', 'empty');
  const children = logs.map(compiledBySpawned).filter((names) => names.includes('spawnMain'));
  expect(children.length).toBe(CHILDREN);
  const reading =
    /^(loadsFromParent|loadWith|Unpickler|PickleReader|value|object|reduce|global|takePending)$/;
  for (const names of children) {
    expect(names).toContain('readProcess'); // that log says what is compiled
    expect(names.filter((name) => reading.test(name))).toEqual([]);
  }
});

function compiledBySpawned(log: readonly Line[]): string[] {
  const ids = log
    .filter(([kind, , path]) => kind === 'script-details' && path?.endsWith('/bundle.cjs'))
    .map(([, id]) => id);
  return log
    .filter(([kind, what, id]) => kind === 'function' && what === 'interpreter' && ids.includes(id))
    .map((line) => line[7] ?? '');
}
