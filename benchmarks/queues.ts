/**
 * What queues and connections cost, side by side with CPython's and with Node's own means.
 *
 *     pnpm bench:queues              tables, and which goals are met
 *     pnpm bench:queues --quick      the same from few rounds, to see that it runs
 *     pnpm bench:queues --update     into docs/benchmarks.md, at this version of Node
 *
 * As in synchronize.ts the measured programs are compiled, and asked in turn. Those that are compared are neighbours in a
 * round, and a ratio is the median of the rounds' ratios: a machine that is slow for some seconds is so for both.
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
const rounds = options.quick ? 1 : 9;
const scale = options.quick ? 0.1 : 1;

const commands = {
  ours: [process.execPath, here('programs/dist/queues.js')],
  node: [process.execPath, here('programs/dist/queues_node.js')],
  python: python && [python.executable, here('queues.py')],
} as const;

const MB = 2 ** 20;

/** One program that measures one thing. */
interface Cell {
  readonly worker: Worker | undefined;
  readonly words: readonly string[];
  readonly count: number;
  readonly values: number[];
}

function cell(program: keyof typeof commands, words: string, count: number): Cell {
  const command = commands[program] as [string, ...string[]] | undefined;
  return { worker: command && new Worker(command), words: words.split(' '), count, values: [] };
}

const cells = {
  queuePython: cell('python', 'queue', 60_000),
  queueSync: cell('ours', 'queue sync', 1_500_000),
  queueWorker: cell('node', 'queue worker', 800_000),
  queueAsync: cell('ours', 'queue async', 1_200_000),
  queueFork: cell('node', 'queue fork', 60_000),
  tripSync: cell('ours', 'trip sync', 30_000),
  tripAsync: cell('ours', 'trip async', 30_000),
  tripPython: cell('python', 'trip', 20_000),
  tripFork: cell('node', 'trip fork', 30_000),
  bytes: cell('ours', `bytes ${16 * MB}`, 40),
  bytesPython: cell('python', `bytes ${16 * MB}`, 40),
  array: cell('ours', `array ${MB}`, 200),
  copies: cell('ours', `copies ${MB}`, 200),
  arrayFork: cell('node', `array ${MB}`, 50),
};

for (let round = 0; round < rounds; round++) {
  for (const { worker, words, count, values } of Object.values(cells)) {
    if (worker === undefined) continue;
    values.push(...(await worker.ask(...words, Math.max(5, Math.ceil((count * scale) / 5) * 5))));
  }
}
await Promise.all(Object.values(cells).map(({ worker }) => worker?.end()));

type Unit = '/s' | 'GB/s' | 'µs' | 'ms';

function figure(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return '';
  if (unit === '/s') return `${(value / 1000).toFixed(0)} k/s`;
  if (unit === 'GB/s') return `${(value / 1e9).toFixed(2)} GB/s`;
  return `${value.toFixed(unit === 'ms' ? 2 : 1)} ${unit}`;
}

/** How many times better the first is. */
function times(ours: Cell, theirs: Cell, unit: Unit): number {
  const moreIsBetter = unit === '/s' || unit === 'GB/s';
  return median(
    ours.values.map((value, round) => {
      const ratio = value / (theirs.values[round] ?? Number.NaN);
      return moreIsBetter ? ratio : 1 / ratio;
    }),
  );
}

interface Row {
  readonly title: string;
  readonly unit: Unit;
  readonly ours: Cell;
  /** What it is measured against, and by which factor it is to be better. */
  readonly others: readonly (readonly [name: string, cell: Cell, goal?: number])[];
}

const rows: readonly Row[] = [
  {
    title: "`Queue` of `{ i, s: 'hello' }`, `putSync()` and `getSync()`",
    unit: '/s',
    ours: cells.queueSync,
    others: [
      ['CPython', cells.queuePython, 5],
      ['worker_threads', cells.queueWorker, 3],
      ['child_process', cells.queueFork],
    ],
  },
  {
    title: 'the same, `await put()` and `await get()`',
    unit: '/s',
    ours: cells.queueAsync,
    others: [
      ['CPython', cells.queuePython, 5],
      ['worker_threads', cells.queueWorker, 3],
      ['child_process', cells.queueFork],
    ],
  },
  {
    title: '`Connection`, there and back, blocking',
    unit: 'µs',
    ours: cells.tripSync,
    others: [['CPython', cells.tripPython, 1]],
  },
  {
    title: '`Connection`, there and back, awaited',
    unit: 'µs',
    ours: cells.tripAsync,
    others: [['child_process', cells.tripFork, 2]],
  },
  {
    title: '`sendBytes()` of 16 MB',
    unit: 'GB/s',
    ours: cells.bytes,
    others: [['CPython', cells.bytesPython, 1.5]],
  },
  {
    title: '`Float64Array` of 8 MB through a `Queue`',
    unit: 'ms',
    ours: cells.array,
    others: [['child_process', cells.arrayFork, 10]],
  },
  {
    title: 'its two copies alone, at the same time, by no queue',
    unit: 'ms',
    ours: cells.copies,
    others: [],
  },
];

const names = ['CPython', 'worker_threads', 'child_process'];
const tables: Table[] = [
  {
    title: 'Queues and connections, medians',
    columns: ['', 'here', `CPython ${python?.version ?? ''}`, 'worker_threads', 'child_process'],
    rows: rows.map(({ title, unit, ours, others }) => {
      const columns = names.map((name) => others.find(([each]) => each === name)?.[1]);
      const cells = columns.map((cell) => (cell ? figure(median(cell.values), unit) : ''));
      return [title, figure(median(ours.values), unit), ...cells];
    }),
  },
  {
    title: 'Goals',
    columns: ['', 'goal', 'measured', ''],
    rows: rows.flatMap(({ title, unit, ours, others }) =>
      others.flatMap(([name, cell, goal]) => {
        const value = times(ours, cell, unit);
        if (goal === undefined || Number.isNaN(value)) return [];
        const verdict = value >= goal ? 'pass' : 'falls short';
        return [[`${title}, times better than ${name}`, `≥ ${goal}`, value.toFixed(2), verdict]];
      }),
    ),
  },
];
const machine = describeMachine(python);
if (options.update)
  updatePage(
    `queues.ts, Node ${process.versions.node.split('.')[0]}`,
    [machine, ...tables.map(toMarkdown)].join('\n\n'),
  );
console.log([machine, ...tables.map(toText)].join('\n\n'));
