/**
 * Producers and consumers at one queue: two cooks put dishes on a counter that has room for three, two guests take them.
 * One of each waits in the kernel, the other in its event loop.
 *
 *     npx tsx examples/queue_producer_consumer.ts
 */
import * as mp from 'multiprocessing';
import type { Queue } from 'multiprocessing/queues';

export function cook(counter: Queue<string | null>, name: string): void {
  for (const dish of ['soup', 'bread', 'fish']) counter.putSync(`${dish} by ${name}`);
}

export async function patientCook(counter: Queue<string | null>, name: string): Promise<void> {
  for (const dish of ['salad', 'rice', 'cake']) await counter.put(`${dish} by ${name}`);
}

export function guest(counter: Queue<string | null>, eaten: Queue<string>): void {
  for (let dish = counter.getSync(); dish !== null; dish = counter.getSync()) eaten.putSync(dish);
}

export async function patientGuest(
  counter: Queue<string | null>,
  eaten: Queue<string>,
): Promise<void> {
  for (let dish = await counter.get(); dish !== null; dish = await counter.get()) {
    await eaten.put(dish);
  }
}

if (mp.isMain(import.meta)) {
  const counter = mp.Queue<string | null>(3);
  const eaten = mp.Queue<string>();
  const cooks = [
    new mp.Process({ target: cook, args: [counter, 'Ada'] }),
    new mp.Process({ target: patientCook, args: [counter, 'Bo'] }),
  ];
  const guests = [guest, patientGuest].map(
    (target) => new mp.Process({ target, args: [counter, eaten] }),
  );
  for (const p of [...cooks, ...guests]) await p.start();
  for (const p of cooks) await p.join();
  for (const _ of guests) await counter.put(null); // the sign that no more will come
  for (const p of guests) await p.join();
  const dishes: string[] = [];
  while (!eaten.empty()) dishes.push(await eaten.get());
  console.log(`${dishes.length} dishes, each eaten once:`);
  for (const dish of dishes.sort()) console.log(`  ${dish}`);
}
