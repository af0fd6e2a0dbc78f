/**
 * Properties of all codecs over values of all kinds, of all realms. With VALUES_SEED the values of another run; more of them:
 * benchmarks/soak/values.ts.
 */
import { expect, test } from 'vitest';
import { checkClonedIsSent, checkWrittenIsRead } from '../support/written_is_read.ts';

const seed = Number(process.env.VALUES_SEED ?? 20_261);

test('a writer writes only what the reader takes', async () => {
  const { written, refused } = await checkWrittenIsRead(3000, seed);
  expect(written).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(300);
});

test('what structuredClone takes goes, and arrives as it makes it', async () => {
  await checkClonedIsSent(2000, seed);
});
