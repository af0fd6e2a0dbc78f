/**
 * Starts by a forkserver, one after another and several at a time: every child ends with its own exit code, and
 * neither this process nor the server holds more at the end than after the first tenth.
 *
 *     tsx benchmarks/soak/forkserver_starts.ts [COUNT = 10000]
 */
import * as mp from 'multiprocessing';
import {
  check,
  checkFlat,
  countOr,
  done,
  forkserverPid,
  holdingsOf,
  inParallel,
  limitTime,
  within,
} from './support.ts';

export function exitWith(code: number): never {
  throw new mp.SystemExit(code);
}

const AT_ONCE = [1, 8];

async function startAndJoin(i: number): Promise<void> {
  const p = new (mp.getContext('forkserver').Process)({ target: exitWith, args: [i % 256] });
  await within(30, `start ${i}`, p.start());
  await within(30, `join ${i}`, p.join());
  check(p.exitcode === i % 256, `child ${i} ended with exit code ${p.exitcode}`);
}

if (mp.isMain(import.meta)) {
  const count = countOr(10_000);
  limitTime(60 + count / 20);
  const warmUp = Math.ceil(count / 10);
  for (const atOnce of AT_ONCE) await inParallel(Math.ceil(warmUp / 2), atOnce, startAndJoin);
  const server = forkserverPid();
  const before = { parent: holdingsOf(process.pid), server: holdingsOf(server) };
  for (const atOnce of AT_ONCE) {
    await inParallel(Math.floor((count - warmUp) / 2), atOnce, startAndJoin);
  }
  check(forkserverPid() === server, 'the forkserver has been replaced');
  const figures = [
    checkFlat('parent', before.parent, holdingsOf(process.pid)),
    checkFlat('server', before.server, holdingsOf(server)),
  ];
  done(`${count} starts; ${figures.join('; ')}`);
}
