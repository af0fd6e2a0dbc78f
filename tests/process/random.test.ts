/** Each process draws random values of its own, whatever it is a copy of. D-102. */
import { forkAvailable } from 'multiprocessing/os';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';

interface Report {
  /** The source of Math.random. */
  random: string;
  drawn: Record<string, unknown[]>;
}

const ways = [
  ['spawn', 'spawn', undefined],
  ['forkserver', 'forkserver', undefined],
  ['an emulated fork', 'fork', undefined],
  ['a real fork', 'fork', 'fork'],
  ['os.fork', 'os.fork', 'fork'],
] as const;

/** Runs the program. @returns the source of Math.random in each process, and of each kind what all have drawn */
async function drawn(args: readonly string[], method?: 'fork') {
  const outcome = await runProgram('random_values', args, method && { method });
  expect(outcome).toMatchObject({ stderr: '', code: 0 });
  const lines = outcome.stdout.trim().split('\n');
  const reports = lines.map((line) => JSON.parse(line) as Report);
  expect(reports).toHaveLength(11);
  const kinds = Object.keys((reports[0] as Report).drawn);
  return {
    randoms: reports.map(({ random }) => random),
    values: kinds.map((kind) => ({ kind, all: reports.flatMap((r) => r.drawn[kind] ?? []) })),
  };
}

function expectOthers({ kind, all }: { kind: string; all: readonly unknown[] }): void {
  expect(new Set(all).size, `different values of ${kind}`).toBe(all.length);
}

const { available } = forkAvailable();

describe.skipIf(!available).each(ways)('under %s', (_, way, method) => {
  test.each([[], ['again']])('ten children and their parent draw other values', async (...when) => {
    const { randoms, values } = await drawn([way, ...when], method);
    for (const random of randoms) expect(random).toMatch(/native code/);
    values.forEach(expectOthers);
  });
});

test.skipIf(!available)(
  'they do so where nothing can be seen of V8 and of node:crypto',
  async () => {
    const { randoms, values } = await drawn(['os.fork', 'blind'], 'fork');
    expect(randoms.filter((random) => /native code/.test(random))).toHaveLength(1);
    const lost = ['a copy of Math.random', 'new contexts'];
    values.filter(({ kind }) => !lost.includes(kind)).forEach(expectOthers);
  },
);
