/**
 * What a start costs, side by side with CPython's multiprocessing and with Node's own child_process.
 *
 *     pnpm bench                  tables, and which goals are met
 *     pnpm bench --quick          the same from few rounds, to see that it runs
 *     pnpm bench --markdown       for a page
 *     pnpm bench --update         into docs/benchmarks.md
 *
 * This file only asks and counts. The parents that are measured are programs of their own, compiled to
 * JavaScript (benchmarks/programs), so that the start of tsx counts nowhere; each is asked for a few rounds at a
 * time, in turn, so that a machine that gets slower does so for all of them.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeMachine, findPython } from './machine.ts';
import { median, quantile, type Table, toMarkdown, toText, updatePage } from './table.ts';
import { Worker } from './worker.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    update: { type: 'boolean', default: false },
  },
});
const { quick } = options;

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const client = here('programs/dist/client.js');

/** Children at the same time. */
const MANY = 100;
/** How many children wait when their memory is measured. */
const WAITING = 10;

const python = findPython();
const linux = process.platform === 'linux';
const workers = {
  node: new Worker([process.execPath, client]),
  forker: linux
    ? new Worker([process.execPath, '--single-threaded', '--v8-pool-size=1', client])
    : undefined,
  python: python && new Worker([python.executable, here('cpython.py')]),
};

interface Measurement {
  readonly title: string;
  readonly worker: Worker | undefined;
  readonly what: string;
  /** Rounds in each turn. */
  readonly rounds: number;
  readonly times: number[];
}

function measurement(
  title: string,
  worker: Worker | undefined,
  what: string,
  rounds: number,
): Measurement {
  return { title, worker, what, rounds: quick ? Math.ceil(rounds / 4) : rounds, times: [] };
}

const { node, forker } = workers;
const cpython = `CPython ${python?.version ?? ''}`;
const onLinux = linux ? node : undefined;
const m = {
  forkserver: measurement(
    '`forkserver`, `await start()`, `await join()`',
    onLinux,
    'forkserver',
    20,
  ),
  forkserverSync: measurement(
    '`forkserver`, `startSync()`, `joinSync()`',
    onLinux,
    'forkserver Sync',
    20,
  ),
  pythonForkserver: measurement(`${cpython} forkserver`, workers.python, 'forkserver', 20),
  nodeFork: measurement('`child_process.fork` of an empty script', node, 'child_process.fork', 5),
  fork: measurement('`fork`', forker, 'fork', 20),
  forkSync: measurement('`fork`, Sync', forker, 'fork Sync', 20),
  forkAsync: measurement('`fork`, asynchronous target', forker, 'fork async target', 20),
  pythonFork: measurement(`${cpython} fork`, workers.python, 'fork', 20),
  spawn: measurement('`spawn`', node, 'spawn', 5),
  spawnSync: measurement('`spawn`, Sync', node, 'spawn Sync', 5),
  nodeEmpty: measurement('`child_process.spawn` of `node -e 0`', node, 'node -e 0', 5),
  pythonSpawn: measurement(`${cpython} spawn`, workers.python, 'spawn', 5),
};
const measured = Object.values(m).filter(({ worker }) => worker !== undefined);

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function measureTurns(): Promise<void> {
  for (const { worker, what } of measured) await worker?.ask('measure', what, 3); // to warm up
  const turns = quick ? 3 : 12;
  for (let turn = 1; turn <= turns; turn++) {
    progress(`turn ${turn} of ${turns}`);
    for (const { worker, what, rounds, times } of measured) {
      times.push(...((await worker?.ask('measure', what, rounds)) ?? []));
    }
  }
  progress('');
}

/** [all started, all running, all joined], the medians of some rounds, in milliseconds. */
async function measureMany(): Promise<Map<string, number[]>> {
  const contestants = [
    ['`forkserver`', onLinux],
    [`${cpython} forkserver`, workers.python],
  ] as const;
  const rounds = new Map<string, number[][]>();
  for (let round = 0; round < (quick ? 1 : 7); round++) {
    for (const [title, worker] of contestants) {
      if (worker === undefined) continue;
      const times = await worker.ask('hundred', 'forkserver', MANY);
      rounds.set(title, [...(rounds.get(title) ?? []), times]);
    }
  }
  const medians = (all: number[][]) => [0, 1, 2].map((i) => median(all.map((t) => t[i] as number)));
  return new Map([...rounds].map(([title, all]) => [title, medians(all)]));
}

/** Kilobytes of one child: when it is the only one, and of several. */
async function measureMemory(): Promise<Map<string, [one: number, ofMany: number]>> {
  const all = new Map<string, [number, number]>();
  for (const kind of ['forkserver', 'spawn', 'child_process.fork']) {
    if (kind === 'forkserver' && !linux) continue;
    const one = median(await node.ask('memory', kind, 1));
    all.set(kind, [one, median(await node.ask('memory', kind, WAITING))]);
  }
  return all;
}

interface Goal {
  readonly title: string;
  readonly limit: string;
  readonly value: number;
  readonly met: boolean;
  readonly unit: string;
}

function goals(
  many: ReadonlyMap<string, number[]>,
  memory: ReadonlyMap<string, [number, number]>,
): Goal[] {
  const atMost = (title: string, value: number, limit: number, unit = '') => {
    const text = Number.isInteger(limit) ? `${limit}` : limit.toFixed(2);
    return { title, limit: `≤ ${text}${unit}`, value, met: value <= limit, unit };
  };
  const ratio = (a: Measurement, b: Measurement) => median(a.times) / median(b.times);
  const faster = ratio(m.nodeFork, m.forkserver);
  const pssOf = (kind: string) => memory.get(kind)?.[1] ?? Number.NaN;
  const all: Goal[] = [
    atMost("`forkserver`, of CPython's forkserver", ratio(m.forkserver, m.pythonForkserver), 1),
    {
      title: '`forkserver`, how many times faster than `child_process.fork`',
      limit: '≥ 8',
      value: faster,
      met: faster >= 8,
      unit: '',
    },
    atMost("`fork`, of CPython's fork", ratio(m.fork, m.pythonFork), 1.5),
    atMost('`spawn`, of `node -e 0`', ratio(m.spawn, m.nodeEmpty), 1.25),
    atMost(
      'memory of a waiting `forkserver` child, of a spawned one',
      pssOf('forkserver') / pssOf('spawn'),
      1 / 3,
    ),
    atMost(
      `${MANY} \`forkserver\` children at once, until all are joined`,
      (many.get('`forkserver`')?.[2] ?? Number.NaN) / 1000,
      1.5,
      ' s',
    ),
  ];
  return all.filter(({ value }) => !Number.isNaN(value));
}

await measureTurns();
const many = await measureMany();
const memory = await measureMemory();
await Promise.all(Object.values(workers).map((worker) => worker?.end()));

const ms = (value: number) => value.toFixed(value < 100 ? 1 : 0);
const mb = (kilobytes: number) => (kilobytes / 1024).toFixed(1);
const tables: Table[] = [
  {
    title: 'From start to exit of an empty child, milliseconds',
    columns: ['', 'median', 'quartiles', 'rounds'],
    rows: measured.map(({ title, times }) => [
      title,
      ms(median(times)),
      `${ms(quantile(times, 0.25))} – ${ms(quantile(times, 0.75))}`,
      String(times.length),
    ]),
  },
  {
    title: `${MANY} children at once, milliseconds from the first start`,
    columns: ['', 'all started', 'all running', 'all joined'],
    rows: [...many].map(([title, times]) => [title, ...times.map(ms)]),
  },
  {
    title: 'Memory of a child that waits, MB (PSS: a page that n processes share counts as 1/n)',
    columns: ['', 'the only child', `one of ${WAITING}`],
    rows: [...memory].map(([kind, [one, ofMany]]) => [`\`${kind}\``, mb(one), mb(ofMany)]),
  },
  {
    title: 'Goals',
    columns: ['', 'goal', 'measured', ''],
    rows: goals(many, memory).map(({ title, limit, value, met, unit }) => {
      return [title, limit, `${value.toFixed(2)}${unit}`, met ? 'pass' : 'falls short'];
    }),
  },
];

const machine = describeMachine(python);
const markdown = [machine, ...tables.map(toMarkdown)].join('\n\n');
if (options.update) updatePage('start.ts', markdown);
if (options.markdown) console.log(markdown);
else console.log([machine, ...tables.map(toText)].join('\n\n'));
