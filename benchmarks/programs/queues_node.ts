/**
 * The twin of queues.ts for Node's own means, `child_process.fork` and `worker_threads`. A line of words on stdin is
 * answered by a number on stdout.
 *
 *     queue HOW COUNT         messages a second from a child (HOW is fork) or a thread (worker)
 *     trip fork COUNT         microseconds from one process to another and back
 *     array LENGTH COUNT      milliseconds for a Float64Array from a child with serialization 'advanced'
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

interface Item {
  readonly i: number;
  readonly s: string;
}

const file = new URL(import.meta.url);
const [, , role, ...parameters] = process.argv;

/** As many a second as come when a fifth of them is there. */
function receive(source: Pick<ChildProcess | Worker, 'on'>, count: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let received = 0;
    let begin = 0;
    source.on('message', (item: unknown) => {
      if (++received === count / 5) begin = performance.now();
      if (received < count) return;
      const seconds = (performance.now() - begin) / 1000;
      const last = item as Item | Float64Array;
      if ('i' in last ? last.i === count - 1 : last.at(-1) === 1.5)
        resolve((count * 4) / 5 / seconds);
      else reject(new Error('the last item is another one'));
    });
    source.on('error', reject);
  });
}

function startChild(
  serialization: 'json' | 'advanced',
  ...args: (string | number)[]
): ChildProcess {
  return fork(file, args.map(String), { serialization });
}

async function queue(how: string, count: number): Promise<number> {
  const source =
    how === 'fork' ? startChild('json', 'produce', count) : new Worker(file, { workerData: count });
  const ended = once(source, 'exit');
  const rate = await receive(source, count);
  await ended;
  return rate;
}

async function trip(count: number): Promise<number> {
  const child = startChild('json', 'echo');
  const ended = once(child, 'exit');
  const item = { i: 0, s: 'hello' };
  let left = count;
  let begin = 0;
  const time = await new Promise<number>((resolve) => {
    child.on('message', () => {
      if (left === (count * 4) / 5) begin = performance.now();
      if (--left > 0) child.send(item);
      else resolve(((performance.now() - begin) * 1000) / ((count * 4) / 5));
    });
    child.send(item);
  });
  child.disconnect();
  await ended;
  return time;
}

async function array(length: number, count: number): Promise<number> {
  const child = startChild('advanced', 'arrays', length, count);
  const ended = once(child, 'exit');
  const rate = await receive(child, count);
  await ended;
  return 1000 / rate;
}

/** Sends without waiting, and ends when all has gone. */
function sendAll(count: number, itemOf: (i: number) => Item | Float64Array): void {
  for (let i = 0; i < count; i++) {
    process.send?.(itemOf(i), undefined, undefined, () => {
      if (i === count - 1) process.disconnect();
    });
  }
}

if (!isMainThread) {
  for (let i = 0; i < (workerData as number); i++) parentPort?.postMessage({ i, s: 'hello' });
} else if (role === 'produce') {
  sendAll(Number(parameters[0]), (i) => ({ i, s: 'hello' }));
} else if (role === 'arrays') {
  const array = new Float64Array(Number(parameters[0])).fill(1.5);
  sendAll(Number(parameters[1]), () => array);
} else if (role === 'echo') {
  process.on('message', (item) => process.send?.(item));
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, how = '', count] = line.split('\t');
    if (what === 'queue') console.log(await queue(how, Number(count)));
    else if (what === 'trip') console.log(await trip(Number(count)));
    else console.log(await array(Number(how), Number(count)));
  }
}
