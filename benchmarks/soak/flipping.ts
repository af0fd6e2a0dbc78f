/**
 * Two processes that use a queue, a lock, a semaphore, a condition, an event, a barrier or a value with its lock, while a third
 * writes anything into words of its shared memory: each call ends within its time, well or with one of its ordinary
 * errors or with the one that tells of the damage; nobody crashes, event loops turn, nothing is left behind.
 *
 *     tsx benchmarks/soak/flipping.ts [COUNT = 10000 rounds, or --rounds COUNT] [--seed N]
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import * as mp from 'multiprocessing';
import type { Connection } from 'multiprocessing/connection';
import { flip, makeObject, type Shared, wordsOf } from './flipping_objects.ts';
import { use } from './flipping_uses.ts';
import {
  check,
  checkFlat,
  childrenOf,
  done,
  type Holdings,
  holdingsAtRest,
  limitTime,
  printSeed,
  randomFrom,
  within,
} from './support.ts';

/** Rounds of one pair of processes, each with an object of its own. */
const EACH = 100;
/** Calls of each process in a round. */
const CALLS = 3;
/** Seconds that a call may take beyond its timeout: what gives others a moment to get through has one second for it. */
const GRACE = 4;
/** Bytes that a process may have taken at the most. */
const MOST_MEMORY = 700 * 2 ** 20;

/** How often calls ended in which way. */
type Ends = Record<string, number>;

interface Reply {
  ends: Ends;
  /** Milliseconds of the longest call that has a timeout. */
  longest: number;
  memory: number;
}

/** In each of the two processes. */
export async function useAll(objects: Shared[], orders: Connection, seed: number): Promise<void> {
  const random = randomFrom(seed);
  for (;;) {
    const round = (await orders.recv()) as number;
    if (round < 0) return;
    const reply: Reply = { ends: {}, longest: 0, memory: 0 };
    for (let i = 0; i < CALLS; i++) {
      const begin = performance.now();
      const { end, isTimed } = await use(objects[round] as Shared, random);
      reply.ends[end] = (reply.ends[end] ?? 0) + 1;
      if (isTimed) reply.longest = Math.max(reply.longest, performance.now() - begin);
      await nextTurn();
    }
    reply.memory = process.resourceUsage().maxRSS * 1024;
    await orders.send(reply);
  }
}

interface User {
  readonly process: Pick<mp.Process, 'join' | 'exitcode' | 'close'>;
  readonly orders: Connection;
}

const ctx = mp.getContext('forkserver');
const total: Ends = {};
let longest = 0;
/** Rounds in which a call that has no timeout waited for what the memory said, until it was put right. */
let healed = 0;

async function startUser(objects: Shared[], seed: number): Promise<User> {
  const [orders, far] = ctx.Pipe();
  const p = new ctx.Process({ target: useAll, args: [objects, far, seed], daemon: true });
  await within(60, 'a start', p.start());
  far.close();
  return { process: p, orders };
}

function note({ ends, longest: time, memory }: Reply, what: string): void {
  for (const [end, count] of Object.entries(ends)) {
    check(!end.startsWith('!'), `${what}: ${end}`);
    total[end] = (total[end] ?? 0) + count;
  }
  longest = Math.max(longest, time);
  check(time < GRACE * 1000, `${what}: a call took ${time.toFixed(0)} ms`);
  check(memory < MOST_MEMORY, `${what}: a process took ${(memory / 2 ** 20).toFixed(0)} MB`);
}

async function answers(users: User[], what: string): Promise<Reply[]> {
  const replies = users.map(async ({ process: p, orders }) => {
    try {
      return (await orders.recv()) as Reply;
    } catch (error) {
      await p.join(5);
      return check(false, `${what}: exit code ${p.exitcode}: ${String(error)}`) as never;
    }
  });
  return Promise.all(replies);
}

/** Ends calls that have no timeout: nobody has the locks any more, and there is something to get. */
function putRight(object: Shared): void {
  for (const words of wordsOf(object)) words.fill(0);
  if (object.kind !== 'SimpleQueue') return;
  try {
    for (let i = 0; i < 2; i++) object.object.putSync('item');
  } catch {
    // they were faster: in a second again
  }
}

async function playRound(object: Shared, index: number, users: User[], random: () => number) {
  const what = `seed ${seed}, ${object.kind} ${index}`;
  let isOver = false;
  const replied = answers(users, what).finally(() => {
    isOver = true;
  });
  for (const { orders } of users) await orders.send(index % EACH);
  const undo: (() => void)[] = [];
  for (let flips = 1 + random() * 6; flips > 0 && !isOver; flips--) {
    undo.push(flip(object, random));
    await nextTurn();
  }
  let late = setTimeout(
    () => {
      healed++;
      putRight(object);
      late = setInterval(() => putRight(object), 1000);
    },
    (GRACE + 1) * 1000,
  );
  for (const reply of await within(60, what, replied)) note(reply, what);
  clearTimeout(late);
  for (const back of undo) back();
}

async function playBatch(first: number, count: number, random: () => number): Promise<void> {
  const objects = Array.from({ length: count }, (_, i) => makeObject(ctx, first + i));
  const users = await Promise.all(
    [1, 2].map(() => startUser(objects, Math.floor(random() * 2 ** 31))),
  );
  for (const [i, object] of objects.entries()) await playRound(object, first + i, users, random);
  for (const { process: p, orders } of users) {
    await orders.send(-1);
    await within(30, 'the end of a process', p.join());
    check(p.exitcode === 0, `seed ${seed}: exit code ${p.exitcode} after round ${first + count}`);
    orders.close();
    p.close();
  }
}

let seed = 0;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '10000' },
      seed: { type: 'string', default: process.env.SOAK_SEED ?? '' },
    },
  });
  const rounds = Number(positionals[0] ?? values.rounds);
  check(Number.isInteger(rounds) && rounds > 0, `not a number of rounds: ${rounds}`);
  if (values.seed !== '') process.env.SOAK_SEED = values.seed;
  limitTime(120 + rounds * 0.12);
  process.env.NODE_NO_WARNINGS = '1'; // of children: dead owners that nobody has ever been
  seed = printSeed();
  const random = randomFrom(seed);
  let before: Holdings | undefined;
  for (let i = 0; i < rounds; i += EACH) {
    await playBatch(i, Math.min(EACH, rounds - i), random);
    if (i === 2 * EACH) before = await holdingsAtRest();
  }
  const flat = before && checkFlat('this process', before, await holdingsAtRest());
  check(childrenOf(process.pid).length <= 2, 'children are left'); // the servers
  const ends = Object.entries(total).sort(([, a], [, b]) => b - a);
  done(
    `${rounds} rounds of two processes with ${CALLS} calls: ${ends.map(([end, n]) => `${n} ${end}`).join(', ')};` +
      ` the longest took ${longest.toFixed(0)} ms, ${healed} without a timeout waited until the memory was put right;` +
      ` ${flat ?? 'too few to compare memory'}`,
  );
}

if (mp.isMain(import.meta)) await main();
