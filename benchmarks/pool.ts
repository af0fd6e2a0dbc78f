/**
 * What a Pool and an executor cost, side by side with CPython's and with the pools of Node.
 *
 *     pnpm bench:pool              tables, and which goals are met
 *     pnpm bench:pool --quick      the same from few rounds, to see that it runs
 *     pnpm bench:pool --update     into docs/benchmarks.md
 *
 * The other pools are installed from npm into a temporary folder, or kept in --folder FOLDER. The measured programs
 * (pool/measure.mjs and pool.py) are asked in turn, as in queues.ts, and a ratio is the median of the rounds' ratios.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, findPython } from './machine.ts';
import { describe, install, LIBRARIES as KINDS, POOLS } from './pool/peers.ts';
import { median, type Table, toMarkdown, toText, updatePage } from './table.ts';
import { Worker } from './worker.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
    folder: { type: 'string' },
  },
});

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const python = findPython();
const rounds = options.quick ? 1 : 3;
const scale = options.quick ? 0.1 : 1;
/** Milliseconds for one measurement: who hangs is left out of it. */
const LONGEST = 30_000;
/** Numbers in eight megabytes. */
const LENGTH = 2 ** 20;

//
// Who is measured, and what
//

const POOL = 'Pool';
const EXECUTOR = 'ProcessPoolExecutor';
/** What arrays through a queue take, by programs/queues.ts. */
const QUEUE = 'Queue';
const PYTHON_POOL = "CPython's Pool";
const PYTHON_EXECUTOR = "CPython's ProcessPoolExecutor";
const OURS = { [POOL]: 'pool', [EXECUTOR]: 'executor' } as const;
const PYTHONS = { [PYTHON_POOL]: 'pool', [PYTHON_EXECUTOR]: 'executor' } as const;
const ALL = [POOL, EXECUTOR, PYTHON_POOL, PYTHON_EXECUTOR, ...KINDS];

interface Measure {
  /** What is asked of pool/measure.mjs; the last word is a count, but for those without one. */
  readonly words: string;
  /** Another count for some. */
  readonly count?: Readonly<Record<string, number>>;
  readonly who: readonly string[];
  /** Whether each round has a program of its own. */
  readonly fresh?: boolean;
  readonly rounds?: number;
  /** Milliseconds, where LONGEST is not enough. */
  readonly longest?: number;
  readonly digits: number;
}

const ONE_ARRAY = `${LENGTH} 40`;
const SERVERS = [POOL, 'piscina', 'tinypool, threads'];
const SPIN = { [PYTHON_POOL]: 600_000, [PYTHON_EXECUTOR]: 600_000 };

const MEASURES = {
  many: {
    words: 'many 20000',
    count: { [POOL]: 300_000, [EXECUTOR]: 100_000 },
    who: ALL,
    digits: 0,
  },
  chunks: {
    words: 'chunks 1000000',
    count: { [PYTHON_POOL]: 300_000 },
    who: [POOL, PYTHON_POOL],
    digits: 0,
  },
  trip: { words: 'trip 10000', who: ALL, digits: 1 },
  first: { words: 'first', who: ALL, fresh: true, digits: 0 },
  next: { words: 'first', who: ALL, digits: 1 },
  argument: { words: `argument ${ONE_ARRAY}`, who: ALL, digits: 1 },
  result: { words: `result ${ONE_ARRAY}`, who: ALL, digits: 1 },
  queue: { words: `array ${LENGTH} 50`, who: [QUEUE], digits: 1 },
  moved: { words: `moved ${ONE_ARRAY}`, who: ['piscina'], digits: 1 },
  one: { words: 'cpu 1 100000000', count: SPIN, who: ALL, digits: 0 },
  two: { words: 'cpu 2 100000000', count: SPIN, who: ALL, digits: 0 },
  idle: { words: 'idle 8', who: ALL, fresh: true, rounds: 3, digits: 0 },
  stream: {
    words: 'stream 1000000',
    who: [POOL, PYTHON_POOL],
    fresh: true,
    rounds: 1,
    longest: 300_000,
    digits: 0,
  },
  quiet: { words: 'server idle 2000', who: SERVERS, digits: 2 },
  busy: { words: 'server busy 2000', who: SERVERS, digits: 2 },
} satisfies Readonly<Record<string, Measure>>;
type Name = keyof typeof MEASURES;

const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'multiprocessing-pool-'));

function start(who: string): Worker | undefined {
  if (who in PYTHONS) {
    const kind = PYTHONS[who as keyof typeof PYTHONS];
    return python && new Worker([python.executable, here('pool.py'), kind]);
  }
  if (who === QUEUE) return new Worker([process.execPath, here('programs/dist/queues.js')]);
  const library = OURS[who as keyof typeof OURS] ?? who;
  return new Worker([process.execPath, join(folder, 'measure.mjs'), library]);
}

function wordsFor({ words, count }: Measure, who: string): string[] {
  const all = words.split(' ');
  const last = Number(count?.[who] ?? all.at(-1));
  // Workers, and the length of an array, are no counts.
  if (all.length === 1 || all[0] === 'idle') return all;
  return [...all.slice(0, -1), String(Math.max(5, Math.ceil((last * scale) / 5) * 5))];
}

//
// The measurement
//

/** What was measured, by what and who. */
const measured = new Map<string, number[]>();
const valuesOf = (what: Name, who: string): number[] => {
  const key = `${what} ${who}`;
  if (!measured.has(key)) measured.set(key, []);
  return measured.get(key) as number[];
};

async function ask(what: Name, who: string, kept: Map<string, Worker>): Promise<void> {
  const measure: Measure = MEASURES[what];
  const worker = (measure.fresh ? undefined : kept.get(who)) ?? start(who);
  if (worker === undefined) return;
  const timer = setTimeout(() => worker.kill(), measure.longest ?? LONGEST);
  try {
    valuesOf(what, who).push(...(await worker.ask(...wordsFor(measure, who))));
    if (measure.fresh) await worker.end();
    else kept.set(who, worker);
  } catch (error) {
    console.error(`${who} is left out of a round of ${what}: ${error}`);
    valuesOf(what, who).push(Number.NaN);
    worker.kill();
    if (!measure.fresh) kept.delete(who);
  } finally {
    clearTimeout(timer);
  }
}

/** @returns the machine's load at the begin of each round */
async function measureAll(): Promise<number[]> {
  const kept = new Map<string, Worker>();
  const loads: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const [load = 0] = loadavg();
    loads.push(load);
    console.error(`round ${round + 1} of ${rounds}, load ${load.toFixed(1)}`);
    for (const what of Object.keys(MEASURES) as Name[]) {
      const { who, rounds: own = rounds }: Measure = MEASURES[what];
      if (round < own) for (const each of who) await ask(what, each, kept);
    }
  }
  await Promise.all([...kept.values()].map((worker) => worker.end()));
  return loads;
}

//
// What comes of it
//

const isKnown = (value: number) => !Number.isNaN(value);
const center = (what: Name, who: string): number => median(valuesOf(what, who).filter(isKnown));

function figure(what: Name, who: string): string {
  const value = center(what, who);
  const { digits } = MEASURES[what];
  if (Number.isNaN(value)) return '';
  return value >= 10_000 ? `${(value / 1000).toFixed(digits)} k` : value.toFixed(digits);
}

/** The median of what the rounds say. */
function ofRounds(what: Name, count: (round: number) => number): number {
  const { rounds: own = rounds }: Measure = MEASURES[what];
  return median(Array.from({ length: own }, (_, round) => count(round)).filter(isKnown));
}

const inRound = (what: Name, who: string, round: number): number =>
  valuesOf(what, who)[round] ?? Number.NaN;

/** How many times the first is of the others' smallest, or biggest. */
function ratio(
  what: Name,
  who: string,
  others: readonly string[],
  best: (...values: number[]) => number,
): number {
  return ofRounds(what, (round) => {
    const theirs = others.map((other) => inRound(what, other, round)).filter(isKnown);
    return theirs.length === 0 ? Number.NaN : inRound(what, who, round) / best(...theirs);
  });
}

const speedup = (who: string): number =>
  ofRounds('two', (round) => inRound('one', who, round) / inRound('two', who, round));

function rowsOf(columns: readonly ((who: string) => string)[], who: readonly string[]) {
  const rows = who.map((each) => [
    each in OURS ? `\`${each}\`` : each,
    ...columns.map((column) => column(each)),
  ]);
  return rows.filter(([, ...cells]) => cells.some((cell) => cell !== ''));
}

const plain = (what: Name) => (who: string) => figure(what, who);
const text = (value: number, digits = 2) => (Number.isNaN(value) ? '' : value.toFixed(digits));

function tables(): Table[] {
  return [
    {
      title: 'Small tasks, medians',
      columns: [
        '',
        'tasks/s, one by one',
        'tasks/s, `map` as it is',
        'one awaited, µs',
        'new pool to first result, ms',
        "the program's first pool, ms",
      ],
      rows: rowsOf(
        ['many', 'chunks', 'trip', 'next', 'first'].map((what) => plain(what as Name)),
        ALL,
      ),
    },
    {
      title: 'Large and long tasks, and memory, medians',
      columns: [
        '',
        '8 MB argument, ms',
        '8 MB result, ms',
        'two workers, times one',
        '8 idle workers, MB (PSS)',
      ],
      rows: rowsOf(
        [plain('argument'), plain('result'), (who) => text(speedup(who)), plain('idle')],
        ALL,
      ),
    },
    {
      title: '99 of 100 requests to an HTTP server take at most, milliseconds, medians',
      columns: ['', 'its pool rests', 'its pool computes'],
      rows: rowsOf([plain('quiet'), plain('busy')], SERVERS),
    },
    goals(),
  ];
}

type Goal = readonly [title: string, sign: '≥' | '≤', goal: number, value: number];

function goals(): Table {
  const { max, min } = Math;
  const trip = (title: string, who: string, python: string): readonly Goal[] => [
    [`${title}, of ${python}`, '≤', 0.2, ratio('trip', who, [python], min)],
    ['the same, of the fastest pool of Node', '≤', 0.5, ratio('trip', who, KINDS, min)],
  ];
  const ofQueue = (what: Name) =>
    ofRounds(what, (round) => inRound(what, POOL, round) / inRound('queue', QUEUE, round));
  const all: readonly Goal[] = [
    [`\`map\`, one by one, times ${PYTHON_POOL}`, '≥', 8, ratio('many', POOL, [PYTHON_POOL], max)],
    ['the same, times the fastest pool of Node', '≥', 10, ratio('many', POOL, KINDS, max)],
    [`\`map\` as it is, times ${PYTHON_POOL}`, '≥', 5, ratio('chunks', POOL, [PYTHON_POOL], max)],
    ...trip('`await apply()`', POOL, PYTHON_POOL),
    ...trip('`submit()` to result', EXECUTOR, PYTHON_EXECUTOR),
    [
      'first result of a new pool, of the fastest pool of Node',
      '≤',
      0.33,
      ratio('next', POOL, KINDS, min),
    ],
    ["the same, the program's first pool", '≤', 0.33, ratio('first', POOL, KINDS, min)],
    [
      '`imapUnordered` of 1,000,000 items, megabytes above the start',
      '≤',
      100,
      center('stream', POOL),
    ],
    ['8 MB argument, of one through a `Queue`', '≤', 1.5, ofQueue('argument')],
    ['8 MB result, of one through a `Queue`', '≤', 1.5, ofQueue('result')],
    ['eight tasks on two workers, times one worker', '≥', 1.9, speedup(POOL)],
    [
      "memory of 8 idle workers, of piscina's threads",
      '≤',
      0.5,
      ratio('idle', POOL, ['piscina'], min),
    ],
    [
      "memory of 8 idle workers, of tinypool's processes",
      '≤',
      0.5,
      ratio('idle', POOL, ['tinypool, processes'], min),
    ],
    [
      'a request while the pool computes, of one while it rests',
      '≤',
      2,
      ofRounds('busy', (round) => inRound('busy', POOL, round) / inRound('quiet', POOL, round)),
    ],
  ];
  return {
    title: 'Goals',
    columns: ['', 'goal', 'measured', ''],
    rows: all
      .filter(([, , , value]) => !Number.isNaN(value))
      .map(([title, sign, goal, value]) => [
        title,
        `${sign} ${goal}`,
        text(value),
        (sign === '≥' ? value >= goal : value <= goal) ? 'pass' : 'falls short',
      ]),
  };
}

try {
  install(folder);
  // It makes each start of Node some 60 ms longer, and has nothing to do with pools.
  delete process.env.NODE_EXTRA_CA_CERTS;
  const loads = await measureAll();
  const lines = [
    `${describeMachine(python)}; load ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`,
    `${describe(POOLS)}. As many workers as there are processors.`,
  ];
  const page = tables();
  const notes = [
    `\`imapUnordered\` of 1,000,000 items, megabytes above the start: ${figure('stream', POOL)}; ` +
      `CPython's: ${figure('stream', PYTHON_POOL)}. ` +
      `An 8 MB array that piscina moves to a thread, so that its owner loses it, ms: ${figure('moved', 'piscina')}.`,
  ];
  if (options.update)
    updatePage('pool.ts', [...lines, ...page.map(toMarkdown), ...notes].join('\n\n'));
  console.log([...lines, ...page.map(toText), ...notes].join('\n\n'));
} finally {
  if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
}
