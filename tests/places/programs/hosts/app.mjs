import * as mp from 'multiprocessing';

export function tell(method) {
  console.log(`child of ${method}`);
}

if (mp.isMain(import.meta)) {
  for (const method of ['spawn', 'forkserver', 'fork']) {
    const p = new (mp.getContext(method).Process)({ target: tell, args: [method] });
    await p.start();
    await p.join();
  }
}
