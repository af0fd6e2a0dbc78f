/**
 * Eight processes that take locks and give them back, blocking and not, with and without timeouts, while some of them
 * are killed at random moments: two never have a lock at once, nobody waits for ever, the counts are right in the
 * end.
 *
 *     tsx benchmarks/soak/locks.ts [COUNT = 60 seconds]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import type { Lock, RLock, Semaphore } from 'multiprocessing/synchronize';
import { check, countOr, done, limitTime, printSeed, randomFrom, within } from './support.ts';

const WORKERS = 8;
/** These are not killed: a killed holder of a semaphore takes its permit with it, as in CPython. */
const IMMORTAL = 4;
const PERMITS = 2;
/** Processes that may be started in all, those in the place of the killed among them. */
const MAX = 4096;

// Words of the shared state; the three tables have a word for each process.
const STOP = 0;
const VIOLATIONS = 1;
const PERMITS_OUT = 2;
const INSIDE = 4; // who is inside of each lock
const COUNTS = 8; // what each lock protects
const RECOVERED = 14;
const KILLED = 16;
const OWN_COUNTS = KILLED + MAX;
const PROGRESS = OWN_COUNTS + 2 * MAX;
const WORDS = PROGRESS + MAX;

interface Shared {
  words: Int32Array;
  locks: [Lock, RLock];
  semaphore: Semaphore;
}

/** The protected part: alone in it, it counts without atomic instructions. */
function useLock(words: Int32Array, which: number, id: number): void {
  const before = Atomics.exchange(words, INSIDE + which, id);
  if (before !== 0 && words[KILLED + before] === 0) Atomics.add(words, VIOLATIONS, 1);
  words[COUNTS + which] = (words[COUNTS + which] as number) + 1;
  words[OWN_COUNTS + which * MAX + id] = (words[OWN_COUNTS + which * MAX + id] as number) + 1;
  if (Atomics.compareExchange(words, INSIDE + which, id, 0) !== id) {
    Atomics.add(words, VIOLATIONS, 1);
  }
}

function useSemaphore(words: Int32Array): void {
  if (Atomics.add(words, PERMITS_OUT, 1) >= PERMITS) Atomics.add(words, VIOLATIONS, 1);
  Atomics.sub(words, PERMITS_OUT, 1);
}

/** One acquire and release, in one of the forms. */
async function turn(
  { words, locks, semaphore }: Shared,
  id: number,
  random: () => number,
  alone: boolean,
): Promise<void> {
  const which = random() < 0.7 ? 0 : 1;
  const onSemaphore = id <= IMMORTAL && random() < 0.2;
  const lock = onSemaphore ? semaphore : (locks[which] as Lock | RLock);
  const block = random() < 0.9;
  const timeout = random() < 0.5 ? random() * 0.01 : undefined;
  // An owner of an rlock is a thread: only one of its asynchronous functions may be after it.
  const sync = random() < 0.5;
  const taken =
    sync && alone ? lock.acquireSync(block, timeout) : await lock.acquire(block, timeout);
  if (!taken) return;
  if (onSemaphore) useSemaphore(words);
  else {
    useLock(words, which, id);
    if (random() < 0.05) await sleep(random() * 2);
  }
  lock.release();
}

export async function worker(shared: Shared, id: number, seed: number): Promise<void> {
  const { words } = shared;
  process.on('warning', ({ name }) => {
    if (name === 'DeadOwnerWarning') Atomics.add(words, RECOVERED, 1);
  });
  const random = randomFrom(seed + id);
  while (Atomics.load(words, STOP) === 0) {
    await turn(shared, id, random, true);
    Atomics.add(words, PROGRESS + id, 1);
    if (random() < 0.01) await sleep(0);
  }
}

async function main(): Promise<void> {
  const seconds = countOr(60);
  limitTime(seconds + 120);
  process.env.NODE_NO_WARNINGS = '1'; // of children: they are counted
  const seed = printSeed();
  const random = randomFrom(seed);
  const ctx = mp.getContext('forkserver');
  const words = ctx.RawArray('i', WORDS);
  const shared: Shared = {
    words,
    locks: [ctx.Lock(), ctx.RLock()],
    semaphore: ctx.Semaphore(PERMITS),
  };
  let started = 0;
  const start = async () => {
    const id = ++started;
    check(id < MAX, 'too many processes');
    const p = new ctx.Process({ target: worker, args: [shared, id, seed] });
    await p.start();
    return { id, p };
  };
  const workers = [];
  for (let i = 0; i < WORKERS; i++) workers.push(await start());

  let kills = 0;
  const end = performance.now() + seconds * 1000;
  let seen = new Int32Array(0);
  let looked = performance.now();
  while (performance.now() < end) {
    await sleep(20 + random() * 200);
    const victim = IMMORTAL + Math.floor(random() * (WORKERS - IMMORTAL));
    const { id, p } = workers[victim] as (typeof workers)[number];
    words[KILLED + id] = 1;
    p.kill();
    kills++;
    await within(30, 'the join of a killed process', p.join());
    workers[victim] = await start();
    if (performance.now() - looked < 10_000) continue;
    looked = performance.now();
    const now = words.slice(PROGRESS, PROGRESS + MAX);
    for (const { id } of workers.slice(0, IMMORTAL)) {
      check(now[id] !== seen[id], `process ${id} has waited for 10 s`);
    }
    seen = now;
  }
  Atomics.store(words, STOP, 1);
  for (const { p } of workers) {
    await within(30, 'the end of a process', p.join());
    check(p.exitcode === 0, `exit code ${p.exitcode}`);
  }
  for (const lock of shared.locks)
    check(await lock.acquire(true, 5), `${lock} is not free in the end`);
  check(shared.semaphore.getValue() === PERMITS, `${shared.semaphore} in the end`);
  check(words[VIOLATIONS] === 0, `two were inside at once, ${words[VIOLATIONS]} times`);
  const counts = [0, 1].map((which) => {
    const count = words[COUNTS + which] as number;
    const own = words.subarray(OWN_COUNTS + which * MAX, OWN_COUNTS + (which + 1) * MAX);
    const sum = own.reduce((a, b) => a + b, 0);
    check(Math.abs(count - sum) <= kills, `counted ${count}, the processes ${sum}`);
    return count;
  });
  done(
    `${WORKERS} processes, ${counts[0]} turns of a Lock and ${counts[1]} of an RLock, ${kills} killed, of them` +
      ` ${words[RECOVERED]} with a lock; never two inside`,
  );
}

if (mp.isMain(import.meta)) await main();
