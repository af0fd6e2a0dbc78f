/**
 * A list and a dict that two processes share: they are in a third one, the manager's.
 *
 *     npx tsx examples/manager_list_dict.ts [spawn | fork | forkserver]
 */
import 'multiprocessing/forkable';
import * as mp from 'multiprocessing';
import type { DictProxy, ListProxy } from 'multiprocessing/managers';

export async function worker(
  i: number,
  list: ListProxy<number>,
  dict: DictProxy<string, number>,
): Promise<void> {
  await list.append(i);
  await dict.setItem(`key${i}`, i * 10);
}

if (mp.isMain(import.meta)) {
  const method = process.argv[2];
  if (method !== undefined) mp.setStartMethod(method);
  await using manager = await mp.Manager();
  const list = await manager.list<number>();
  const dict = await manager.dict<string, number>();
  for (let i = 0; i < 2; i++) {
    const p = new mp.Process({ target: worker, args: [i, list, dict] });
    await p.start();
    await p.join();
  }
  console.log(`Shared List: ${list}`);
  console.log(`Shared Dict: ${dict}`);
}
