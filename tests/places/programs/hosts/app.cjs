/** What app.mjs is, in CommonJS. */
if (process.env.REAL) require('multiprocessing/forkable');
const mp = require('multiprocessing');
const { help } = require('./helper.cjs');

exports.help = help;
exports.own = function own() {
  console.log('own');
};

async function main() {
  const ctx = mp.getContext(process.env.METHOD);
  console.log(String(ctx));
  const inline = ctx instanceof mp.ForkContext ? [() => console.log('inline')] : [];
  for (const target of [exports.own, help, ...inline]) {
    const p = new ctx.Process({ target });
    await p.start();
    await p.join();
    if (p.exitcode !== 0) console.log(`exit code ${p.exitcode}`);
  }
  process.disconnect?.(); // a worker of a cluster stays else
}

if (mp.isMain(module)) main();
