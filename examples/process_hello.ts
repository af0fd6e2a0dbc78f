/**
 * A function in a process of its own.
 *
 *     npx tsx examples/process_hello.ts [spawn | fork | forkserver]
 *
 * Without an argument it uses the default start method: forkserver on Linux, spawn elsewhere.
 */
import 'multiprocessing/forkable';
import * as mp from 'multiprocessing';

export function printHello(): void {
  console.log('hello world');
}

if (mp.isMain(import.meta)) {
  const method = process.argv[2];
  if (method !== undefined) mp.setStartMethod(method);
  const p = new mp.Process({ target: printHello });
  await p.start();
  await p.join();
}
