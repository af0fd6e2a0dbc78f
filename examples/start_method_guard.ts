/**
 * The main guard: which processes execute the main module.
 *
 *     npx tsx examples/start_method_guard.ts [spawn | fork | forkserver]
 *
 * A spawned child is a fresh Node. To find `child` it imports this file again, and isMain() is false in it: so
 * what starts processes stands behind `if (mp.isMain(import.meta))`, Python's `if __name__ == '__main__'`.
 * Without the guard the child's start() throws a RuntimeError that says so. Under fork nothing is imported again, also
 * where the process cannot fork and the child gets `child` by value. Under forkserver the server imports it, once for all its children.
 */
import * as mp from 'multiprocessing';

console.log('main module executed, isMain:', mp.isMain(import.meta));

export function child(): void {
  console.log(`${mp.currentProcess().name} was started by ${mp.getStartMethod()}`);
}

if (mp.isMain(import.meta)) {
  mp.setStartMethod(process.argv[2] ?? 'spawn');
  for (let i = 0; i < 2; i++) {
    const p = new mp.Process({ target: child });
    await p.start();
    await p.join();
  }
}
