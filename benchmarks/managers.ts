/**
 * What managers cost, side by side with CPython's in one run.
 *
 *     pnpm bench:managers              the table, and which goals are met
 *     pnpm bench:managers --quick      the same from few rounds, to see that it runs
 *     pnpm bench:managers --update     into docs/managers.md
 *
 * As in queues.ts the measured programs are asked in turn, and a ratio is the median of the rounds' ratios.
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
const rounds = options.quick ? 1 : 7;
const scale = options.quick ? 0.1 : 1;

const ours = new Worker([process.execPath, here('programs/dist/managers.js')]);
const theirs = python && new Worker([python.executable, here('managers.py')]);

interface Row {
  readonly title: string;
  readonly unit: 'µs' | '/s' | 'ms';
  readonly words: readonly [what: string, how: string, count: number];
  /** CPython's own words, if they are others. */
  readonly python: readonly [what: string, count: number];
  /** Our figure to CPython's: at most that of times, at least that of rates. */
  readonly goal: number;
  readonly values: number[];
  readonly ratios: number[];
}

function row(
  title: string,
  unit: Row['unit'],
  words: Row['words'],
  python: Row['python'],
  goal: number,
): Row {
  return { title, unit, words, python, goal, values: [], ratios: [] };
}

const rows = [
  row('`dict.getSync()`', 'µs', ['get', 'sync', 20_000], ['get', 10_000], 0.6),
  row('`await dict.get()`', 'µs', ['get', 'async', 20_000], ['get', 10_000], 0.5),
  row('`dict.get()`, 1,000 awaited at once', 'µs', ['get', 'many', 100_000], ['get', 10_000], 0.1),
  row('8 processes, `getSync()`, calls', '/s', ['clients', 'sync', 10_000], ['clients', 2_000], 4),
  row(
    '8 processes, 1,000 awaited at once, calls',
    '/s',
    ['clients', 'many', 20_000],
    ['clients', 2_000],
    4,
  ),
  row(
    '`Queue`, `putSync()` and `getSync()`',
    'µs',
    ['queue', 'sync', 20_000],
    ['queue', 10_000],
    1 / 3,
  ),
  row(
    '`Manager()` until its first answer, and its end',
    'ms',
    ['start', 'async', 10],
    ['start', 10],
    1,
  ),
];

const cpython = new Map<Row, number[]>(rows.map((each) => [each, []]));
for (let round = 0; round < rounds; round++) {
  for (const each of rows) {
    const [what, how, count] = each.words;
    const [value = Number.NaN] = await ours.ask(what, how, Math.max(10, count * scale));
    each.values.push(value);
    if (theirs === undefined) continue;
    const [name, times] = each.python;
    const [other = Number.NaN] = await theirs.ask(name, Math.max(10, times * scale));
    cpython.get(each)?.push(other);
    each.ratios.push(value / other);
  }
}
await Promise.all([ours.end(), theirs?.end()]);

function figure(value: number, unit: Row['unit']): string {
  if (Number.isNaN(value)) return '';
  return unit === '/s' ? `${(value / 1000).toFixed(1)} k/s` : `${value.toFixed(1)} ${unit}`;
}

const table: Table = {
  title: 'Managers, medians',
  columns: ['', 'here', `CPython ${python?.version ?? ''}`, 'ratio', 'goal', ''],
  rows: rows.map((each) => {
    const { title, unit, values, ratios, goal } = each;
    const ratio = median(ratios);
    const isRate = unit === '/s';
    const met = isRate ? ratio >= goal : ratio <= goal;
    return [
      title,
      figure(median(values), unit),
      figure(median(cpython.get(each) ?? []), unit),
      Number.isNaN(ratio) ? '' : ratio.toFixed(2),
      `${isRate ? '≥' : '≤'} ${goal.toFixed(2)}`,
      Number.isNaN(ratio) ? '' : met ? 'pass' : 'falls short',
    ];
  }),
};
const machine = describeMachine(python);
if (options.update)
  updatePage('managers.ts', [machine, toMarkdown(table)].join('\n\n'), 'managers.md');
console.log([machine, toText(table)].join('\n\n'));
