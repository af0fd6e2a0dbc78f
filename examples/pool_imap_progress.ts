/**
 * Results as they come, and a bar on stderr that says how far it is.
 *
 *     npx tsx examples/pool_imap_progress.ts
 *
 * The bar is one of the package cli-progress, which draws nothing where stderr is no terminal.
 */
import { Presets, SingleBar } from 'cli-progress';
import * as mp from 'multiprocessing';

const WIDTH = 20_000;

/** How many prime numbers there are in the n-th range of numbers. */
export function countPrimes(n: number): number {
  let count = 0;
  for (let x = Math.max(2, n * WIDTH); x < (n + 1) * WIDTH; x++) {
    let isPrime = true;
    for (let i = 2; isPrime && i * i <= x; i++) isPrime = x % i !== 0;
    if (isPrime) count++;
  }
  return count;
}

function* ranges(count: number): Generator<number> {
  for (let n = 0; n < count; n++) yield n;
}

if (mp.isMain(import.meta)) {
  await using pool = mp.Pool();
  const bar = new SingleBar({ format: '{bar} {percentage}% | {running} running' }, Presets.rect);
  bar.start(50, 0, { running: 0 });
  const onProgress = ({ done, running }: { done: number; running: number }) =>
    bar.update(done, { running });
  let primes = 0;
  for await (const count of pool.imapUnordered(countPrimes, ranges(50), { onProgress })) {
    primes += count;
  }
  bar.stop();
  console.log(`${primes} prime numbers below a million`);
}
