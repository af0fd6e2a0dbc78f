/**
 * Whoever has an object can write anything into its memory. Those who use it then have an answer in time, an ordinary one
 * or the error that tells of the damage. D-121.
 */
import * as mp from 'multiprocessing';
import type { Queue } from 'multiprocessing/queues';
import type { SemLock } from 'multiprocessing/synchronize';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as targets from '../fixtures/dist/damage_targets.js';
import {
  complain,
  DOUBLES,
  forms,
  type Kind,
  kinds,
  memoriesOf,
  valuesFor,
} from '../support/damage.ts';
import { Channel } from '../support/scratch.ts';

// Owners that have never been are found dead, as it should be.
const quiet = process.env.NODE_NO_WARNINGS;
beforeAll(() => {
  process.env.NODE_NO_WARNINGS = '1';
});
afterAll(() => {
  if (quiet === undefined) delete process.env.NODE_NO_WARNINGS;
  else process.env.NODE_NO_WARNINGS = quiet;
});

/** Does all that an object can do, after something was written. @returns what went wrong */
async function useDamaged(kind: Kind, damage: (object: object) => void): Promise<string[]> {
  const wrong: string[] = [];
  for (const form of forms) {
    const object = kind.make();
    damage(object);
    for (const call of kind.calls(object as never)) {
      try {
        await call(form);
      } catch (error) {
        const complaint = complain(error);
        if (complaint !== undefined) wrong.push(`${form} ${call}: ${complaint}`);
      }
    }
    if ('close' in object) (object as Queue).close();
  }
  return wrong;
}

/** All words, but of large tables: there some entries stand for all. */
function wordsOf({ name }: Kind, size: number): number[] {
  const all = Array.from({ length: size }, (_, i) => i);
  if (size <= 240) return all;
  const [whole, step] = [100, name === 'Queue' ? 12 : 40];
  return all.filter((i) => i < whole || i % step === 0 || i === TASKS_DONE || i >= size - 4);
}

/** In a queue: behind what counts puts and gets, and three signals. */
const TASKS_DONE = 96 + 3 * 35;

describe.each(kinds)('$name', (kind) => {
  const sizes = memoriesOf(kind.make()).map(({ length }) => length);

  test.each(sizes.map((size, i) => [i, size]))(
    'anything in any word of memory %i (%i words)',
    { timeout: 120_000 },
    async (which, size) => {
      const words = wordsOf(kind, size);
      // The locks that an object has are locks as any other.
      for (const index of which === 0 ? words : words.slice(0, 12)) {
        for (const value of valuesFor(size)) {
          const wrong = await useDamaged(kind, (object) => {
            (memoriesOf(object)[which] as Int32Array)[index] = value;
          });
          expect(wrong, `word ${index} is ${value}`).toEqual([]);
        }
      }
    },
  );
});

describe.each(kinds.filter(({ name }) => name.includes('Queue')))('$name', (kind) => {
  test('any number where a number is', { timeout: 60_000 }, async () => {
    for (let index = 0; index < 2 * 24; index++) {
      for (const value of DOUBLES) {
        const wrong = await useDamaged(kind, (object) => {
          new Float64Array((memoriesOf(object)[0] as Int32Array).buffer)[index] = value;
        });
        expect(wrong, `number ${index} is ${value}`).toEqual([]);
      }
    }
  });
});

/** Words that differ in what they are for: of a table, the first entry and the last. */
function someWords(size: number): number[] {
  const all = Array.from({ length: size }, (_, i) => i);
  return size < 12 ? all : [...all.slice(0, 9), ...all.slice(-3)];
}

/** Objects at which somebody can wait, each with what is going to be written into it. */
function toBeDamaged(kind: Kind) {
  const own = memoriesOf(kind.make())[0] as Int32Array;
  return someWords(own.length).flatMap((index) => {
    return valuesFor(own.length).map((value) => {
      const object = kind.make() as targets.Waits;
      if ('_semlock' in object) while ((object as SemLock).acquireSync(false));
      if ('getNowait' in object) (object as Queue<string>).getNowait();
      const damage = () => {
        (memoriesOf(object)[0] as Int32Array)[index] = value;
      };
      return { object, damage, what: `word ${index} is ${value}` };
    });
  });
}

/** What is wrong with how a wait ended. */
function complainOfEnd(end: unknown): string | undefined {
  return typeof end === 'string' ? undefined : complain(end);
}

// An RLock that is taken by its owner again and again, and a queue without timeouts, keep nobody waiting.
describe.each(kinds.filter(({ name }) => !['RLock', 'SimpleQueue'].includes(name)))(
  'while somebody waits: $name',
  (kind) => {
    test('in the event loop', { timeout: 60_000 }, async () => {
      const cases = toBeDamaged(kind);
      const channel = new Channel();
      const objects = cases.map(({ object }) => object);
      const p = new mp.Process({ target: targets.waitAtAll, args: [objects, channel.path] });
      await p.start();
      expect(await channel.next()).toBe('waiting');
      for (const { damage } of cases) damage();
      for (const { what } of cases) {
        expect(complainOfEnd(await channel.next()), what).toBeUndefined();
      }
      await p.join();
      expect(p.exitcode).toBe(0);
    });

    test('blocking', { timeout: 60_000 }, async () => {
      const cases = toBeDamaged(kind);
      const channel = new Channel();
      const objects = cases.map(({ object }) => object);
      const p = new mp.Process({ target: targets.blockAtEach, args: [objects, channel.path] });
      await p.start();
      for (const { damage, what } of cases) {
        expect(await channel.next()).toBe('waiting');
        damage();
        expect(complainOfEnd(await channel.next()), what).toBeUndefined();
      }
      await p.join();
      expect(p.exitcode).toBe(0);
    });
  },
);
