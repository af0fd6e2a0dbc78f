/**
 * Four producers and four consumers of one queue, some blocking and some not, of small items and large ones, while they
 * are killed at random moments and replaced: nothing comes twice, nothing is lost but what was in the hands of a
 * consumer that was killed, and the items of each producer come in their order.
 *
 *     tsx benchmarks/soak/queues.ts [COUNT = 2000000 items]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import type { Queue } from 'multiprocessing/queues';
import { check, countOr, done, limitTime, printSeed, randomFrom, within } from './support.ts';

const EACH = 4;
/** Items of one producer; the next one has another id. */
const QUOTA = 10_000;
/** Every so many items one is large. */
const LARGE = 997;

// Words of the shared state.
const STOP = 0;
const DOUBLED = 1;
const DISORDER = 2;
const DAMAGED = 3;
/** How many items each producer has put for certain: a killed one may have put one more. */
const PUT = 16;

interface Shared {
  queue: Queue<Item>;
  words: Int32Array;
  /** A bit for each item that was got. */
  got: Int32Array;
}

interface Item {
  id: number;
  i: number;
  data: string | Float64Array;
}

function dataOf(id: number, i: number): Item['data'] {
  return i % LARGE === 0
    ? new Float64Array(10_000).fill(id * QUOTA + i)
    : 'x'.repeat((i * 7) % 100);
}

export async function produce({ queue, words }: Shared, id: number): Promise<void> {
  for (let i = 0; i < QUOTA; i++) {
    const item = { id, i, data: dataOf(id, i) };
    if (id % 2 === 0) queue.putSync(item);
    else await queue.put(item);
    Atomics.store(words, PUT + id, i + 1);
  }
}

export async function consume({ queue, words, got }: Shared, sync: boolean): Promise<void> {
  const last = new Map<number, number>();
  while (Atomics.load(words, STOP) === 0) {
    let item: Item;
    try {
      item = sync ? queue.getSync(true, 0.2) : await queue.get(true, 0.2);
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_MP_EMPTY') continue;
      Atomics.add(words, DAMAGED, 1);
      continue;
    }
    const { id, i, data } = item;
    const bit = id * QUOTA + i;
    const before = Atomics.or(got, bit >>> 5, 1 << (bit & 31));
    if ((before & (1 << (bit & 31))) !== 0) Atomics.add(words, DOUBLED, 1);
    if (i <= (last.get(id) ?? -1)) Atomics.add(words, DISORDER, 1);
    last.set(id, i);
    const isWhole = i % LARGE === 0 ? (data as Float64Array)[9999] === bit : data === dataOf(id, i);
    if (!isWhole) Atomics.add(words, DAMAGED, 1);
  }
}

async function main(): Promise<void> {
  const count = countOr(2_000_000);
  limitTime(60 + count / 5000);
  const random = randomFrom(printSeed());
  const ctx = mp.getContext('forkserver');
  const max = 6000;
  const shared: Shared = {
    queue: ctx.Queue(random() < 0.5 ? 0 : 500),
    words: ctx.RawArray('i', PUT + max),
    got: ctx.RawArray('i', (max * QUOTA) / 32),
  };
  const { queue, words, got } = shared;
  let producers = 0;
  let killed = { producers: 0, consumers: 0 };
  const puts = () => words.subarray(PUT, PUT + producers).reduce((a, b) => a + b, 0);
  const startProducer = async () => {
    check(producers < max, 'too many producers');
    const p = new ctx.Process({ target: produce, args: [shared, producers++] });
    await p.start();
    return p;
  };
  const startConsumer = async (i: number) => {
    const p = new ctx.Process({ target: consume, args: [shared, i % 2 === 0] });
    await p.start();
    return p;
  };
  const [makers, takers]: mp.Process[][] = [[], []] as never;
  for (let i = 0; i < EACH; i++) {
    makers?.push((await startProducer()) as never);
    takers?.push((await startConsumer(i)) as never);
  }
  while (puts() < count) {
    await sleep(20 + random() * 200);
    const i = Math.floor(random() * EACH);
    const isMaker = random() < 0.5;
    const victim = (isMaker ? makers : takers)?.[i] as mp.Process;
    const wasAlive = victim.isAlive();
    victim.kill();
    await within(30, 'the join of a killed process', victim.join());
    if (wasAlive)
      killed = {
        ...killed,
        [isMaker ? 'producers' : 'consumers']: killed[isMaker ? 'producers' : 'consumers'] + 1,
      };
    if (isMaker) (makers as mp.Process[])[i] = (await startProducer()) as never;
    else (takers as mp.Process[])[i] = (await startConsumer(i)) as never;
    for (const [j, p] of (makers ?? []).entries()) {
      if (!p.isAlive()) (makers as mp.Process[])[j] = (await startProducer()) as never;
    }
  }
  for (const p of makers ?? []) {
    p.kill();
    await within(30, 'the join of a producer', p.join());
  }
  const end = performance.now() + 60_000;
  while (!queue.empty()) {
    check(performance.now() < end, `${queue.qsize()} items stay in the queue`);
    await sleep(20);
  }
  Atomics.store(words, STOP, 1);
  for (const p of takers ?? []) {
    await within(30, 'the end of a consumer', p.join());
    check(p.exitcode === 0, `exit code ${p.exitcode}`);
  }
  let [lost, more, total] = [0, 0, 0];
  for (let id = 0; id < producers; id++) {
    const put = words[PUT + id] as number;
    for (let i = 0; i < QUOTA; i++) {
      const bit = id * QUOTA + i;
      const has = ((got[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
      if (has) total++;
      if (i < put && !has) lost++;
      else if (i > put && has) more++;
    }
  }
  check(words[DOUBLED] === 0, `${words[DOUBLED]} items came twice`);
  check(words[DISORDER] === 0, `${words[DISORDER]} items came out of order`);
  check(words[DAMAGED] === 0, `${words[DAMAGED]} items were damaged`);
  check(more === 0, `${more} items came that nobody had put`);
  check(
    lost <= killed.consumers,
    `${lost} items are lost, of ${killed.consumers} killed consumers`,
  );
  done(
    `${total} items of ${producers} producers; ${killed.producers} producers and ${killed.consumers} consumers killed,` +
      ` ${lost} items lost in their hands; none twice, none out of order`,
  );
}

if (mp.isMain(import.meta)) await main();
