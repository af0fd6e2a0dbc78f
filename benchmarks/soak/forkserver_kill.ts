/**
 * SIGKILL of the forkserver at random moments while processes are being started: each pending start resolves, or
 * rejects with an error of this library; the next start works, by a new server; nothing is left over.
 *
 *     tsx benchmarks/soak/forkserver_kill.ts [COUNT = 50 kills]
 */
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
  limitTime,
  printSeed,
  processesWith,
  randomFrom,
  untilGone,
  within,
} from './support.ts';

const PENDING = 10;
/** Milliseconds in which they are started. */
const WINDOW = 60;
const OWN_CODE = 7;
/** The exit code of a child whose server is gone: nobody could ask the kernel for its own. */
const UNKNOWN = 255;

export function exitWithOwn(): never {
  throw new mp.SystemExit(OWN_CODE);
}

const newProcess = () => new (mp.getContext('forkserver').Process)({ target: exitWithOwn });

const reasons = new Set<string>();
const outcomes = { resolved: 0, rejected: 0, ownCode: 0, unknownCode: 0 };

async function startOne(round: number): Promise<void> {
  const p = newProcess();
  try {
    await within(30, `round ${round}: a pending start`, p.start());
  } catch (error) {
    const typed = [mp.RuntimeError, mp.ValueError, mp.OSError].some(
      (type) => error instanceof type,
    );
    check(typed, `round ${round}: a start rejected with ${error}`);
    outcomes.rejected++;
    reasons.add(`${(error as Error).name}: ${(error as Error).message}`);
    return;
  }
  outcomes.resolved++;
  await within(30, `round ${round}: a join of ${p.pid}`, p.join());
  const { exitcode } = p;
  check(exitcode === OWN_CODE || exitcode === UNKNOWN, `round ${round}: exit code ${exitcode}`);
  if (exitcode === OWN_CODE) outcomes.ownCode++;
  else outcomes.unknownCode++;
}

/** A start that nobody disturbs. */
async function startUndisturbed(round: number): Promise<void> {
  const p = newProcess();
  await within(30, `round ${round}: the next start`, p.start());
  await within(30, `round ${round}: the next join`, p.join());
  check(p.exitcode === OWN_CODE, `round ${round}: the next start gave exit code ${p.exitcode}`);
}

async function killOnce(round: number, random: () => number): Promise<void> {
  const server = forkserverPid();
  const starts = Array.from({ length: PENDING }, async () => {
    await sleep(random() * WINDOW);
    await startOne(round);
  });
  await sleep(random() * WINDOW);
  process.kill(server, 'SIGKILL');
  await Promise.all(starts);
  await untilGone(server, 30); // a SIGKILL takes effect a moment after the call
  await startUndisturbed(round);
  check(forkserverPid() !== server, `round ${round}: the server that was killed is used again`);
}

if (mp.isMain(import.meta)) {
  const count = countOr(50);
  limitTime(60 + count * 5);
  const random = randomFrom(printSeed());
  const mark = `SOAK_FAMILY=${process.pid}`;
  process.env.SOAK_FAMILY = String(process.pid);
  await startUndisturbed(0);
  await killOnce(0, random);
  const others = new Set(childrenOf(process.pid));
  others.delete(forkserverPid());
  const before = holdingsOf(process.pid);
  for (let round = 1; round <= count; round++) await killOnce(round, random);
  const flat = checkFlat('parent', before, holdingsOf(process.pid));
  const server = forkserverPid();
  // Children whose server died are nobody's business any more, but they do end.
  for (const pid of processesWith(mark)) {
    if (pid === server) continue;
    await untilGone(pid, 30).catch(() => check(false, `left over: ${describeProcess(pid)}`));
  }
  const left = childrenOf(process.pid).filter((pid) => pid !== server && !others.has(pid));
  check(left.length === 0, `children are left: ${left.map(describeProcess).join('; ')}`);
  const { resolved, rejected, ownCode, unknownCode } = outcomes;
  console.log(`rejected with: ${[...reasons].join('; ')}`);
  done(
    `${count} kills; pending starts: ${resolved} resolved (exit code own ${ownCode}, unknown ${unknownCode}),` +
      ` ${rejected} rejected; ${flat}`,
  );
}
