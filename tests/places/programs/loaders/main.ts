import * as mp from 'multiprocessing';
import { Kind, two } from './two';

declare const module: { filename: string };
declare const process: { argv: string[] };
declare const require: (path: string) => { late(): string };

enum Level {
  High = 7,
}

export function one(): void {
  console.log(Level[Level.High], require('./late').late());
}

export class Holder {
  constructor(public n: number) {}
}

export function three(holder: Holder): void {
  console.log(holder instanceof Holder ? 'holder' : 'other', holder.n);
}

async function main(): Promise<void> {
  mp.setStartMethod(process.argv[2] as 'spawn');
  const calls: [(...args: never[]) => void, unknown[]][] = [
    [one, []],
    [two, [Kind.B]],
    [three, [new Holder(3)]],
  ];
  for (const [target, args] of calls) {
    const p = new mp.Process({ target: target as () => void, args: args as [] });
    await p.start();
    await p.join();
  }
}

if (mp.isMain(module)) void main();
