/** All copies of the library say the same of one process. */
import { isMain } from 'multiprocessing';
import { copies, separate } from './copies_of_library.mjs';

export function show() {
  const names = copies.map((copy) => copy.currentProcess().name);
  const same = new Set(copies.map((copy) => copy.currentProcess())).size === 1;
  console.log(names.join(' '), same);
}

if (isMain(import.meta)) {
  const [method] = process.argv.slice(2);
  console.log(method, separate);
  const [, other] = copies;
  const p = new (other.getContext(method).Process)({ target: show });
  await p.start();
  const children = copies.map((copy) => copy.activeChildren().includes(p));
  await p.join();
  console.log(children.join(' '));
  show();
}
