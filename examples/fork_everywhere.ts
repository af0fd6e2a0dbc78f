/**
 * fork without a flag and without a main guard, as in Python.
 *
 *     npx tsx examples/fork_everywhere.ts
 *     npx tsx --single-threaded examples/fork_everywhere.ts      a real fork
 *
 * A process that has V8's threads cannot fork(2). There the child gets the target and all that it uses by value: it
 * has the same values, though it is no copy. docs/start-methods.md tells where that makes a difference.
 */
import * as mp from 'multiprocessing';

console.log('this line runs once');
const ctx = mp.getContext('fork');
const results = ctx.SimpleQueue<[string, number]>();
const prices = new Map([
  ['apple', 3],
  ['pear', 4],
]);

const children = [...prices].map(([fruit, price], i) => {
  return new ctx.Process({
    name: `child ${i}`,
    target: () => results.putSync([`${mp.currentProcess().name}: ${fruit}`, price * prices.size]),
  });
});
for (const child of children) {
  await child.start();
  await child.join();
  console.log(...results.getSync());
}
prices.set('plum', 5);
const late = new ctx.Process({ target: () => console.log('as it was at start():', prices.size) });
await late.start();
await late.join();
