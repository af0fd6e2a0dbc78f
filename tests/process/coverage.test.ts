/**
 * Coverage, as Node writes it where NODE_V8_COVERAGE is set: that of the parent is not spoilt by a start, and each child has one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type Outcome, runNode } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';
import { forEachWay, ways } from '../support/start_methods.ts';

const folder = fileURLToPath(new URL('../fixtures/coverage/', import.meta.url));
const program = `${folder}program.mjs`;
const helper = readFileSync(`${folder}helper.mjs`, 'utf8');

interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}
interface Report {
  result: {
    url: string;
    functions: { functionName: string; isBlockCoverage: boolean; ranges: Range[] }[];
  }[];
}

/** Which of the helper's branches have run; undefined if it was not loaded. */
function branches({ result }: Report): string[] | undefined {
  const script = result.find(({ url }) => url.endsWith('/coverage/helper.mjs'));
  if (script === undefined) return undefined;
  const ranges = script.functions.flatMap((fn) => fn.ranges);
  return ['only in the child', 'only in the parent', 'nowhere'].filter((text) => {
    const at = helper.indexOf(`'${text}'`);
    const around = ranges.filter((range) => range.startOffset <= at && at < range.endOffset);
    const size = (range: Range) => range.endOffset - range.startOffset;
    around.sort((a, b) => size(a) - size(b));
    return (around[0]?.count ?? 0) > 0;
  });
}

/** How often the parts of a function have run, if V8 has counted its branches; the first is the whole. */
function counts({ result }: Report, file: string, name: string): number[] | undefined {
  const script = result.find(({ url }) => url.endsWith(file));
  const found = script?.functions.find(({ functionName }) => functionName === name);
  return found?.isBlockCoverage ? found.ranges.map(({ count }) => count) : undefined;
}

/** Runs a program, and reads what each of its processes wrote, the parent's and all others'. */
async function cover(args: string[], flags: string[] = []) {
  const directory = scratchFile('coverage');
  const env = { NODE_V8_COVERAGE: directory };
  const outcome: Outcome = await runNode([...flags, ...args], { env });
  const reports = readdirSync(directory).map((name) => {
    return JSON.parse(readFileSync(`${directory}/${name}`, 'utf8')) as Report;
  });
  return { ...outcome, reports };
}

const kinds = {
  target: 0,
  later: 0,
  exits: 3,
  throws: 1,
  throwsLater: 1,
  closure: 0,
  evaluated: 0,
};

describe('what ran is known of the parent and of the child', () => {
  forEachWay((how) => {
    const { name, options } = ways(how);
    const flags = options.method === 'fork' ? ['--single-threaded'] : [];
    test.each(Object.entries(kinds))('the branches that ran, no others: %s', async (kind, code) => {
      const { reports, ...outcome } = await cover([program, name, kind], flags);
      // A copy begins with what the process had counted.
      const inherited = how === 'fork' ? ['only in the parent'] : [];
      expect(reports.map(branches).sort()).toEqual([
        ['only in the child', ...inherited],
        ['only in the parent'],
      ]);
      expect(outcome.code).toBe(code);
      expect(outcome.stderr.includes('on purpose') || outcome.stderr === '').toBe(true);
    });

    test('TypeScript under tsx', async () => {
      const { code, reports } = await cover(
        [`${folder}typed.ts`, name],
        [...flags, '--import', 'tsx'],
      );
      // A thread of tsx has a report of its own, and nothing of this in it.
      const found = reports.map((report) => counts(report, '/typed_helper.ts', 'choose') ?? []);
      const own = found.filter((parts) => parts.length > 0);
      // The parent's ran once, but for two parts; a copy has these runs and one of its own.
      const ofChild = how === 'fork' ? [2, 1, 0] : [1, 0];
      expect([code, own.sort()]).toEqual([0, [ofChild, [1, 0, 0]].sort()]);
    });
  });
});
