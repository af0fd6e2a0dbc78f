/**
 * What a function by value costs: from start to exit of a child whose target is an inline closure, in a process that
 * cannot fork, beside a target by name under forkserver.
 *
 *     pnpm bench:closures              the table, and whether the goal is met
 *     pnpm bench:closures --quick      the same from few rounds
 *     pnpm bench:closures --update     into docs/benchmarks.md
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { median, quantile, toMarkdown, toText, updatePage } from './table.ts';
import { Worker } from './worker.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
  },
});

const GOAL = 2;
const turns = options.quick ? 3 : 12;
const program = fileURLToPath(new URL('programs/dist/closures.js', import.meta.url));
const worker = new Worker([process.execPath, program]);

const measured = [
  { what: 'by name', title: '`forkserver`, an exported function', times: [] as number[] },
  { what: 'closure', title: '`fork`, emulated, an inline closure', times: [] as number[] },
  {
    what: 'shared variable',
    title: '`fork`, emulated, two closures that share a variable',
    times: [] as number[],
  },
];
// The first of each starts its server, or has V8 compile what it needs.
for (const { what } of measured) await worker.ask(what, 10);
for (let turn = 0; turn < turns; turn++) {
  for (const { what, times } of measured) times.push(...(await worker.ask(what, 20)));
}
await worker.end();

const [byName, closure] = measured as unknown as [{ times: number[] }, { times: number[] }];
const ratio = median(closure.times) / median(byName.times);
const tables = [
  {
    title: 'From start to exit of a child, milliseconds',
    columns: ['', 'median', 'quartiles', 'times the first'],
    rows: measured.map(({ title, times }) => [
      title,
      median(times).toFixed(2),
      `${quantile(times, 0.25).toFixed(2)} – ${quantile(times, 0.75).toFixed(2)}`,
      (median(times) / median(byName.times)).toFixed(2),
    ]),
  },
  {
    title: 'Goal',
    columns: ['', 'goal', 'measured', ''],
    rows: [
      [
        'an inline closure under emulated fork, times forkserver by name',
        `≤ ${GOAL}`,
        ratio.toFixed(2),
        ratio <= GOAL ? 'pass' : 'falls short',
      ],
    ],
  },
];
const machine = describeMachine();
if (options.update) updatePage('closures.ts', [machine, ...tables.map(toMarkdown)].join('\n\n'));
console.log([machine, ...tables.map(toText)].join('\n\n'));
