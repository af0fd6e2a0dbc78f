/**
 * Two processes change one number, a thousand times each: one adds, one subtracts. With the lock it ends at 0.
 *
 *     npx tsx examples/lock_value.ts [spawn | fork | forkserver]
 *
 * Without the lock it would end anywhere: to add is to read, to add, and to write, and the other process may come
 * between any two of these.
 */
import 'multiprocessing/forkable';
import * as mp from 'multiprocessing';
import type { Synchronized } from 'multiprocessing/sharedctypes';
import type { Lock } from 'multiprocessing/synchronize';

export function processWithLock(op: 'add' | 'sub', n: Synchronized<number>, lock: Lock): void {
  for (let i = 0; i < 1000; i++) {
    using _ = lock.guardSync();
    if (op === 'add') n.value += 1;
    else n.value -= 1;
  }
}

if (mp.isMain(import.meta)) {
  const method = process.argv[2];
  if (method !== undefined) mp.setStartMethod(method);
  const n = mp.Value('i', 0);
  const lock = mp.Lock();
  const adds = new mp.Process({ target: processWithLock, args: ['add', n, lock] });
  const subtracts = new mp.Process({ target: processWithLock, args: ['sub', n, lock] });
  await adds.start();
  await subtracts.start();
  await adds.join();
  await subtracts.join();
  console.log(n.value);
}
