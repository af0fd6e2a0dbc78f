import * as mp from 'multiprocessing';

export async function square(queue, x) {
  await queue.put([mp.currentProcess().name, x * x]);
}

if (mp.isMain(import.meta)) {
  const [method] = process.argv.slice(2);
  const ctx = mp.getContext(method);
  const queue = ctx.Queue();
  const p = new ctx.Process({ target: square, args: [queue, 7] });
  await p.start();
  const [name, result] = await queue.get();
  await p.join();
  console.log(method, name, result, p.exitcode);
}
