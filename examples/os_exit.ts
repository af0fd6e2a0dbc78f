/**
 * os._exit: what a child skips when it leaves by it.
 *
 *     npx tsx examples/os_exit.ts spawn
 *     npx tsx examples/os_exit.ts fork
 *     npx tsx examples/os_exit.ts forkserver
 *
 * Python's atexit is process.on('exit') here. A spawned child ends as every Node program does, and its
 * handlers run: it prints "exiting". A forked child leaves by _exit(2), and they do not: it prints nothing.
 * A child of the forkserver is prepared by a server that has no handlers of yours: its own run.
 */
import * as mp from 'multiprocessing';

mp.setStartMethod(process.argv[2] ?? 'spawn', { force: true });

export function t(): void {
  process.on('exit', () => console.log('exiting'));
}

if (mp.isMain(import.meta)) {
  const p = new mp.Process({ target: t });
  await p.start();
  await p.join();
}
