const mp = require('multiprocessing');
const { BaseProcess } = require('multiprocessing/process');

async function square(queue, x) {
  await queue.put([mp.currentProcess().name, x * x]);
}

async function main([method]) {
  const ctx = mp.getContext(method);
  const queue = ctx.Queue();
  const p = new ctx.Process({ target: square, args: [queue, 7] });
  await p.start();
  const [name, result] = await queue.get();
  await p.join();
  console.log(method, name, result, p instanceof BaseProcess ? p.exitcode : 'no BaseProcess');
}

exports.square = square;
if (mp.isMain(module)) main(process.argv.slice(2));
