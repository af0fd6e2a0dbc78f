/**
 * What a pool does with what a task does: this library's and others' of Node, each row in a program of its own.
 *
 *     pnpm bench:pool-behaviour                 the table
 *     pnpm bench:pool-behaviour --node PATH     the same on another Node
 *     pnpm bench:pool-behaviour --update        into docs/pool.md
 *
 * The others are installed from npm into a temporary folder, or kept in --folder FOLDER.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describe, install, LIBRARIES, OTHERS, POOLS } from './pool/peers.ts';
import { type Table, toMarkdown, toText, updatePage } from './table.ts';

const { values: options } = parseArgs({
  options: {
    update: { type: 'boolean', default: false },
    node: { type: 'string', default: process.execPath },
    folder: { type: 'string' },
  },
});

/** What a task does, by the names of behaviour.mjs, and the facts that are looked at. */
const ROWS: Readonly<Record<string, readonly [title: string, ...facts: string[]]>> = {
  error: [
    'It throws an error: what arrives',
    'its class',
    'its name and message',
    'its own fields',
    'its cause',
    "the task's stack",
  ],
  thrown: [
    'It throws something else, which arrives as it is',
    '`null`',
    'a string',
    'a `DOMException`',
    'an `AggregateError` of Errors',
  ],
  result: [
    'It returns: what arrives',
    'an instance of a class',
    'Map, Date, BigInt, -0, a cycle',
    'a symbol key',
    'a function of a module',
    'a function that was made there',
    'what cannot go: an error',
    'which names it',
    'and where it is in the result',
    'and the pool goes on',
  ],
  exit: [
    'It calls `process.exit(0)`',
    'the task fails',
    'with the exit code',
    'the pid of the worker',
    'the task and its argument',
    'and was run once',
    'the pool goes on',
  ],
  endless: [
    'It never ends',
    'can be stopped',
    'after, milliseconds',
    'with the reason that was given',
    'and the pool goes on',
    'and the task can tidy up first',
  ],
  timer: [
    'It leaves a timer behind',
    'it fires on time',
    'somebody tells of it',
    'and which task it is of',
  ],
  rejection: [
    'It leaves a promise behind that rejects',
    'the program is told',
    'of the error itself',
    'and which task it was of',
    'and the next task runs',
  ],
  garbage: [
    'Its pool is forgotten',
    'its task ends, and is answered',
    'the program ends by itself',
    'a warning',
  ],
};

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis) console.error('without bullmq: no redis-server is found');
const others = Object.keys(OTHERS).filter((name) => hasRedis || name !== 'bullmq');
const COLUMNS = ['pool', ...LIBRARIES, ...others];
/** Milliseconds for a row, and for the end of the program behind it. */
const LONGEST = 20_000;
const PATIENCE = 4000;

const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'multiprocessing-behaviour-'));

/** Runs a row. @returns what was said of each fact */
function run(library: string, row: string): Promise<ReadonlyMap<string, unknown>> {
  const child = spawn(options.node, ['--expose-gc', 'behaviour.mjs', library, row], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
  });
  let output = '';
  const end = () => {
    try {
      process.kill(-(child.pid as number), 'SIGKILL');
    } catch {
      // all of them have ended
    }
  };
  let timer = setTimeout(end, LONGEST);
  child.stdout.on('data', (data: Buffer) => {
    output += data;
    if (!output.includes('["last"')) return;
    clearTimeout(timer);
    timer = setTimeout(end, PATIENCE);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      end();
      const lines = output.split('\n').filter(Boolean);
      const facts = new Map(lines.map((line) => JSON.parse(line) as [string, unknown]));
      facts.set('the program ends by itself', facts.has('last') && code === 0);
      resolve(facts);
    });
  });
}

const cellOf = (value: unknown) =>
  value === true ? 'yes' : typeof value === 'string' ? value : 'no';

async function rowsOf(row: string): Promise<string[][]> {
  const [title, ...facts] = ROWS[row] as [string, ...string[]];
  const columns: ReadonlyMap<string, unknown>[] = [];
  for (const library of COLUMNS) columns.push(await run(library, row));
  console.error(`${title}: done`);
  const cells = (fact: string) => columns.map((column) => cellOf(column.get(fact)));
  return [
    [`**${title}**`, ...COLUMNS.map(() => '')],
    ...facts.map((fact) => [fact, ...cells(fact)]),
  ];
}

try {
  install(folder);
  const version = spawnSync(options.node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const rows: string[][] = [];
  for (const row of Object.keys(ROWS)) rows.push(...(await rowsOf(row)));
  const table: Table = {
    title: `What a task does, and what becomes of it (Node ${version})`,
    columns: ['', 'here', ...COLUMNS.slice(1)],
    rows,
  };
  const versions = `${describe(POOLS)}, ${describe(OTHERS)}.`;
  if (options.update) updatePage('behaviour', `${toMarkdown(table)}\n\n${versions}`, 'pool.md');
  console.log(`${toText(table)}\n\n${versions}`);
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
