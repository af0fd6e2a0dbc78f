/**
 * A pool: a function is called for many items, in other processes, in whatever way its results are wanted.
 *
 *     npx tsx examples/pool_map.ts
 */
import * as mp from 'multiprocessing';

export function square(x: number): number {
  return x * x;
}

export function power(base: number, exponent: number): number {
  return base ** exponent;
}

if (mp.isMain(import.meta)) {
  await using pool = mp.Pool(4);
  const numbers = Array.from({ length: 10 }, (_, i) => i);

  console.log('map      ', (await pool.map(square, numbers)).join(' '));
  const factor = 3;
  const times = (x: number) => x * factor; // has no name that a module exports, and uses a variable
  console.log('inline   ', (await pool.map(times, numbers)).join(' '));
  const pairs = numbers.map((x) => [2, x] as [number, number]);
  console.log('starmap  ', (await pool.starmap(power, pairs)).join(' '));

  const result = pool.applyAsync(power, [3, 4]);
  console.log('apply    ', await result.get(), result.ready(), result.successful());

  const inOrder: number[] = [];
  for await (const x of pool.imap(square, numbers)) inOrder.push(x);
  console.log('imap     ', inOrder.join(' '));
  const asTheyCome: number[] = [];
  for await (const x of pool.imapUnordered(square, numbers)) asTheyCome.push(x);
  console.log('unordered', asTheyCome.sort((a, b) => a - b).join(' '));

  console.log('blocking ', pool.mapSync(square, numbers).join(' '));
}
