/** Holds docs/coverage.md to the truth: each of its tests is there, and its table is of the tools that are measured. */
import { expect, test } from 'vitest';
import { cellOf, methods, type Tool, tools } from '../places/coverage_tools.ts';
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
  const cells = (tool: Tool) => Object.keys(methods).map((method) => cellOf(tool, method));
  expect(tools.length).toBeGreaterThan(3);
  expect(rows).toEqual(tools.map((tool) => `| ${[tool.name, ...cells(tool)].join(' | ')} |`));
});

test('the settings of vitest are those that are measured', async () => {
  const [, shown = ''] = /^```js\n\/\/ vitest\.config\.js\n(.*?)^```$/ms.exec(page) ?? [];
  const { default: config } = (await import(
    `data:text/javascript,${encodeURIComponent(shown)}`
  )) as { default: unknown };
  const measured = tools.find(({ name }) => name.endsWith('multiprocessing/vitest_coverage'));
  expect(config).toEqual({ test: { coverage: { enabled: true, ...measured?.settings } } });
});
