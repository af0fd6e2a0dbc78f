/**
 * That a writer writes only what the reader takes: values of all kinds and realms by all codecs, connections and queues, and
 * in the arguments of processes of each start method; and that what structuredClone takes goes.
 *
 *     tsx benchmarks/soak/values.ts [COUNT = 100000 values]
 */
import fc from 'fast-check';
import * as mp from 'multiprocessing';
import { closures, ForkingPickler } from 'multiprocessing/reduction';
import { anyRealm, anyRecipe, makeValue } from '../../tests/support/values.ts';
import { checkClonedIsSent, checkWrittenIsRead } from '../../tests/support/written_is_read.ts';
import { check, countOr, done, limitTime, printSeed, within } from './support.ts';

/** Values in the arguments of one process. */
const EACH = 500;

export function count(values: unknown[], length: number): void {
  process.exitCode = values.length === length ? 7 : 1;
}

/** Those of so many values that a launch takes. */
function sendable(length: number, seed: number, dumps: (value: unknown) => unknown): unknown[] {
  const values = fc.sample(fc.tuple(anyRecipe, anyRealm), { numRuns: length, seed });
  return values
    .map(([recipe, realm]) => makeValue(recipe, realm))
    .filter((value) => {
      try {
        dumps(value);
        return true;
      } catch (error) {
        check(error instanceof mp.PicklingError, `not a PicklingError: ${String(error)}`);
        return false;
      }
    });
}

if (mp.isMain(import.meta)) {
  const total = countOr(100_000);
  limitTime(3600);
  const seed = printSeed();
  const { written, refused } = await checkWrittenIsRead(total, seed);
  await checkClonedIsSent(Math.ceil(total / 5), seed);
  let passed = 0;
  for (const method of mp.getAllStartMethods()) {
    const { Process } = mp.getContext(method);
    const { dumps } = method === 'fork' ? closures.ForkingPickler : ForkingPickler;
    for (let i = 0; i < total / 20 / EACH; i++) {
      const values = sendable(EACH, seed + i, (value) => dumps(value));
      const p = new Process({ target: count, args: [values, values.length] });
      await within(120, `${method}: start`, p.start());
      await within(120, `${method}: join`, p.join());
      check(p.exitcode === 7, `${method}: values ${i} of ${EACH}: exit code ${p.exitcode}`);
      passed += values.length;
      p.close();
    }
  }
  done(`${total} values: ${written} read, ${refused} refused; ${passed} passed to processes`);
}
