/**
 * What benchmarks/closures.ts measures, on request: a line of words on stdin is answered by a line of numbers on stdout.
 *
 *     WHAT ROUNDS        milliseconds from start to exit of a child, one by one
 */
import { createInterface } from 'node:readline';
import * as mp from 'multiprocessing';

type Round = () => Promise<unknown>;

export function named(n: number, text: string): void {
  if (n < 0) console.log(text);
}

function rounds(): Readonly<Record<string, Round>> {
  const forkserver = mp.getContext('forkserver');
  const fork = mp.getContext('fork');
  const options = { text: 'never printed' };
  let calls = 0;
  const run = async (p: { start(): Promise<void>; join(): Promise<unknown> }) => {
    await p.start();
    await p.join();
  };
  return {
    'by name': () => run(new forkserver.Process({ target: named, args: [calls++, 'text'] })),
    closure: () => {
      calls++;
      const target = () => {
        if (calls < 0) console.log(options.text);
      };
      return run(new fork.Process({ target }));
    },
    'shared variable': () => {
      let n = 0;
      const inc = () => ++n;
      const get = () => n;
      return run(new fork.Process({ target: () => void (inc() === get()) }));
    },
  };
}

if (mp.isMain(import.meta)) {
  const known = rounds();
  for await (const line of createInterface({ input: process.stdin })) {
    const [what = '', count] = line.split('\t');
    const round = known[what];
    if (round === undefined) throw new Error(`what is ${what}?`);
    const times: number[] = [];
    for (let i = 0; i < Number(count); i++) {
      const begin = performance.now();
      await round();
      times.push(performance.now() - begin);
    }
    console.log(times.join(' '));
  }
}
