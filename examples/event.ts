/**
 * A race: the runners wait for one event, and all start when it is set. One waits in the kernel, one in its event
 * loop.
 *
 *     npx tsx examples/event.ts
 */
import * as mp from 'multiprocessing';
import type { Event, Semaphore } from 'multiprocessing/synchronize';

export function runner(ready: Semaphore, go: Event): void {
  console.log(go.waitSync(0.01) ? 'a false start' : 'waiting');
  ready.release();
  go.waitSync();
  console.log('running');
}

export async function patientRunner(ready: Semaphore, go: Event): Promise<void> {
  console.log((await go.wait(0.01)) ? 'a false start' : 'waiting');
  ready.release();
  await go.wait();
  console.log('running');
}

if (mp.isMain(import.meta)) {
  const ready = mp.Semaphore(0);
  const go = mp.Event();
  const runners = [runner, patientRunner].map(
    (target) => new mp.Process({ target, args: [ready, go] }),
  );
  for (const p of runners) await p.start();
  for (const _ of runners) await ready.acquire();
  console.log('go!');
  go.set();
  for (const p of runners) await p.join();
}
