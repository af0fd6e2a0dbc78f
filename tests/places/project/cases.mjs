/** What the tests of every runner do. */
import { appendFileSync } from 'node:fs';
import * as mp from 'multiprocessing';

export const METHODS = ['spawn', 'forkserver', 'fork'];
export const RIGHT = { exitcode: 0, answer: ['b', 42] };

/** Has a child double a number, and notes that the test has run. */
export async function ask(name, method, target, { allowClosures = true } = {}) {
  appendFileSync(process.env.PLACES_RUNS, `${method} ${name}\n`);
  const ctx = mp.getContext(method);
  if (method !== 'fork') ctx.allowClosures = allowClosures;
  const [reader, writer] = ctx.Pipe(false);
  const p = new ctx.Process({ target, args: [writer, 21] });
  await p.start();
  writer.close();
  const answer = await reader.recv().catch((error) => error.name);
  await p.join();
  reader.close();
  return { exitcode: p.exitcode, answer };
}
