/**
 * Measures one library's pool, on request: a line of words on stdin is answered by a number on stdout. benchmarks/pool.py is
 * its twin.
 *
 *     many COUNT              small tasks a second, one by one: `map` with chunks of one, or many `run()` at once
 *     chunks COUNT            the same by `map` as it is
 *     trip COUNT              microseconds for one, awaited
 *     first                   milliseconds from a new pool to its first result
 *     argument LENGTH COUNT   milliseconds for a Float64Array that goes to a worker
 *     moved LENGTH COUNT      the same for one that its owner loses
 *     result LENGTH COUNT     milliseconds for one that comes from it
 *     cpu WORKERS COUNT       milliseconds for eight tasks that compute
 *     stream COUNT            megabytes of this process above its start, at most, while results of so many tasks are taken
 *     idle WORKERS            megabytes (PSS) that so many workers add which have nothing to do
 *     server BUSY COUNT       milliseconds for a request to this process (99 of 100 take less), while all workers compute or rest
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { libraries } from './libraries.mjs';
import tasks from './tasks.cjs';

const [, , library = ''] = process.argv;
const isOurs = library === 'pool' || library === 'executor';
/** As many as there are processors, on all sides. */
const WORKERS = availableParallelism();
/** How often all of it is done before the clock starts, where a rate is measured. */
const WARM = 3;
/** Calls of `run()` at once where there is no `map`. */
const AT_ONCE = 100;

const clock = () => performance.now();

async function withPool(workers, code, options) {
  const open = libraries[library];
  const pool = await open(workers, options);
  try {
    // All of its workers are there.
    await Promise.all(Array.from({ length: workers }, () => pool.run('pause', 50)));
    return await code(pool);
  } finally {
    await pool.end();
  }
}

async function runAll(pool, count) {
  let last;
  for (let i = 0; i < count; i += AT_ONCE) {
    const length = Math.min(AT_ONCE, count - i);
    const results = Array.from({ length }, (_, j) => pool.run('square', i + j));
    last = (await Promise.all(results)).at(-1);
  }
  return last;
}

async function mapAll({ pool }, count, chunksize) {
  const items = Array.from({ length: count }, (_, i) => i);
  if (library === 'pool') return (await pool.map(tasks.square, items, { chunksize })).at(-1);
  let last;
  for await (const result of pool.map(tasks.square, items, { chunksize })) last = result;
  return last;
}

function rate(count, all, options) {
  return withPool(
    WORKERS,
    async (pool) => {
      for (let i = 0; i < WARM; i++) await all(pool, count);
      const begin = clock();
      const last = await all(pool, count);
      const seconds = (clock() - begin) / 1000;
      if (last !== (count - 1) ** 2) throw new Error(`the last result is ${last}`);
      return count / seconds;
    },
    options,
  );
}

/** Milliseconds for each. */
function each(count, run, workers = WORKERS) {
  return withPool(workers, async (pool) => {
    for (let i = 0; i < count; i++) await run(pool);
    const begin = clock();
    for (let i = 0; i < count; i++) await run(pool);
    return (clock() - begin) / count;
  });
}

async function first() {
  const begin = clock();
  const pool = await libraries[library](WORKERS);
  if ((await pool.run('square', 7)) !== 49) throw new Error('another result');
  const time = clock() - begin;
  await pool.end();
  return time;
}

const ARRAYS = {
  argument: (pool, sent) => pool.run('last', sent),
  result: (pool, { length }) => pool.run('array', length),
};

function arrays(what, length, count) {
  const sent = tasks.array(length);
  return each(count, async (pool) => {
    const result = await ARRAYS[what](pool, sent);
    if ((what === 'result' ? result.at(-1) : result) !== 1.5) throw new Error('another array');
  });
}

function moved(length, count) {
  return each(count, async (pool) => {
    const result = await pool.move('last', new Float64Array(length));
    if (result !== 0) throw new Error('another array');
  });
}

function cpu(workers, count) {
  return withPool(workers, async ({ run }) => {
    await Promise.all(Array.from({ length: workers }, () => run('spin', 1e6)));
    const begin = clock();
    await Promise.all(Array.from({ length: 8 }, () => run('spin', count)));
    return clock() - begin;
  });
}

const megabytesOf = (field) =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status'))[1]) /
  1024;

function stream(count) {
  const items = function* () {
    for (let i = 0; i < count; i++) yield i;
  };
  return withPool(WORKERS, async ({ pool }) => {
    const before = megabytesOf('VmRSS');
    let sum = 0;
    for await (const result of pool.imapUnordered(tasks.square, items())) sum += result;
    if (Math.abs(sum / (count ** 3 / 3) - 1) > 0.01) throw new Error(`the sum is ${sum}`);
    return megabytesOf('VmHWM') - before;
  });
}

/** This process and all that come from it. */
function family(pid = process.pid) {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean),
  );
  return [pid, ...children.flatMap((child) => family(child))];
}

/** Proportional set size: a page that n processes share counts as 1/n. */
function megabytes() {
  const sizes = family().map((pid) => {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    return Number(/^Pss:\s+(\d+) kB$/m.exec(text)[1]) / 1024;
  });
  return sizes.reduce((sum, size) => sum + size);
}

async function idle(workers) {
  const before = megabytes();
  const pool = await libraries[library](workers);
  await Promise.all(Array.from({ length: workers }, () => pool.run('pause', 200)));
  await wait(500);
  const more = megabytes() - before;
  await pool.end();
  return more;
}

async function server(busy, count) {
  const http = createServer((_, response) => response.end('hello'));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const time = await withPool(
    WORKERS,
    async ({ run }) => {
      let over = busy !== 'busy';
      const lanes = Array.from({ length: WORKERS }, async () => {
        while (!over) await run('spin', 1e7);
      });
      const client = fork(fileURLToPath(new URL('client.mjs', import.meta.url)), [
        String(http.address().port),
        String(count),
      ]);
      const [answer] = await once(client, 'message');
      over = true;
      await Promise.all(lanes);
      return answer;
    },
    busy === 'busy' && ['pool', 'piscina'].includes(library) ? { niceIncrement: 10 } : {},
  );
  http.close();
  return time;
}

function answer(what, [one, two]) {
  if (what === 'many')
    return isOurs ? rate(one, (pool, count) => mapAll(pool, count, 1)) : rate(one, runAll);
  if (what === 'chunks') return rate(one, (pool, count) => mapAll(pool, count));
  if (what === 'trip')
    return each(one, (pool) => pool.run('square', 7)).then((milliseconds) => milliseconds * 1000);
  if (what === 'first') return first();
  if (what in ARRAYS) return arrays(what, one, two);
  if (what === 'moved') return moved(one, two);
  if (what === 'cpu') return cpu(one, two);
  if (what === 'stream') return stream(one);
  if (what === 'idle') return idle(one);
  throw new Error(`what is ${what}?`);
}

/** A child of a pool imports this file, too. */
async function isMain() {
  if (!isOurs) return true;
  const mp = await import('multiprocessing');
  return mp.isMain(import.meta);
}

if (await isMain()) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, ...words] = line.split('\t');
    if (what === 'server') console.log(await server(words[0], Number(words[1])));
    else console.log(await answer(what, words.map(Number)));
  }
  // Some have workers that keep the program alive.
  process.exit();
}
