const mp = require('multiprocessing');

async function main([method]) {
  const ctx = mp.getContext(method);
  ctx.allowClosures = true;
  const x = 7;
  const p = new ctx.Process({
    target: () => console.log(method, mp.currentProcess().name, x * x),
  });
  await p.start();
  await p.join();
}

if (mp.isMain(module)) main(process.argv.slice(2));
