/**
 * What a change costs: start, locks and queues of this checkout beside those of another one, in turn, in one run.
 *
 *     pnpm bench:compare OTHER [--rounds 15] [--only WORDS] [--node PATH]
 *
 * OTHER is the folder of a checkout that is built: `git worktree add ../before COMMIT`, and there `pnpm build` and
 * `npx tsc -b benchmarks/programs`. --only takes the rows that have these words in their names. A ratio is that of two
 * neighbours, this checkout's to the other's; which of them goes first changes with each round. Each round has processes
 * of its own: how V8 compiles a loop differs from one to the next. More than 1 is slower here.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine } from './machine.ts';
import { median, quantile, toText } from './table.ts';
import { Worker } from './worker.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '15' },
    only: { type: 'string', default: '' },
    node: { type: 'string', default: process.execPath },
  },
});
const [other] = positionals;
if (other === undefined) {
  console.error(
    'usage: pnpm bench:compare OTHER-CHECKOUT [--rounds N] [--only WORDS] [--node PATH]',
  );
  process.exit(2);
}

const FORK = ['--single-threaded', '--v8-pool-size=1'];

interface Row {
  readonly program: string;
  readonly words: readonly string[];
  readonly count: number;
  readonly flags?: readonly string[];
  /** Whether the figure is a rate: then its inverse is compared. */
  readonly rate?: boolean;
}

const rows: Record<string, Row> = {
  'start to exit, forkserver': { program: 'client', words: ['measure', 'forkserver'], count: 25 },
  'start to exit, spawn': { program: 'client', words: ['measure', 'spawn'], count: 5 },
  'start to exit, fork': { program: 'client', words: ['measure', 'fork'], count: 25, flags: FORK },
  'start to exit, inline closure': { program: 'closures', words: ['closure'], count: 25 },
  'Lock, acquire and release': { program: 'synchronize', words: ['pair', 'Lock'], count: 2e6 },
  'RLock, acquire and release': { program: 'synchronize', words: ['pair', 'RLock'], count: 2e6 },
  'two events, there and back': { program: 'synchronize', words: ['pingpong'], count: 30_000 },
  'Queue, blocking': { program: 'queues', words: ['queue', 'sync'], count: 1_000_000, rate: true },
  'Queue, awaited': { program: 'queues', words: ['queue', 'async'], count: 1_000_000, rate: true },
  'Pipe, there and back, blocking': { program: 'queues', words: ['trip', 'sync'], count: 30_000 },
  'Pipe, there and back, awaited': { program: 'queues', words: ['trip', 'async'], count: 30_000 },
};

const checkouts = [fileURLToPath(new URL('../', import.meta.url)), resolve(other)] as const;
const workers = new Map<string, Worker>();

function workerOf(checkout: string, { program, flags = [] }: Row): Worker {
  const path = join(checkout, 'benchmarks/programs/dist', `${program}.js`);
  const key = [path, ...flags].join(' ');
  const worker = workers.get(key) ?? new Worker([options.node, ...flags, path]);
  workers.set(key, worker);
  return worker;
}

async function ask(checkout: string, row: Row): Promise<number> {
  const figure = median(await workerOf(checkout, row).ask(...row.words, row.count));
  return row.rate ? 1 / figure : figure;
}

const chosen = Object.entries(rows).filter(([name]) => name.includes(options.only));
const ratios = new Map<string, number[]>(chosen.map(([name]) => [name, []]));
for (let round = -1; round < Number(options.rounds); round++) {
  for (const [name, row] of chosen) {
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    const figures = [0, 0];
    for (const side of order) figures[side] = await ask(checkouts[side as 0 | 1], row);
    const [here = 0, there = 0] = figures;
    if (round >= 0) ratios.get(name)?.push(here / there); // the first round is a rehearsal
  }
  for (const worker of workers.values()) await worker.end();
  workers.clear();
}

const fixed = (value: number) => value.toFixed(3);
console.log(
  toText({
    title: `This checkout to the other, ${options.rounds} rounds; ${describeMachine()}`,
    columns: ['', 'median', 'quartiles'],
    rows: [...ratios].map(([name, all]) => {
      const quartiles = `${fixed(quantile(all, 0.25))} to ${fixed(quantile(all, 0.75))}`;
      return [name, fixed(median(all)), quartiles];
    }),
  }),
);
