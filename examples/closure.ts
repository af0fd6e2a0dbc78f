/**
 * Functions that take along what they use: a counter, a class that is not exported, an imported function.
 *
 *     npx tsx examples/closure.ts
 *
 * Under spawn and forkserver a function travels by its name, so it has to be exported. Under fork it need not be, and
 * `allowClosures` of another context lets it travel by value there, too: its source, and the variables that it uses as
 * they are at start(). What the child changes is its own.
 */
import { basename } from 'node:path';
import * as mp from 'multiprocessing';

class Greeting {
  #times = 0;
  text: string;

  constructor(text: string) {
    this.text = text;
  }

  greet(name: string): string {
    this.#times += 1;
    return `${this.text}, ${name}, for the ${this.#times}. time`;
  }
}

function makeCounter() {
  let n = 0;
  return { increment: () => ++n, get: () => n };
}

if (mp.isMain(import.meta)) {
  const counter = makeCounter();
  counter.increment();
  const contexts = [mp.getContext('fork'), mp.getContext('spawn')] as const;
  contexts[1].allowClosures = true;
  for (const ctx of contexts) {
    const p = new ctx.Process({
      target: () => {
        const greeting = new Greeting('Hello');
        greeting.greet('nobody');
        console.log(greeting.greet('world'));
        console.log('two functions, one variable:', counter.increment(), counter.get());
        console.log('an imported function:', basename('/somewhere/file.txt'));
      },
    });
    await p.start();
    await p.join();
    console.log('here it is still', counter.get());
  }
}
