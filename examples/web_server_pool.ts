/**
 * An HTTP server that computes, once in its own process and once in a pool. Somebody asks it for something small all the time,
 * and sees how long that takes.
 *
 *     npx tsx examples/web_server_pool.ts
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as mp from 'multiprocessing';

/** How many prime numbers there are below n: some tenths of a second for a million. */
export function countPrimes(n: number): number {
  let count = 0;
  for (let x = 2; x < n; x++) {
    let isPrime = true;
    for (let i = 2; isPrime && i * i <= x; i++) isPrime = x % i !== 0;
    if (isPrime) count++;
  }
  return count;
}

type Compute = (n: number) => number | Promise<number>;

async function serve(compute: Compute): Promise<Server> {
  const server = createServer(async ({ url = '' }, response) => {
    const [, primesBelow] = /^\/primes\/(\d+)$/.exec(url) ?? [];
    response.end(primesBelow === undefined ? 'pong' : String(await compute(Number(primesBelow))));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Asks for prime numbers, and meanwhile for pings, one behind the other. */
async function measure(title: string, compute: Compute): Promise<void> {
  const server = await serve(compute);
  const { port } = server.address() as AddressInfo;
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  await ask('/ping');
  let over = false;
  const primes = Promise.all([1, 2, 3, 4].map(() => ask('/primes/700000'))).then((answers) => {
    over = true;
    return answers;
  });
  const times: number[] = [];
  while (!over) {
    const begin = performance.now();
    await ask('/ping');
    times.push(performance.now() - begin);
  }
  console.log(`${title}: ${new Set(await primes).size} answer, ${[...(await primes)][0]}`);
  const most = times.sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] as number;
  console.log(`  99 of 100 pings took ${most.toFixed(1)} ms at most`);
  server.close();
  server.closeAllConnections();
}

if (mp.isMain(import.meta)) {
  await measure('in the server', countPrimes);
  // Its workers give way to the server where all want the processor.
  await using pool = mp.Pool(2, { niceIncrement: 10 });
  await pool.map(countPrimes, [2, 3]); // its workers are there
  await measure('in a pool', (n) => pool.apply(countPrimes, [n]));
}
