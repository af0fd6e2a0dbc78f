/** Holds docs/coverage.md to the truth: each of its tests is there, and its table is of the tools that are measured. */
import { expect, test } from 'vitest';
import { isThere, namedTests, read } from '../support/doc_tests.ts';

const page = read('docs/coverage.md');

test('the page of coverage names tests that exist', () => {
  const named = namedTests(page, ' \\|$');
  expect(named.length).toBeGreaterThanOrEqual(5);
  expect(named.filter((each) => !isThere(each))).toEqual([]);
});

test('the table is of the tools that are measured, and has no wrong cell', () => {
  const [, table = ''] = page.split(/^\| \| spawn .*\n\| --- .*\n/m);
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n');
  const script = read('tests/places/coverage.ts');
  const says = [...script.matchAll(/says: '(.*)'/g)].map((match) => match[1]);
  const names = [...script.matchAll(/^ {4}name: '(.*)'/gm)].map((match) => match[1]);
  expect(names).toHaveLength(3);
  expect(rows).toEqual(
    names.map((name, i) => `| ${[name, ...Array(4).fill(says[i])].join(' | ')} |`),
  );
});
