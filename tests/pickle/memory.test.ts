/**
 * The memory that a message takes is in proportion to its length, whatever it announces. tests/python_pickle/input.test.ts has
 * the same for Python's pickle.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ForkingPickler } from 'multiprocessing/reduction';
import { describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const program = fileURLToPath(new URL('../fixtures/greedy_messages.mjs', import.meta.url));
const names = JSON.parse(
  execFileSync(process.execPath, [program], { encoding: 'utf8' }),
) as string[];

/** Bytes of memory that a byte of a message may take: an empty Buffer is one of two bytes. */
const MOST = 400;

describe('of a message in bad faith', () => {
  // In a heap in which node ends if it runs out; what is not in the heap is looked at.
  test.each(names)('%s', async (name) => {
    const { code, stdout, stderr } = await runNode(['--max-old-space-size=160', program, name]);
    expect([code, stderr]).toEqual([0, '']);
    const { each, outcome } = JSON.parse(stdout) as { each: number; outcome: string };
    expect(outcome).toMatch(/^(object|UnpicklingError)$/);
    expect(each).toBeLessThan(MOST);
  });
});

describe('what is written in good faith is taken', () => {
  const copy = <T>(value: T) => ForkingPickler.loadsSync(ForkingPickler.dumps(value)) as T;

  test('objects with indices near and far, in their order', () => {
    const value = { b: 1, 1000: 2, 5: 3, 4294967295: 4, '01': 5, '-1': 6, 70: 7 };
    expect(Object.entries(copy(value))).toEqual(Object.entries(value));
    const wide = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [i, i]));
    expect(copy(wide)).toEqual(wide);
    const sparse = Object.assign([1, 2, 3], { 1000: 4, name: 'x' });
    expect(copy(sparse)).toStrictEqual(sparse);
    const holes = Object.assign(new Array<number>(20), { 3: 1 });
    expect(copy(holes)).toStrictEqual(holes);
    copy(sparse).push(5);
    expect(copy(new Array(70))).toHaveLength(70);
  });

  test('objects in each other, each with as many properties as a shape has', () => {
    let value: Record<string, unknown> = {};
    for (let depth = 0; depth < 200; depth++)
      value = Object.fromEntries(
        Array.from({ length: 20 }, (_, i) => [`k${i}`, i === 0 ? value : i]),
      );
    expect(copy(value)).toEqual(value);
  });
});
