/**
 * Runs all soak tests, one after another, with their full counts. Its exit code is 1 if one of them fails.
 *
 *     pnpm soak              about a quarter of an hour
 *     pnpm soak --update     the figures go to docs/benchmarks.md too
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describeMachine } from '../machine.ts';
import { updatePage } from '../table.ts';

const NAMES = [
  'forkserver_starts',
  'fork_live',
  'random_kills',
  'parent_kill',
  'forkserver_kill',
  'locks',
  'queues',
  'managers',
  'queue_wakeups',
  'pool',
  'large_arguments',
  'values',
  'flipping',
];

/** Runs one of them as its own program. Returns the last line that it printed, or undefined if it failed. */
async function run(name: string): Promise<string | undefined> {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    output += chunk;
  });
  const [code] = await once(child, 'close');
  return code === 0 ? output.trimEnd().split('\n').at(-1) : undefined;
}

const rows: string[] = [];
const failed: string[] = [];
for (const name of NAMES) {
  const line = await run(name);
  if (line === undefined) failed.push(name);
  const figures = line?.replace(/^\w+: /, '') ?? 'FAILED';
  rows.push(`| [${name}](../benchmarks/soak/${name}.ts) | ${figures} |`);
}
if (process.argv.includes('--update')) {
  const table = ['| | |', '| --- | --- |', ...rows].join('\n');
  updatePage('soak', `${describeMachine()}\n\n${table}`);
}
if (failed.length > 0) {
  console.error(`FAILED: ${failed.join(', ')}`);
  process.exitCode = 1;
}
