/**
 * Real packages in a child, under each start method: captured by an inline target, from an ES module and from CommonJS, and
 * imported by the main module for a target that it exports. The child has to find what its parent finds.
 *
 *     pnpm bench:packages [--update] [--folder FOLDER] [PACKAGE ...]
 *
 * The packages and the library, as it is packed, are installed from npm into a temporary folder, or kept in FOLDER; one is
 * compiled. --update: into docs/start-methods.md.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { installInto } from './npm.ts';
import { MAINS, PACKAGES, type Use } from './packages/programs.ts';
import { type Table, toMarkdown, toText, updatePage } from './table.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { update: { type: 'boolean', default: false }, folder: { type: 'string' } },
});

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'multiprocessing-packages-'));

function install(): void {
  if (!existsSync(join(folder, 'node_modules'))) {
    const packages = Object.entries(PACKAGES).map(([name, { version }]) => `${name}@${version}`);
    installInto(folder, packages);
  }
  const manifest = readFileSync(here('../packages/multiprocessing/package.json'), 'utf8');
  const { name, version } = JSON.parse(manifest) as { name: string; version: string };
  installInto(folder, [here(`../dist/${name}-${version}.tgz`)]);
  copyFileSync(here('packages/start.mjs'), join(folder, 'start.mjs'));
}

/** How a program is run. */
interface Way {
  readonly title: string;
  readonly method: string;
  readonly flags?: readonly string[];
}

const WAYS: readonly Way[] = [
  { title: '`spawn`', method: 'spawn' },
  { title: '`forkserver`', method: 'forkserver' },
  { title: '`fork`, emulated', method: 'fork' },
  { title: 'a real `fork`', method: 'fork', flags: ['--single-threaded'] },
];

/** What start.mjs prints. */
interface Ending {
  readonly hangs: boolean;
  readonly exitcode: number;
  readonly emulated: boolean;
  readonly right: boolean;
  readonly found: string;
}

/** @returns 'well', or what is not */
function run(main: string, { method, flags = [] }: Way): string {
  const { stdout, stderr, signal } = spawnSync(process.execPath, [...flags, main, method], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const error = /^\s*\w*(?:Error|Exception)\b.*$/m.exec(stderr)?.[0].trim() ?? stderr.slice(0, 80);
  if (signal !== null) return `the program ended by ${signal}: ${error}`;
  if (stdout === '') return `the program fails: ${error}`;
  const ending = JSON.parse(stdout) as Ending;
  if (ending.hangs) return '**hangs**';
  if (ending.exitcode !== 0) return `**exit code ${ending.exitcode}**: ${error}`;
  if (!ending.right) return `**found ${ending.found}**`;
  const real = flags.length > 0;
  if (method === 'fork' && ending.emulated !== !real) {
    return real ? 'well, emulated' : '**not emulated**';
  }
  return /ForkServerWarning/.test(stderr) ? 'well, spawned' : 'well';
}

/** The cell of one main module: 'well' if it is so in every way. */
function cellOf(main: string, use: Use): string {
  const text = MAINS[main]?.(use) ?? '';
  writeFileSync(join(folder, main), text);
  const endings = WAYS.map((way) => ({ title: way.title, text: run(main, way) }));
  const others = endings.filter(({ text }) => text !== 'well');
  return others.map(({ title, text }) => `${title}: ${text}`).join('; ') || 'well';
}

function rowOf(name: string): string[] {
  const use = PACKAGES[name];
  if (use === undefined) throw new Error(`${name} is none of ${Object.keys(PACKAGES).join(', ')}`);
  const cells = Object.keys(MAINS).map((main) => cellOf(main, use));
  const row = [`${name} ${use.version}`, use.kind, ...cells];
  console.error(row.join(' | '));
  return row;
}

try {
  install();
  const names = positionals.length > 0 ? positionals : Object.keys(PACKAGES);
  const table: Table = {
    title: 'A child that uses a package',
    columns: [
      'package',
      'its files',
      'inline, from an ES module',
      'inline, from CommonJS',
      'exported by an ES module',
    ],
    rows: names.map(rowOf),
  };
  console.log(toText(table));
  if (options.update)
    updatePage('packages', `${toMarkdown(table)}\n\n${describeMachine()}`, 'start-methods.md');
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
