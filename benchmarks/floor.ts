/**
 * What the start of a child costs that is nothing but Node's own: the floor under `spawn`, which is a fresh node that
 * imports the program's main module. Beside it `spawn` itself, in the same run.
 *
 *     pnpm bench:floor [ROUNDS]
 *
 * NODE_EXTRA_CA_CERTS is left out: it makes each start of Node 20 three times as long, and all ratios better.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeMachine } from './machine.ts';
import { quantile, toText } from './table.ts';
import { Worker } from './worker.ts';

delete process.env.NODE_EXTRA_CA_CERTS;

const ROUNDS = Number(process.argv[2] ?? 60);

/** As main.mjs, the main module of programs/client.ts with all of its own taken out: what it imports, and no more. */
const FILES = {
  'empty.cjs': '',
  'empty.mjs': '',
  'import_empty.cjs': "import('./empty.mjs').then(() => process.exit(0));",
  'main.mjs': "import 'node:fs';\nimport * as library from 'library';\nexport { library };",
  'import_main.cjs': "import('./main.mjs').then(() => process.exit(0));",
  'node_modules/library/package.json': '{ "name": "library", "exports": "./index.mjs" }',
  'node_modules/library/index.mjs': 'export const nothing = undefined;',
};

const folder = mkdtempSync(join(tmpdir(), 'mp-floor-'));
for (const [name, text] of Object.entries(FILES)) {
  mkdirSync(join(folder, dirname(name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

const client = fileURLToPath(new URL('programs/dist/client.js', import.meta.url));
const library = new Worker([process.execPath, client]);

/** Milliseconds from the call to 'exit'. */
async function time(...argv: string[]): Promise<number> {
  const start = performance.now();
  await once(spawn(process.execPath, argv, { cwd: folder, stdio: 'inherit' }), 'exit');
  return performance.now() - start;
}

const contestants: readonly (readonly [title: string, round: () => Promise<number>])[] = [
  ['`node -e 0`', () => time('-e', '0')],
  ['`node empty.cjs`', () => time('empty.cjs')],
  ['`node empty.mjs`', () => time('empty.mjs')],
  ['a CommonJS main that imports an empty ES module', () => time('import_empty.cjs')],
  ['the same, of one that imports node:fs and a package', () => time('import_main.cjs')],
  ['`spawn`', async () => (await library.ask('measure', 'spawn', 1))[0] ?? Number.NaN],
];

const times = contestants.map((): number[] => []);
for (const [, round] of contestants) await round(); // to warm up
for (let i = 0; i < ROUNDS; i++) {
  for (const [c, [, round]] of contestants.entries()) times[c]?.push(await round());
}
await library.end();
rmSync(folder, { recursive: true });

const reference = quantile(times[0] ?? [], 0.5);
const table = {
  title: `From start to exit, milliseconds, ${ROUNDS} rounds in turn`,
  columns: ['', 'quartile', 'median', 'of `node -e 0`'],
  rows: contestants.map(([title], i) => {
    const [quartile, median] = [0.25, 0.5].map((q) => quantile(times[i] ?? [], q)) as [
      number,
      number,
    ];
    return [title, quartile.toFixed(1), median.toFixed(1), (median / reference).toFixed(2)];
  }),
};
console.log([describeMachine(), toText(table)].join('\n\n'));
