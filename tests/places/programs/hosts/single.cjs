// What stands in a single executable: its own require() knows Node's modules only.
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const load = createRequire(join(dirname(process.execPath), 'here.js'));
const mp = load('multiprocessing');
const { tell } = load('./helper.cjs');

console.log(`the program, ${mp.isMain(module)}`);
(async () => {
  const words = 'by value';
  for (const method of ['spawn', 'fork', undefined]) {
    const ctx = mp.getContext(method);
    if (method !== undefined) {
      ctx.allowClosures = true;
      const inline = new ctx.Process({ target: async () => console.log(await words) });
      await inline.start();
      await inline.join();
    }
    const p = new ctx.Process({ target: tell, args: [String(ctx)] });
    await p.start();
    await p.join();
    console.log(p.exitcode);
  }
})();
