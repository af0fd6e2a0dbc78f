/** Each process draws random values of its own, whatever it is a copy of. D-116. */
import { forkAvailable } from 'multiprocessing/os';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';

type Drawn = Record<string, unknown[]>;

const ways = [
  ['spawn', 'spawn', undefined],
  ['forkserver', 'forkserver', undefined],
  ['an emulated fork', 'fork', undefined],
  ['a real fork', 'fork', 'fork'],
  ['os.fork', 'os.fork', 'fork'],
] as const;

describe.skipIf(!forkAvailable().available)('ten children and their parent', () => {
  test.each(ways)('draw other values, under %s', async (_, way, method) => {
    const { stdout, stderr, code } = await runProgram('random_values', [way], { method });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const processes = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Drawn);
    expect(processes).toHaveLength(11);
    for (const kind of Object.keys(processes[0] as Drawn)) {
      const values = processes.flatMap((drawn) => drawn[kind] ?? []);
      expect(new Set(values).size, `different values of ${kind}`).toBe(values.length);
    }
  });
});
