/**
 * An argument of more than 2 GiB in a child of each start method: parent, file and child have it once each, which takes
 * 6 GiB of memory.
 *
 *     tsx benchmarks/soak/large_arguments.ts [COUNT = 2147483664 bytes]
 */
import * as mp from 'multiprocessing';
import { check, countOr, done, limitTime, within } from './support.ts';

export function isWhole(bytes: Uint8Array, length: number): void {
  process.exitCode = bytes.length === length && bytes[length - 1] === 9 ? 7 : 1;
}

if (mp.isMain(import.meta)) {
  const length = countOr(2 ** 31 + 16);
  limitTime(1200);
  const bytes = Buffer.alloc(length);
  bytes[length - 1] = 9;
  const methods = mp.getAllStartMethods();
  for (const method of methods) {
    const { Process } = mp.getContext(method);
    const p = new Process({ target: isWhole, args: [bytes, length] });
    await within(300, `${method}: start`, p.start());
    await within(300, `${method}: join`, p.join());
    check(p.exitcode === 7, `${method}: the child ended with ${p.exitcode}`);
    p.close();
  }
  done(`${length} bytes to a child by ${methods.join(', ')}`);
}
