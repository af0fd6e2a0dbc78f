/**
 * Tasks that are stopped while they run, even in an endless loop, and what becomes of the others.
 *
 *     npx tsx examples/pool_timeout_cancel.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import * as mp from 'multiprocessing';
import { currentTask } from 'multiprocessing/pool';
import type { Synchronized } from 'multiprocessing/sharedctypes';

export function work(what: string): string {
  if (what === 'endless') for (;;);
  return `${what}: done`;
}

let tidied: Synchronized<number>;

export function remember(counter: Synchronized<number>): void {
  tidied = counter;
}

export async function careful(name: string): Promise<string> {
  const task = currentTask();
  task?.reportProgress('begun');
  try {
    await sleep(60_000, undefined, { signal: task?.signal });
  } finally {
    using _ = tidied.getLock().guardSync();
    tidied.value++;
  }
  return name;
}

const name = (error: Error) => error.name;

if (mp.isMain(import.meta)) {
  const counter = mp.Value('i', 0);
  const setup = { initializer: remember, initargs: [counter] };
  await using pool = mp.Pool(2, { killTimeout: 10, ...setup });

  console.log('-- a timeout counts from the begin of each task');
  const results = pool.imap(work, ['endless', 'first', 'second'], { timeout: 0.5 });
  for (let i = 0; i < 3; i++) console.log(await results.next().then(({ value }) => value, name));

  console.log('-- a signal ends what runs, and what is queued never begins');
  const user = new AbortController();
  const { signal } = user;
  const begun = new Set<number>();
  const onProgress = ({ reports }: { reports: ReadonlyMap<number, unknown> }) => {
    for (const index of reports.keys()) begun.add(index);
    if (begun.size === 2) user.abort(new Error('the user has gone'));
  };
  const names = ['Ada', 'Bo', 'Cy', 'Di'];
  const options = { signal, onProgress, chunksize: 1 };
  const error = (await pool.map(careful, names, options).catch((e) => e)) as Error;
  console.log(error.name, '-', (error.cause as Error).message);

  console.log('-- and the pool goes on');
  console.log(await pool.apply(work, ['third']));
  pool.close();
  await pool.join();
  console.log(`tasks that have tidied up: ${counter.value}`);
}
