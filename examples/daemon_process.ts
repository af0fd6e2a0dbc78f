/**
 * Daemons: which children a program waits for when it has reached its end.
 *
 *     npx tsx examples/daemon_process.ts
 *
 * task1 is a daemon: it is terminated as soon as the main program's code is through, here before it has
 * printed anything. task2 is none: the program ends when it has ended. (With threads task1 would have gone
 * on until task2 was through.) A fresh Node needs longer to start than the main program to end, so the order
 * is certain under spawn; a forked child may print its first line before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';

export async function task1(): Promise<void> {
  console.log('task1 alive');
  await sleep(1000);
  console.log('task1 dead');
}

export async function task2(): Promise<void> {
  console.log('task2 alive');
  await sleep(2000);
  console.log('task2 dead');
}

if (mp.isMain(import.meta)) {
  mp.setStartMethod('spawn');
  const t1 = new mp.Process({ target: task1, daemon: true });
  const t2 = new mp.Process({ target: task2 });
  await t1.start();
  await t2.start();
  console.log('main');
}
