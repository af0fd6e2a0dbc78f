import * as mp from 'multiprocessing';

export function hello(name: string): void {
  console.log('hello', name, 'from', mp.currentProcess().name);
}

if (mp.isMain(import.meta)) {
  const method = process.argv[2];
  if (method) mp.setStartMethod(method);
  const p = new mp.Process({ target: hello, args: ['world'] });
  console.log(String(p));
  const t = performance.now();
  await p.start();
  const t1 = performance.now();
  await p.join();
  console.log(String(p), p.exitcode, mp.getStartMethod(), t1 - t, performance.now() - t1);
}
