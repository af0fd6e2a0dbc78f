/**
 * The property that a writer writes only what the reader takes: over all kinds of values, realms and ways. The suite tries some
 * values, benchmarks/soak/values.ts many.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import * as mp from 'multiprocessing';
import { openWays } from './codecs.ts';
import { anyRealm, anyRecipe, clonedRecipe, makeValue } from './values.ts';

/** How many values were written, and how many refused. */
export interface Figures {
  written: number;
  refused: number;
}

/**
 * @param numRuns how many values
 * @param seed the same values for the same one
 * @throws Error with the smallest recipe that breaks the property
 */
export async function checkWrittenIsRead(numRuns: number, seed: number): Promise<Figures> {
  const figures = { written: 0, refused: 0 };
  const ways = openWays();
  const way = fc.constantFrom(...Object.keys(ways));
  try {
    await fc.assert(
      fc.asyncProperty(anyRecipe, anyRealm, way, async (recipe, realm, name) => {
        const value = makeValue(recipe, realm);
        try {
          await ways[name]?.send(value);
          figures.written++;
        } catch (error) {
          if (!(error instanceof mp.PicklingError)) throw error;
          figures.refused++;
        }
      }),
      { numRuns, seed },
    );
    return figures;
  } finally {
    for (const each of Object.values(ways)) each.close?.();
  }
}

/** That what structuredClone takes goes, and arrives as it makes it. */
export async function checkClonedIsSent(numRuns: number, seed: number): Promise<void> {
  const ways = openWays();
  const whole = Object.keys(ways).filter((name) => ways[name]?.whole);
  try {
    await fc.assert(
      fc.asyncProperty(
        clonedRecipe,
        anyRealm,
        fc.constantFrom(...whole),
        async (recipe, realm, name) => {
          const value = makeValue(recipe, realm);
          const back = await ways[name]?.send(value);
          const wanted: unknown = structuredClone(value);
          if (!isDeepStrictEqual(back, wanted)) {
            throw new Error(`${inspect(back)} arrived, and not ${inspect(wanted)}`);
          }
        },
      ),
      { numRuns, seed },
    );
  } finally {
    for (const each of Object.values(ways)) each.close?.();
  }
}
