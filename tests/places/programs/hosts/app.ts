/** What app.mjs is, in TypeScript that has to be compiled, and becomes CommonJS. */
import * as mp from 'multiprocessing';
import { help, Kind } from './typed';

declare const module: { filename: string };
declare const process: { env: Record<string, string | undefined> };
declare const require: (path: string) => { late(word: string): string };

if (process.env.REAL) require('multiprocessing/forkable');

export class Holder {
  constructor(public kind: Kind) {}
}

export function own(holder: Holder): void {
  const { late } = require('./late');
  console.log(late(holder instanceof Holder ? Kind[holder.kind] : 'another class'));
}

async function main(): Promise<void> {
  const ctx = mp.getContext(process.env.METHOD as 'spawn');
  console.log(String(ctx));
  const inline = ctx instanceof mp.ForkContext ? [() => console.log('inline')] : [];
  for (const target of [own, help, ...inline]) {
    const p = new ctx.Process({ target, args: [new Holder(Kind.own)] });
    await p.start();
    await p.join();
    if (p.exitcode !== 0) console.log(`exit code ${p.exitcode}`);
  }
}

if (mp.isMain(module)) void main();
