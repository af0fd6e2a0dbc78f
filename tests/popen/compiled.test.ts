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
async function logsOf(method: 'forkserver' | 'fork', target: string): Promise<Line[][]> {
  const directory = scratchFile('logs');
  mkdirSync(directory);
  const { stderr, stdout } = await runProgram('starts', [method, String(CHILDREN), target], {
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

/** What each child has compiled of the library: all that follows its first function of our own. */
function compiledByChildren(log: readonly Line[]): string[][] {
  const script = log.find(
    ([kind, , path]) => kind === 'script-details' && /\/bundle\.cjs$/.test(path ?? ''),
  );
  const children: string[][] = [];
  for (const [kind, what, id, start, end, , , name] of log) {
    if (kind !== 'function' || id !== script?.[1]) continue;
    if (what === 'first-execution' && name === 'waitForGo') children.push([]);
    if (what === 'interpreter') children.at(-1)?.push(`${name} (${start} to ${end})`);
  }
  return children;
}

test.skipIf(!forkAvailable().available).each([
  ['forkserver', 'empty'],
  ['forkserver', 'later'],
  ['fork', 'empty'],
  ['fork', 'later'],
] as const)(
  'no child of %s compiles a function of the library for a target that is %s',
  async (method, target) => {
    const children = (await logsOf(method, target)).flatMap(compiledByChildren);
    expect(children.length).toBeGreaterThanOrEqual(CHILDREN); // some are thrown away and made again
    // Their parent goes on in the same log, but compiles once. What a child compiles, each of them compiles.
    const all = children.flat();
    expect(all.filter((name, i) => all.indexOf(name) !== i)).toEqual([]);
  },
);
