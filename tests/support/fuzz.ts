/**
 * How long the tests fuzz that change valid bytes at random: FUZZ_TIMES=10 has ten times as many changes.
 */
const times = Number(process.env.FUZZ_TIMES ?? 1);
if (!(times >= 1)) throw new Error(`FUZZ_TIMES is no number from 1 on: ${process.env.FUZZ_TIMES}`);

/** So many times what the suite does. */
export function fuzzed(count: number): number {
  return Math.ceil(count * times);
}
