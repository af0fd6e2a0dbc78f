/**
 * An item goes to another process and back, again and again, after pauses of any length about as long as a wait spins
 * before it sleeps: so puts and sleeps meet at every moment. No wake may be missed. Who misses one looks again after
 * half a second, so a trip of that length is one.
 *
 *     tsx benchmarks/soak/queue_wakeups.ts [COUNT = 200000 trips]
 */
import * as mp from 'multiprocessing';
import type { Queue } from 'multiprocessing/queues';
import { check, countOr, done, limitTime, printSeed, randomFrom } from './support.ts';

/** Milliseconds; a look comes after 500. */
const MISSED = 450;
/** Rounds of the longest pause, some twenty microseconds. */
const LONGEST_PAUSE = 20_000;

const word = new Int32Array(1);

function pause(random: () => number): void {
  const rounds = random() * LONGEST_PAUSE;
  for (let i = 0; i < rounds; i++) word[0] = i;
}

/** Alternately the blocking call and the awaited one, in runs: a blocking wait ends what is awaited beside it. */
async function take(queue: Queue<number>, i: number): Promise<number> {
  return (i >> 6) % 2 === 0 ? queue.getSync() : await queue.get();
}

export async function echo(
  there: Queue<number>,
  back: Queue<number>,
  count: number,
  seed: number,
): Promise<void> {
  const random = randomFrom(seed);
  for (let i = 0; i < count; i++) {
    const item = await take(there, i >> 1);
    pause(random);
    back.putSync(item);
  }
}

async function main(): Promise<void> {
  const count = countOr(200_000);
  limitTime(60 + count / 1000);
  const seed = printSeed();
  const random = randomFrom(seed);
  const ctx = mp.getContext('forkserver');
  const [there, back] = [ctx.Queue<number>(), ctx.Queue<number>()];
  const p = new ctx.Process({ target: echo, args: [there, back, count, seed + 1] });
  await p.start();
  let missed = 0;
  let longest = 0;
  for (let i = 0; i < count; i++) {
    const begin = performance.now();
    there.putSync(i);
    check((await take(back, i)) === i, 'another item came back');
    const time = performance.now() - begin;
    if (i > 0) longest = Math.max(longest, time); // the first one waits for the start of the process
    if (i > 0 && time > MISSED) missed++;
    pause(random);
  }
  await p.join();
  check(p.exitcode === 0, `exit code ${p.exitcode}`);
  check(missed === 0, `${missed} of ${count} trips took longer than ${MISSED} ms`);
  done(`${count} trips, none missed; the longest ${longest.toFixed(0)} ms`);
}

if (mp.isMain(import.meta)) await main();
