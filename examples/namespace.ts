/**
 * An object whose attributes several processes set and read, and a lock, so that each counts one after the other.
 *
 *     npx tsx examples/namespace.ts
 */
import 'multiprocessing/forkable';
import * as mp from 'multiprocessing';
import type { AcquirerProxy, NamespaceProxy } from 'multiprocessing/managers';

interface Progress {
  done: number;
  last: string;
}

export async function work(
  name: string,
  progress: NamespaceProxy<Progress>,
  lock: AcquirerProxy,
): Promise<void> {
  for (let i = 0; i < 100; i++) {
    // Each call is atomic. To read and to write back is two.
    const guard = await lock.guard();
    await progress.setAttr('done', (await progress.getAttr('done')) + 1);
    await guard[Symbol.asyncDispose]();
  }
  await progress.setAttr('last', name);
}

if (mp.isMain(import.meta)) {
  await using manager = await mp.Manager();
  const progress = await manager.Namespace<Progress>({ done: 0, last: 'nobody' });
  const lock = await manager.Lock();
  const workers = ['Ada', 'Grace', 'Mary'].map(
    (name) => new mp.Process({ target: work, args: [name, progress, lock] }),
  );
  for (const p of workers) await p.start();
  for (const p of workers) await p.join();
  // The same, written as an object. Each of it is a message to the manager and back.
  console.log(progress.sync.done, 'last' in progress.sync);
  progress.sync.last = 'all';
  console.log(String(progress));
}
