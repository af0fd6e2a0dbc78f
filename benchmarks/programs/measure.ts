/**
 * Measures the starts of children, on request: a line of words on stdin is answered by a line of numbers on
 * stdout. benchmarks/cpython.py is its twin.
 *
 *     measure WHAT ROUNDS          milliseconds from start to exit of an empty child, one by one
 *     hundred METHOD COUNT         milliseconds until all have been started, all run at once, all have been joined
 *     memory KIND COUNT            kilobytes (PSS) of each of these children while all wait
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as mp from 'multiprocessing';
import { wait } from 'multiprocessing/connection';
import { makeFifos } from './fifos.ts';

/** The functions that children run: exports of the main module. */
interface Targets {
  readonly empty: () => void;
  readonly emptyLater: () => Promise<void>;
  readonly idle: (ready: string, gate: string) => void;
}

type Round = () => Promise<unknown> | undefined;
type Method = 'fork' | 'spawn' | 'forkserver';

const program = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

/** Answers requests until stdin ends. */
export async function serve(targets: Targets): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const [request, what = '', count] = line.split('\t');
    let numbers: number[];
    if (request === 'measure') numbers = await measure(rounds(targets)[what], Number(count));
    else if (request === 'hundred') numbers = await manyAtOnce(targets, what, Number(count));
    else numbers = await memory(targets, what, Number(count));
    process.stdout.write(`${numbers.join(' ')}\n`);
  }
}

async function measure(round: Round | undefined, count: number): Promise<number[]> {
  if (round === undefined) throw new Error('no such measurement');
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await round();
    times.push(performance.now() - start);
  }
  return times;
}

/** What can be measured, by its name in start.ts. */
function rounds({ empty, emptyLater }: Targets): Readonly<Record<string, Round>> {
  const awaited = (method: Method, target: () => unknown) => async () => {
    const p = new (mp.getContext(method).Process)({ target });
    await p.start();
    await p.join();
  };
  const blocking = (method: Method) => () => {
    const p = new (mp.getContext(method).Process)({ target: empty });
    p.startSync();
    p.joinSync();
    return undefined;
  };
  return {
    forkserver: awaited('forkserver', empty),
    'forkserver Sync': blocking('forkserver'),
    'child_process.fork': () => exit(fork(program('empty.cjs'))),
    fork: awaited('fork', empty),
    'fork Sync': blocking('fork'),
    'fork async target': awaited('fork', emptyLater),
    spawn: awaited('spawn', empty),
    'spawn Sync': blocking('spawn'),
    'node -e 0': () => exit(spawn(process.execPath, ['-e', '0'], { stdio: 'inherit' })),
  };
}

const exit = (child: ChildProcess) => once(child, 'exit');

/** Children that are all there at the same time: each waits at a gate until the last one runs. */
async function manyAtOnce({ idle }: Targets, method: string, count: number): Promise<number[]> {
  const fifos = makeFifos();
  const { Process } = mp.getContext(method);
  const begin = performance.now();
  const children = Array.from({ length: count }, () => {
    return new Process({ target: idle as () => void, args: [fifos.ready, fifos.gate] as never });
  });
  await Promise.all(children.map((p) => p.start()));
  const started = performance.now() - begin;
  await readBytes(fifos.readyFd, count);
  const running = performance.now() - begin;
  writeSync(fifos.gateFd, Buffer.alloc(count));
  await Promise.all(children.map((p) => p.join()));
  const joined = performance.now() - begin;
  fifos.close();
  return [started, running, joined];
}

async function memory({ idle }: Targets, kind: string, count: number): Promise<number[]> {
  const fifos = makeFifos();
  const { ready, gate } = fifos;
  const children: { pid: number | undefined; end: () => Promise<unknown> }[] = [];
  for (let i = 0; i < count; i++) {
    if (kind === 'child_process.fork') {
      const child = fork(program('idle.cjs'), [ready, gate]);
      children.push({ pid: child.pid, end: () => exit(child) });
    } else {
      const p = new (mp.getContext(kind).Process)({
        target: idle as () => void,
        args: [ready, gate] as never,
      });
      await p.start();
      children.push({ pid: p.pid, end: () => p.join() });
    }
  }
  await readBytes(fifos.readyFd, count);
  const sizes = children.map(({ pid }) => pss(pid));
  const ends = children.map(({ end }) => end());
  writeSync(fifos.gateFd, Buffer.alloc(count));
  await Promise.all(ends);
  fifos.close();
  return sizes;
}

/** Proportional set size in kilobytes: a page that n processes share counts as 1/n. */
function pss(pid: number | undefined): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]);
}

async function readBytes(fd: number, count: number): Promise<void> {
  for (let done = 0; done < count; ) {
    await wait([fd]);
    done += readSync(fd, Buffer.alloc(count - done));
  }
}
