/**
 * What it costs a program to load the library as it is packed: by `import`, by `require`, and by `require` of the ES
 * module, which is what a CommonJS program would get were there no CommonJS entry. Each beside an empty program of its
 * kind, from start to exit, in turn.
 *
 *     pnpm bench:import [--quick] [--update]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './machine.ts';
import { median, type Table, toMarkdown, toText, updatePage } from './table.ts';

delete process.env.NODE_EXTRA_CA_CERTS;

const ROUNDS = process.argv.includes('--quick') ? 10 : 100;

const packed = fileURLToPath(
  new URL('../packages/multiprocessing/dist/package/dist/bundle/', import.meta.url),
);

const PROGRAMS = {
  'empty.mjs': '',
  'import.mjs': `import '${packed}index.js';`,
  'empty.cjs': '',
  'require.cjs': `require('${packed}index.cjs');`,
  'require_module.cjs': `require('${packed}index.js');`,
};
type Program = keyof typeof PROGRAMS;

const folder = mkdtempSync(join(tmpdir(), 'multiprocessing-import-'));
for (const [name, text] of Object.entries(PROGRAMS)) writeFileSync(join(folder, name), text);

/** Milliseconds from the call to 'exit'. */
async function time(program: Program): Promise<number> {
  const start = performance.now();
  await once(spawn(process.execPath, [join(folder, program)], { stdio: 'inherit' }), 'exit');
  return performance.now() - start;
}

const programs = Object.keys(PROGRAMS) as Program[];
const rounds: Record<Program, number>[] = [];
for (let i = -1; i < ROUNDS; i++) {
  const times = {} as Record<Program, number>;
  for (const program of programs) times[program] = await time(program);
  if (i >= 0) rounds.push(times); // the first warms up
}
rmSync(folder, { recursive: true });

function row(title: string, program: Program, empty: Program): string[] {
  const whole = median(rounds.map((times) => times[program]));
  const part = median(rounds.map((times) => times[program] - times[empty]));
  return [title, whole.toFixed(1), part.toFixed(1)];
}

const table: Table = {
  title: `Loading the library, milliseconds, medians of ${ROUNDS} rounds`,
  columns: ['', 'from start to exit', 'more than an empty program in the same round'],
  rows: [
    row("`import 'multiprocessing'`", 'import.mjs', 'empty.mjs'),
    row("`require('multiprocessing')`", 'require.cjs', 'empty.cjs'),
    row('`require()` of the ES module', 'require_module.cjs', 'empty.cjs'),
  ],
};
console.log([describeMachine(), toText(table)].join('\n\n'));
if (process.argv.includes('--update')) {
  updatePage('import.ts', [describeMachine(), toMarkdown(table)].join('\n\n'));
}
