/** What stands in a single executable: its own require() knows Node's modules only. */
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const load = createRequire(join(dirname(process.execPath), 'here.js'));
const mp = load('multiprocessing');
const { help } = load('./helper.cjs');

async function main() {
  const ctx = mp.getContext(process.env.METHOD);
  ctx.allowClosures = true;
  console.log(String(ctx));
  const word = 'own';
  const targets = [async () => console.log(await word), help];
  if (ctx instanceof mp.ForkContext) targets.push(() => console.log('inline'));
  for (const target of targets) {
    const p = new ctx.Process({ target });
    await p.start();
    await p.join();
    if (p.exitcode !== 0) console.log(`exit code ${p.exitcode}`);
  }
}

if (mp.isMain(module)) main();
