/**
 * Real addons under each start method: used for the first time in the child, or before that by the main module as well. It says
 * which of them have threads of their own, what the library makes of that, and what a plain fork would do.
 *
 *     tsx benchmarks/addons.ts [--update] [--folder FOLDER] [ADDON ...]
 *
 * The addons are installed from npm into a temporary folder, or kept in FOLDER; some are compiled (with the headers beside this
 * node, which takes minutes). --update: into docs/start-methods.md.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { installInto } from './npm.ts';
import { type Table, toMarkdown, toText, updatePage } from './table.ts';

const ADDONS: Readonly<Record<string, string>> = {
  sharp: '0.34.5',
  '@duckdb/node-api': '1.5.6-r.1',
  'onnxruntime-node': '1.30.0',
  lmdb: '3.5.6',
  'classic-level': '3.0.0',
  'better-sqlite3': '12.11.1',
  zeromq: '6.8.0',
  '@parcel/watcher': '2.6.0',
  '@napi-rs/canvas': '1.1.1',
  '@swc/core': '1.16.22',
  snappy: '7.4.3',
  argon2: '0.45.1',
  '@node-rs/argon2': '2.2.1',
  bcrypt: '6.0.0',
  'sodium-native': '5.1.0',
  'node-pty': '1.1.0',
};
/** Their binary is in the package; their script would download another. */
const WITHOUT_SCRIPTS = new Set(['onnxruntime-node']);

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { update: { type: 'boolean', default: false }, folder: { type: 'string' } },
});

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'multiprocessing-addons-'));

function install(): void {
  const installed = existsSync(join(folder, 'node_modules'));
  for (const scripts of installed ? [] : [false, true]) {
    const packages = Object.entries(ADDONS)
      .filter(([name]) => WITHOUT_SCRIPTS.has(name) !== scripts)
      .map(([name, version]) => `${name}@${version}`);
    installInto(folder, packages, { scripts });
  }
  for (const file of ['main.mjs', 'uses.mjs'])
    copyFileSync(here(`addons/${file}`), join(folder, file));
}

interface Ending {
  readonly text: string;
  /** The threads that are none of Node's, as the library names them. */
  readonly threads: string | undefined;
}

/** A start method, `first` or `before`, and whether threads are allowed. */
type Way = readonly string[];

function run(addon: string, way: Way): Ending {
  const flags = way[0] === 'fork' ? ['--single-threaded'] : [];
  const args = [...flags, 'main.mjs', addon, ...way];
  const { stdout, stderr, signal } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, MULTIPROCESSING: import.meta.resolve('multiprocessing') },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  const found = /(?:copies|Node's): (.*?)\.(?: Its children| So this fork|$)/m.exec(stderr);
  return { text: textOf(stdout, stderr, signal), threads: found?.[1] };
}

function textOf(stdout: string, stderr: string, signal: string | null): string {
  if (signal !== null) return 'the program hangs';
  if (stdout === '') return `fails: ${/^\w*Error.*$/m.exec(stderr)?.[0] ?? stderr.slice(0, 80)}`;
  const { hangs, exitcode, emulated } = JSON.parse(stdout) as {
    hangs: boolean;
    exitcode: number;
    emulated: boolean;
  };
  if (hangs) return '**hangs**';
  if (exitcode !== 0) return `**exit code ${exitcode}**`;
  if (emulated) return 'well, emulated';
  return /ForkServerWarning/.test(stderr) ? 'well, spawned' : 'well';
}

const WAYS: readonly Way[] = [
  ['spawn', 'first'],
  ['spawn', 'before'],
  ['forkserver', 'first'],
  ['forkserver', 'before'],
  ['fork', 'first'],
  ['fork', 'before'],
];
const ALLOWED: readonly Way[] = [
  ['forkserver', 'before', 'allow'],
  ['fork', 'before', 'allow'],
];

function rowOf(addon: string): string[] {
  const endings = WAYS.map((way) => run(addon, way));
  const threads = endings.find((ending) => ending.threads !== undefined)?.threads;
  const allowed = threads === undefined ? [] : ALLOWED.map((way) => run(addon, way).text);
  const cells = [...new Set(allowed)];
  const row = [
    `${addon} ${ADDONS[addon]}`,
    threads ?? 'none',
    ...endings.map(({ text }) => text),
    cells.join(', ') || 'well',
  ];
  console.error(row.join(' | '));
  return row;
}

try {
  install();
  const names = positionals.length > 0 ? positionals : Object.keys(ADDONS);
  const both = (method: string) => [`${method}, first`, `${method}, before`];
  const table: Table = {
    title: 'A child that uses an addon',
    columns: [
      'addon',
      'threads of its own',
      ...['`spawn`', '`forkserver`', 'a real `fork`'].flatMap(both),
      'before, with `allowThreads`',
    ],
    rows: names.map(rowOf),
  };
  console.log(toText(table));
  if (options.update)
    updatePage('addons', `${toMarkdown(table)}\n\n${describeMachine()}`, 'start-methods.md');
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
