/**
 * One array of a hundred million bytes that four processes fill, without a copy of it anywhere: a typed array in
 * shared memory, as one would put a NumPy array on a RawArray in Python.
 *
 *     npx tsx examples/shared_numpy_style.ts
 */
import * as mp from 'multiprocessing';

const PROCESSES = 4;
const LENGTH = 12_500_000;

/** Fills a part of the array with the squares of the indices. */
export function fill(array: Float64Array, begin: number, end: number): void {
  for (let i = begin; i < end; i++) array[i] = i * i;
}

if (mp.isMain(import.meta)) {
  const array = mp.RawArray('d', LENGTH);
  console.log(
    `${array.constructor.name} of ${array.byteLength} bytes, all zeros: ${array.at(-1) === 0}`,
  );
  const share = LENGTH / PROCESSES;
  const workers = Array.from({ length: PROCESSES }, (_, i) => {
    return new mp.Process({ target: fill, args: [array, i * share, (i + 1) * share] });
  });
  await Promise.all(workers.map((worker) => worker.start()));
  await Promise.all(workers.map((worker) => worker.join()));
  console.log('exit codes', workers.map((worker) => worker.exitcode).join(' '));
  console.log(
    'every element is there:',
    array.every((value, i) => value === i * i),
  );
  console.log('the last one is', array.at(-1));
}
