require('multiprocessing/forkable');
const mp = require('multiprocessing');
const { forkAvailable } = require('multiprocessing/os');

const ctx = mp.getContext('fork');
const p = new ctx.Process({ target: () => console.log(mp.currentProcess().name, String(ctx)) });
p.start()
  .then(() => p.join())
  .then(() => console.log(forkAvailable().available));
