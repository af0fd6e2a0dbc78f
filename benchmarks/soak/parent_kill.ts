/**
 * SIGKILL of a program whose 20 daemons are busy in endless loops, under each start method: all of them are gone
 * within a second, and so is the forkserver.
 *
 *     tsx benchmarks/soak/parent_kill.ts [COUNT = 5 programs for each method]
 */
import 'multiprocessing/forkable';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import * as mp from 'multiprocessing';
import { check, countOr, done, forkserverPid, limitTime, untilGone, within } from './support.ts';

const METHODS = ['spawn', 'fork', 'forkserver'] as const;
type Method = (typeof METHODS)[number];

const DAEMONS = 20;
/** Seconds. */
const LIMIT = 1;

/** Says its pid and is busy for ever. */
export function spin(): never {
  writeSync(1, `${process.pid}\n`);
  for (;;);
}

/** The program that is killed. */
async function startDaemons(method: Method): Promise<void> {
  for (let i = 0; i < DAEMONS; i++) {
    await new (mp.getContext(method).Process)({ target: spin, daemon: true }).start();
  }
  if (method === 'forkserver') writeSync(1, `${forkserverPid()}\n`);
  setInterval(() => {}, 1e6);
}

/** Seconds from the kill to the end of the last process. */
async function killOne(method: Method): Promise<number> {
  const argv = [...process.execArgv, import.meta.filename, 'parent', method];
  const parent = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => parent.kill('SIGKILL');
  process.once('exit', kill); // also when this test fails
  const expected = DAEMONS + (method === 'forkserver' ? 1 : 0);
  const pids: number[] = [];
  const lines = createInterface({ input: parent.stdout });
  const all = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (pids.push(Number(line)) === expected) resolve();
    });
  });
  await within(60, `${method}: the start of ${DAEMONS} daemons`, all);
  const ended = once(parent, 'exit');
  const begin = performance.now();
  kill();
  await Promise.all(
    pids.map((pid) => untilGone(pid, 30).catch((error) => check(false, `${method}: ${error}`))),
  );
  const seconds = (performance.now() - begin) / 1000;
  await ended;
  lines.close();
  process.off('exit', kill);
  return seconds;
}

async function main(): Promise<void> {
  const count = countOr(5);
  limitTime(60 + count * 60);
  const figures: string[] = [];
  for (const method of METHODS) {
    let slowest = 0;
    for (let i = 0; i < count; i++) slowest = Math.max(slowest, await killOne(method));
    check(slowest <= LIMIT, `${method}: the last of them was gone after ${slowest.toFixed(2)} s`);
    figures.push(`${method} ${count} programs, the slowest gone after ${slowest.toFixed(2)} s`);
  }
  done(`${DAEMONS} busy daemons each; ${figures.join('; ')}`);
}

if (mp.isMain(import.meta)) {
  if (process.argv[2] === 'parent') await startDaemons(process.argv[3] as Method);
  else await main();
}
