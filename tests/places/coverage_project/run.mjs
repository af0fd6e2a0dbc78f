import * as mp from 'multiprocessing';
import { forkAvailable } from 'multiprocessing/os';
import { choose, target } from './helper.mjs';

export async function run() {
  const { METHOD, REAL } = process.env;
  choose('parent');
  if (REAL !== undefined && String(forkAvailable().available) !== REAL) {
    throw new Error(`this process forks, it is said: ${REAL}`);
  }
  const ctx = mp.getContext(METHOD);
  const p = new ctx.Process({ target });
  await p.start();
  await p.join();
  if (p.exitcode !== 0) throw new Error(`exit code ${p.exitcode}`);
}
