/** What app.mjs is, in TypeScript. */
import * as mp from 'multiprocessing';
import { help } from './helper.mjs';

if (process.env.REAL) await import('multiprocessing/forkable');

export function own(): void {
  console.log('own');
}

if (mp.isMain(import.meta)) {
  const ctx = mp.getContext(process.env.METHOD as 'spawn');
  console.log(String(ctx));
  const inline = ctx instanceof mp.ForkContext ? [() => console.log('inline')] : [];
  for (const target of [own, help, ...inline]) {
    const p = new ctx.Process({ target });
    await p.start();
    await p.join();
    if (p.exitcode !== 0) console.log(`exit code ${p.exitcode}`);
  }
}
