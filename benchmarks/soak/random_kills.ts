/**
 * SIGKILL at random moments of a child's start, bootstrap and run, under each start method: every start
 * settles and every join returns, with the exit code of the kill or the child's own; nothing is left over.
 *
 * Another process kills, so that a kill may also come while this one is in the middle of a start. It looks for
 * new children of this process (or of the forkserver) and draws for each of them how long it may live.
 *
 *     tsx benchmarks/soak/random_kills.ts [COUNT = 200 kills for each method]
 */
import 'multiprocessing/forkable';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import {
  check,
  checkFlat,
  childrenOf,
  countOr,
  describeProcess,
  done,
  forkserverPid,
  holdingsOf,
  inParallel,
  limitTime,
  makeFifo,
  printSeed,
  randomFrom,
  within,
} from './support.ts';

const METHODS = ['spawn', 'fork', 'forkserver'] as const;
type Method = (typeof METHODS)[number];

const OWN_CODE = 7;
/** How many children there are at the same time. */
const AT_ONCE = 3;

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Says that the target was reached, works for a moment, ends. */
export function work(log: string, milliseconds: number): never {
  appendFileSync(log, 'x');
  busy(milliseconds);
  throw new mp.SystemExit(OWN_CODE);
}

export async function workLater(log: string, milliseconds: number): Promise<never> {
  appendFileSync(log, 'x');
  await sleep(milliseconds);
  throw new mp.SystemExit(OWN_CODE);
}

/** The program that kills: it watches the children of a process in a busy loop. Ends when this process does. */
function killChildrenOf(parent: number, longest: number, seed: number): void {
  const random = randomFrom(seed);
  const known = new Set(childrenOf(parent));
  const doomed = new Map<number, number>();
  process.stdout.write('ready');
  const look = () => {
    const end = performance.now() + 20;
    do {
      const now = performance.now();
      for (const pid of childrenOf(parent)) {
        if (known.has(pid)) continue;
        known.add(pid);
        doomed.set(pid, now + random() * longest);
      }
      for (const [pid, time] of doomed) {
        if (now < time) continue;
        doomed.delete(pid);
        if (childrenOf(parent).includes(pid)) killIfThere(pid);
      }
    } while (performance.now() < end);
    setImmediate(look);
  };
  process.stdin.resume().once('end', () => process.exit(0));
  look();
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function startKiller(parent: number, longest: number, seed: number) {
  const args = ['kill', parent, longest, seed].map(String);
  const argv = [...process.execArgv, import.meta.filename, ...args];
  const killer = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  await within(30, 'the start of the killer', once(killer.stdout, 'data'));
  const ended = once(killer, 'exit');
  return async () => {
    killer.stdin.end();
    await within(30, 'the end of the killer', ended);
  };
}

async function underMethod(method: Method, count: number, seed: number): Promise<string> {
  const { Process } = mp.getContext(method);
  const log = makeFifo();
  let run = 0; // milliseconds for which a target runs
  const make = (i: number) => {
    const target = (i % 2 === 0 ? work : workLater) as (log: string, run: number) => unknown;
    return new Process({ target, args: [log.path, run] });
  };
  const lives: number[] = [];
  await inParallel(5 * AT_ONCE, AT_ONCE, async (i) => {
    const begin = performance.now();
    const p = make(i);
    await within(30, `${method}: start without a kill`, p.start());
    await within(30, `${method}: join without a kill`, p.join());
    check(p.exitcode === OWN_CODE, `${method}: exit code ${p.exitcode} without a kill`);
    lives.push(performance.now() - begin);
  });
  readSync(log.fd, Buffer.alloc(5 * AT_ONCE));
  const empty = lives.toSorted((a, b) => a - b)[Math.floor(lives.length / 2)] ?? 0;
  run = Math.ceil(empty);
  // Twice as long as a child lives: its whole life gets kills, and some children end before theirs comes.
  const longest = 2 * (empty + run);

  const parent = method === 'forkserver' ? forkserverPid() : process.pid;
  const before = holdingsOf(process.pid);
  const beforeServer = holdingsOf(parent);
  const stop = await startKiller(parent, longest, seed);
  const others = new Set(childrenOf(process.pid));
  const outcomes = { killed: 0, own: 0, refused: 0 };
  const attempt = async (i: number) => {
    if (outcomes.killed >= count) return;
    const p = make(i);
    try {
      await within(30, `${method}: start ${i}`, p.start());
    } catch (error) {
      check(
        error instanceof mp.OSError || error instanceof mp.RuntimeError,
        `start ${i}: ${error}`,
      );
      outcomes.refused++;
      return;
    }
    await within(30, `${method}: join ${i} of ${p.pid}`, p.join());
    const { exitcode } = p;
    check(exitcode === -9 || exitcode === OWN_CODE, `${method}: exit code ${exitcode} of ${i}`);
    if (exitcode === -9) outcomes.killed++;
    else outcomes.own++;
  };
  await inParallel(count * 20, AT_ONCE, attempt);
  await stop();
  check(outcomes.killed >= count, `${method}: ${outcomes.killed} kills in ${count * 20} starts`);
  const left = childrenOf(process.pid).filter((pid) => !others.has(pid));
  check(left.length === 0, `${method}: children are left: ${left.map(describeProcess).join('; ')}`);
  writeSync(log.fd, 'x'); // so that the read does not wait
  const reached = readSync(log.fd, Buffer.alloc(1 << 16)) - 1;
  log.close();
  checkFlat(`${method}: parent`, before, holdingsOf(process.pid));
  if (method === 'forkserver') checkFlat('server', beforeServer, holdingsOf(parent));
  const inRun = Math.max(0, reached - outcomes.own);
  return `${method} ${outcomes.killed} killed (${inRun} of them in run), ${outcomes.own} ended by themselves`;
}

async function main(): Promise<void> {
  const count = countOr(200);
  limitTime(60 + count * 2);
  const seed = printSeed();
  const figures: string[] = [];
  for (const method of METHODS) figures.push(await underMethod(method, count, seed));
  done(figures.join('; '));
}

if (mp.isMain(import.meta)) {
  if (process.argv[2] === 'kill') {
    const [parent = 0, longest = 0, seed = 0] = process.argv.slice(3).map(Number);
    killChildrenOf(parent, longest, seed);
  } else {
    await main();
  }
}
