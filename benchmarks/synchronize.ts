/**
 * What locks, events and shared arrays cost, side by side with CPython's.
 *
 *     pnpm bench:locks              tables, and which goals are met
 *     pnpm bench:locks --quick      the same from few rounds, to see that it runs
 *     pnpm bench:locks --update     into docs/benchmarks.md
 *
 * As in start.ts the measured programs are compiled, and asked in turn.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, findPython } from './machine.ts';
import { median, type Table, toMarkdown, toText, updatePage } from './table.ts';
import { Worker } from './worker.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
  },
});

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const python = findPython();
/** For each row a program of its own: most programs take one kind of lock again and again. */
const start = () => new Worker([process.execPath, here('programs/dist/synchronize.js')]);
const ours = start();
const theirs = python && new Worker([python.executable, here('synchronize.py')]);
const rounds = options.quick ? 3 : 15;
const scale = options.quick ? 0.1 : 1;

interface Row {
  readonly title: string;
  readonly words: readonly string[];
  readonly count: number;
  readonly unit: string;
  readonly worker: Worker;
  readonly ours: number[];
  readonly theirs: number[];
}

function row(title: string, words: string, count: number, unit: string): Row {
  return { title, words: words.split(' '), count, unit, worker: start(), ours: [], theirs: [] };
}

const rows = {
  lock: row('`Lock`, `acquireSync()` and `release()`, uncontended', 'pair Lock', 1_000_000, 'ns'),
  rlock: row('`RLock`, the same', 'pair RLock', 1_000_000, 'ns'),
  semaphore: row('`Semaphore(1)`, the same', 'pair Semaphore', 1_000_000, 'ns'),
  value: row(
    'two processes, `with value.get_lock(): value.value += 1`',
    'add Value',
    100_000,
    '/s',
  ),
  cell: row('two processes, a `Lock` and a `RawArray`', 'add Lock', 300_000, '/s'),
  pingpong: row('two events, there and back', 'pingpong', 3000, 'µs'),
};

const sums: number[] = [];
const wakes: number[] = [];
const turns: number[] = [];
for (let round = 0; round < rounds; round++) {
  for (const { words, count, worker, ours: mine, theirs: other } of Object.values(rows)) {
    const n = Math.ceil(count * scale);
    mine.push(...(await worker.ask(...words, n)));
    if (theirs !== undefined) other.push(...(await theirs.ask(...words, n)));
  }
  const [plain, shared] = (await ours.ask('sum', 10_000_000)) as [number, number];
  sums.push(shared / plain);
  wakes.push(...(await ours.ask('wake', Math.ceil(200 * scale))));
  turns.push(...(await ours.ask('turns', Math.ceil(5000 * scale))));
}
const workers = [ours, theirs, ...Object.values(rows).map(({ worker }) => worker)];
await Promise.all(workers.map((worker) => worker?.end()));

const figure = (value: number, unit: string) => {
  if (Number.isNaN(value)) return '';
  return unit === '/s' ? `${(value / 1e6).toFixed(2)} M/s` : `${value.toFixed(1)} ${unit}`;
};
const times = ({ ours, theirs, unit }: Row) =>
  unit === '/s' ? median(ours) / median(theirs) : median(theirs) / median(ours);

interface Goal {
  readonly title: string;
  readonly limit: string;
  readonly value: number;
  readonly met: boolean;
}
const atLeast = (title: string, value: number, limit: number): Goal => {
  return { title, limit: `≥ ${limit}`, value, met: value >= limit };
};
const atMost = (title: string, value: number, limit: number): Goal => {
  return { title, limit: `≤ ${limit}`, value, met: value <= limit };
};
const goals = [
  atLeast("an uncontended `Lock`, how many times faster than CPython's", times(rows.lock), 4),
  atLeast('two processes add to a `Value`, how many times as often', times(rows.value), 2),
  atLeast('two processes add with a `Lock`, how many times as often', times(rows.cell), 2),
  atLeast("events there and back, how many times faster than CPython's", times(rows.pingpong), 1),
  atMost('sum of a `RawArray` of 10 million doubles, of an ordinary one', median(sums), 1.1),
  atMost('`await event.wait()`, milliseconds from `set()`, median', median(wakes) / 1000, 1),
  atMost(
    'turns of others that anybody waits for a `Lock`, of 8 processes',
    Math.max(...turns),
    100,
  ),
].filter(({ value }) => !Number.isNaN(value));

const tables: Table[] = [
  {
    title: 'Locks and events, medians',
    columns: ['', 'here', `CPython ${python?.version ?? ''}`, 'times faster'],
    rows: Object.values(rows).map((row) => [
      row.title,
      figure(median(row.ours), row.unit),
      figure(median(row.theirs), row.unit),
      Number.isNaN(times(row)) ? '' : times(row).toFixed(1),
    ]),
  },
  {
    title: 'Goals',
    columns: ['', 'goal', 'measured', ''],
    rows: goals.map(({ title, limit, value, met }) => {
      return [title, limit, value.toFixed(2), met ? 'pass' : 'falls short'];
    }),
  },
];
const machine = describeMachine(python);
if (options.update) updatePage('synchronize.ts', [machine, ...tables.map(toMarkdown)].join('\n\n'));
console.log([machine, ...tables.map(toText)].join('\n\n'));
