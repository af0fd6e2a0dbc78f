/**
 * Tasks of a pool while a SIGKILL hits one of its workers every 50 ms or so, at any moment of a worker's life: each task is answered
 * once, by its result or by a WorkerLostError, and what is lost is what killed workers had in their hands, neither more nor less.
 *
 * To know that, a worker is stopped before it is killed: what it has in hand then no longer changes. One that has said that it
 * has an answer, and has not sent it yet, has lost its task too; those are counted beside.
 *
 *     tsx benchmarks/soak/pool.ts [COUNT = 1000000 tasks]
 */
import { readFileSync } from 'node:fs';
import * as mp from 'multiprocessing';
import { type Pool, WorkerLostError } from 'multiprocessing/pool';
import {
  check,
  checkFlat,
  childrenOf,
  countOr,
  done,
  holdingsAtRest,
  limitTime,
  printSeed,
  randomFrom,
  within,
} from './support.ts';

const WORKERS = 4;
/** Milliseconds from one kill to the next, on average. */
const EVERY = 50;
/** Tasks of one call of imapUnordered, and of as many calls of apply. */
const BATCH = 10_000;
/** Calls of apply at the same time. */
const AT_ONCE = 500;

function busy(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

/** Some are over at once, some take their time, some leave the event loop to others. */
export function work(i: number): [number, number] | Promise<[number, number]> {
  if (i % 64 === 0) busy(((i >> 6) % 10) / 10);
  const result: [number, number] = [i, Math.imul(i, 2654435761)];
  return i % 7 === 0 ? Promise.resolve(result) : result;
}

/** What has become of the tasks. */
class Tally {
  readonly #seen: Uint8Array;
  results = 0;
  /** Tasks that each worker has taken with it. */
  readonly lost = new Map<number, number>();

  constructor(count: number) {
    this.#seen = new Uint8Array(count);
  }

  #once(i: number): void {
    check(this.#seen[i] === 0, `task ${i} was answered twice`);
    this.#seen[i] = 1;
  }

  result([i, value]: readonly [number, number]): void {
    check(value === Math.imul(i, 2654435761), `a wrong result of task ${i}: ${value}`);
    this.#once(i);
    this.results++;
  }

  /** @param first the number of the first task of the call */
  error(error: unknown, first: number): void {
    check(error instanceof WorkerLostError, `a task failed by another error: ${error}`);
    const { pid, exitcode, task } = error;
    check(pid !== undefined && exitcode === -9 && task !== undefined, `${error}`);
    this.#once(first + task.index);
    this.lost.set(pid, (this.lost.get(pid) ?? 0) + 1);
  }

  get all(): number {
    let sum = 0;
    for (const count of this.lost.values()) sum += count;
    return sum;
  }
}

async function imapUnordered(pool: Pool, tally: Tally, first: number, count: number) {
  const items = Array.from({ length: count }, (_, i) => first + i);
  const results = pool.imapUnordered(work, items);
  for (;;) {
    try {
      const { done, value } = await results.next();
      if (done) return;
      tally.result(value);
    } catch (error) {
      tally.error(error, first);
    }
  }
}

async function apply(pool: Pool, tally: Tally, first: number, count: number) {
  for (let i = first; i < first + count; i += AT_ONCE) {
    const calls = Array.from({ length: Math.min(AT_ONCE, first + count - i) }, (_, n) =>
      pool.apply(work, [i + n]).then(
        (result) => tally.result(result),
        (error) => tally.error(error, i + n),
      ),
    );
    await Promise.all(calls);
  }
}

const isStopped = (pid: number) =>
  /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));

/** Kills workers, and knows what they had in hand. */
class Killer {
  readonly #pool: Pool;
  readonly #random: () => number;
  #timer: NodeJS.Timeout | undefined;
  /** Tasks that each killed worker had in hand. */
  readonly hits = new Map<number, number>();

  constructor(pool: Pool, random: () => number) {
    this.#pool = pool;
    this.#random = random;
    this.#later();
  }

  #later(): void {
    this.#timer = setTimeout(() => this.#kill(), this.#random() * 2 * EVERY);
  }

  #kill(): void {
    const pids = this.#pool
      .stats()
      .workers.flatMap(({ pid }) => (pid === undefined || this.hits.has(pid) ? [] : pid));
    const pid = pids[Math.floor(this.#random() * pids.length)];
    if (pid !== undefined) {
      process.kill(pid, 'SIGSTOP');
      while (!isStopped(pid)); // some microseconds
      const worker = this.#pool.stats().workers.find((worker) => worker.pid === pid);
      this.hits.set(pid, worker?.running ?? 0);
      process.kill(pid, 'SIGKILL');
    }
    this.#later();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function compare({ hits }: Killer, { lost }: Tally): { hit: number; between: number } {
  let hit = 0;
  let between = 0;
  for (const [pid, inHand] of hits) {
    const gone = lost.get(pid) ?? 0;
    check(inHand <= 1, `worker ${pid} had ${inHand} tasks in hand`);
    check(gone >= inHand, `worker ${pid} was killed with a task in hand, which nobody has lost`);
    check(gone <= 1, `worker ${pid} has taken ${gone} tasks with it`);
    hit += inHand;
    between += gone - inHand;
  }
  for (const pid of lost.keys()) check(hits.has(pid), `nobody has killed worker ${pid}`);
  return { hit, between };
}

async function main(): Promise<void> {
  const count = countOr(1_000_000);
  limitTime(60 + count / 1000);
  const random = randomFrom(printSeed());
  const others = new Set(childrenOf(process.pid));
  const pool = mp.getContext('forkserver').Pool(WORKERS);
  const tally = new Tally(count);
  await pool.map(work, [0, 1, 2, 3]);
  const killer = new Killer(pool, random);
  let before: Awaited<ReturnType<typeof holdingsAtRest>> | undefined;
  for (let first = 0; first < count; first += BATCH) {
    const call = (first / BATCH) % 2 === 0 ? imapUnordered : apply;
    const size = Math.min(BATCH, count - first);
    await within(120, `tasks ${first} to ${first + size}`, call(pool, tally, first, size));
    if (before === undefined && first >= count / 10) before = await holdingsAtRest();
  }
  killer.stop();
  const { hit, between } = compare(killer, tally);
  check(tally.results + tally.all === count, `${tally.results} + ${tally.all} answers`);
  const after = await holdingsAtRest();
  const { replaced } = pool.stats();
  pool.close();
  await within(60, 'join', pool.join());
  const flat = before === undefined ? 'parent not measured' : checkFlat('parent', before, after);
  const left = childrenOf(process.pid).filter((pid) => !others.has(pid));
  check(left.length <= 2, `children are left: ${left.join()}`); // the forkserver and the tracker
  done(
    `${count} tasks, ${killer.hits.size} kills; ${hit} hit a worker with a task, ${between} one that had yet to send its answer; ` +
      `${tally.all} tasks lost; ${replaced.lost ?? 0} workers replaced; ${flat}`,
  );
}

if (mp.isMain(import.meta)) await main();
