/** Starts a child for a function of this file, one for a function of another file, and under `fork` one for an inline function. */
import * as mp from 'multiprocessing';
import { help } from './helper.mjs';

if (process.env.REAL) await import('multiprocessing/forkable');

export { help };
export function own() {
  console.log('own');
}

async function main() {
  const ctx = mp.getContext(process.env.METHOD);
  console.log(String(ctx));
  const inline = ctx instanceof mp.ForkContext ? [() => console.log('inline')] : [];
  for (const target of [own, help, ...inline]) {
    const p = new ctx.Process({ target });
    await p.start();
    await p.join();
    if (p.exitcode !== 0) console.log(`exit code ${p.exitcode}`);
  }
  process.disconnect?.(); // a worker of a cluster stays else
}

if (mp.isMain(import.meta)) await main();
