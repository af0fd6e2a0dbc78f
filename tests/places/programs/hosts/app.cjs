const mp = require('multiprocessing');

exports.tell = function tell(method) {
  console.log(`child of ${method}`);
};

async function main() {
  for (const method of ['spawn', 'forkserver', 'fork']) {
    const p = new (mp.getContext(method).Process)({ target: exports.tell, args: [method] });
    await p.start();
    await p.join();
  }
}

if (mp.isMain(module)) main();
