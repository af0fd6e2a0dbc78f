/**
 * What it is worth that a child imports the main module only where that is of use to it: a program that has asked isMain,
 * beside the same one that has not. Its main module imports a package of 400 kB; the target is a function of another module.
 *
 *     pnpm bench:main               the table
 *     pnpm bench:main --update      into docs/benchmarks.md
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { median, quantile, type Table, toMarkdown, toText, updatePage } from './table.ts';
import { Worker } from './worker.ts';

const { values: options } = parseArgs({ options: { update: { type: 'boolean', default: false } } });
const program = fileURLToPath(new URL('programs/dist/main_of_use.js', import.meta.url));
const ROUNDS = 15;

const rows = [
  { title: '`spawn`', method: 'spawn', children: 3 },
  { title: '`forkserver`, the first, which starts the server', method: 'forkserver', children: 1 },
];
const measured = rows.map((row) => ({ ...row, asks: [] as number[], asksNot: [] as number[] }));

/** New processes for each: the first child of a forkserver is what is asked for. */
async function ask(words: readonly string[], method: string, children: number): Promise<number> {
  const worker = new Worker([process.execPath, program, ...words]);
  const times = await worker.ask(method, children);
  await worker.end();
  return median(times);
}

for (let round = 0; round < ROUNDS; round++) {
  for (const { method, children, asks, asksNot } of measured) {
    const forms = [
      async () => asks.push(await ask(['asks'], method, children)),
      async () => asksNot.push(await ask([], method, children)),
    ];
    for (const form of round % 2 === 0 ? forms : forms.reverse()) await form();
  }
}

const table: Table = {
  title: 'From start to exit of a child, milliseconds, medians',
  columns: ['', 'imports the main module', 'need not', 'ratio', 'quartiles of the ratio'],
  rows: measured.map(({ title, asks, asksNot }) => {
    const ratios = asksNot.map((time, i) => time / (asks[i] as number));
    const fixed = (q: number) => quantile(ratios, q).toFixed(2);
    const medians = [asks, asksNot].map((times) => median(times).toFixed(1));
    return [title, ...medians, fixed(0.5), `${fixed(0.25)} – ${fixed(0.75)}`];
  }),
};
console.log(toText(table));
console.log(describeMachine());
if (options.update) {
  updatePage('main_of_use.ts', [describeMachine(), toMarkdown(table)].join('\n\n'));
}
