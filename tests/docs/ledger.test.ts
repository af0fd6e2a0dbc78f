/**
 * Holds docs/cpython-tests.md to the truth: its rows against its counts, against the tests of this
 * project, and, where a CPython 3.13.0 with its test suite is at hand, against that suite.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';
import { isThere, namedTests } from '../support/doc_tests.ts';

const reference = '3.13.0';
const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/cpython-tests.md', root), 'utf8');

interface Row {
  readonly line: string;
  /** The heading that the row stands under. */
  readonly section: string;
  /** `Class.method` in CPython's suite. */
  readonly name: string;
  /** Start methods with a space between, or `-`. */
  readonly methods: string;
  readonly state: string;
  readonly counterpart?: { readonly file: string; readonly title: string };
}

const allMethods = ['spawn', 'fork', 'forkserver'];

const rowFormat =
  /^\| `(?<name>\w+\.test\w*)` \| (?<methods>-|[a-z ]+) \| (?:`(?<file>tests\/[\w/]+\.test\.ts)` › (?<title>[^|`]*[^|`\s])|(?<later>later: [a-z ]*[a-z])|(?<none>none): [^|]*[^|\s]) \|$/;

/** Whether the cell is `-`, or start methods in the usual order with one space between. */
function isMethods(cell: string): boolean {
  const words = cell.split(' ');
  return cell === '-' || cell === allMethods.filter((name) => words.includes(name)).join(' ');
}

/** Splits the page into the rows about tests, the counts, and the lines that are neither. */
function readPage(text: string) {
  const rows: Row[] = [];
  const counts = new Map<string, number>();
  const malformed: string[] = [];
  let section = '';
  for (const line of text.split('\n')) {
    section = /^## (.*)$/.exec(line)?.[1] ?? section;
    if (!line.startsWith('|') || /^\| (---|state|CPython test) \|/.test(line)) continue;
    const count = section === '' ? /^\| (?<state>[^|]+) \| (?<tests>\d+) \|$/.exec(line) : null;
    if (count?.groups) {
      counts.set(count.groups.state ?? '', Number(count.groups.tests));
      continue;
    }
    const { name, methods, file, title, later, none } = rowFormat.exec(line)?.groups ?? {};
    if (name === undefined || !methods || !isMethods(methods) || section === '') {
      malformed.push(line);
      continue;
    }
    const row = { line, section, name, methods, state: later ?? none ?? 'counterparts' };
    rows.push(file && title ? { ...row, counterpart: { file, title } } : row);
  }
  return { rows, counts, malformed };
}

type Node = { readonly type: string } & Record<string, unknown>;

/** The names in `test.concurrent.skipIf(...)`: test, concurrent, skipIf. */
function calleeNames(callee: unknown): string[] {
  const node = callee as Node;
  if (node.type === 'Identifier') return [node.name as string];
  if (node.type === 'CallExpression') return calleeNames(node.callee);
  if (node.type !== 'MemberExpression') return [];
  return [...calleeNames(node.object), ...calleeNames(node.property)];
}

/** The value of a string literal, or of a template without holes. */
function stringOf(node: Node | undefined): string | undefined {
  if (node?.type === 'Literal' && typeof node.value === 'string') return node.value;
  const [first, ...more] = node?.type === 'TemplateLiteral' ? (node.quasis as Node[]) : [];
  return first && more.length === 0 ? (first.value as { cooked: string }).cooked : undefined;
}

/** The methods that `forEachStartMethod(fn)` or `forEachStartMethod(['spawn', ...], fn)` names. */
function methodsOf(call: Node): string[] {
  const first = (call.arguments as Node[])[0];
  if (first?.type !== 'ArrayExpression')
    return /Function/.test(first?.type ?? '') ? allMethods : [];
  return (first.elements as Node[]).flatMap((element) => stringOf(element) ?? []);
}

/**
 * Reads from a test file's source which titles it has, and for which start methods (`-` is a test
 * outside of `forEachStartMethod`). Not counted, because the source does not say that they run:
 * skipped, todo and failing tests, those in an `if` inside of the helper, and computed titles.
 * The source is read, and not vitest's list, because that would import every test file.
 */
function readTitles(source: string): Map<string, Set<string>> {
  const titles = new Map<string, Set<string>>();
  const visit = (value: unknown, methods: readonly string[] | undefined): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item, methods);
      return;
    }
    if (typeof value !== 'object' || value === null || !('type' in value)) return;
    const node = value as Node;
    if (methods && /^(If|Conditional|Logical|Switch)/.test(node.type)) return;
    if (node.type === 'CallExpression') {
      const names = calleeNames(node.callee);
      if (names.some((name) => /^(skip|todo|fails)$/.test(name))) return;
      if (names[0] === 'test' || names[0] === 'it') {
        const title = stringOf((node.arguments as Node[])[0]);
        if (title === undefined) return;
        const known = titles.get(title) ?? new Set();
        for (const method of methods ?? ['-']) known.add(method);
        titles.set(title, known);
        return;
      }
      if (names[0] === 'forEachStartMethod') {
        visit(node.arguments, methodsOf(node));
        return;
      }
    }
    for (const child of Object.values(node)) visit(child, methods);
  };
  visit(parseAst(source, { lang: 'ts' }), undefined);
  return titles;
}

const titlesByFile = new Map<string, Map<string, Set<string>> | undefined>();

/** The titles of a test file, or undefined if there is no such file. */
function titlesOf(file: string): Map<string, Set<string>> | undefined {
  const url = new URL(file, root);
  if (!titlesByFile.has(file)) {
    titlesByFile.set(file, existsSync(url) ? readTitles(readFileSync(url, 'utf8')) : undefined);
  }
  return titlesByFile.get(file);
}

/** What is wrong with a row's counterpart, or undefined. */
function faultOf(row: Row): string | undefined {
  if (row.counterpart === undefined) {
    return row.methods === '-' ? undefined : `${row.name}: start methods, but no counterpart`;
  }
  const { file, title } = row.counterpart;
  const titles = titlesOf(file);
  if (titles === undefined) return `${row.name}: there is no ${file}`;
  const found = titles.get(title);
  if (found === undefined) return `${row.name}: no test '${title}' in ${file}`;
  const methods = ['-', ...allMethods].filter((method) => found.has(method)).join(' ');
  if (methods === row.methods) return undefined;
  return `${row.name}: '${title}' runs under '${methods}', the page says '${row.methods}'`;
}

const listing = `
import ast, importlib.util, json, pathlib, platform
names = []
folder = pathlib.Path(importlib.util.find_spec('test._test_multiprocessing').origin).parent
sources = [folder / '_test_multiprocessing.py', *(folder / 'test_concurrent_futures').glob('*.py')]
for source in sources:
    for node in ast.walk(ast.parse(source.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)) and item.name.startswith('test'):
                    names.append(node.name + '.' + item.name)
print(json.dumps({'version': platform.python_version(), 'names': names}))
`;

/** Asks a Python for the test methods of its suite; without the right one, tells the reasons. */
function readSuite(): { names?: string[]; reasons: string[] } {
  const named = process.env.MULTIPROCESSING_TEST_PYTHON;
  const candidates: [label: string, command: string, env?: Record<string, string>][] = named
    ? [[`MULTIPROCESSING_TEST_PYTHON=${named}`, named]]
    : [
        ['python3.13', 'python3.13'],
        [`PYENV_VERSION=${reference} python3`, 'python3', { PYENV_VERSION: reference }],
      ];
  const reasons: string[] = [];
  for (const [label, command, env] of candidates) {
    const { error, status, stdout, stderr } = spawnSync(command, ['-c', listing], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      timeout: 20_000,
    });
    if (error || status !== 0) {
      reasons.push(`${label}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
      continue;
    }
    const { version, names } = JSON.parse(stdout) as { version: string; names: string[] };
    if (version === reference) return { names, reasons };
    reasons.push(`${label}: is ${version}`);
  }
  return { reasons };
}

describe('the ledger of CPython tests', () => {
  const { rows, counts, malformed } = readPage(page);

  test('has only rows of the agreed format', () => {
    expect(malformed).toEqual([]);
    expect(rows.length).toBeGreaterThan(0);
  });

  test('puts a row that waits for a package under the heading of that package', () => {
    const misplaced = rows.filter(
      ({ state, section }) =>
        state.startsWith('later: ') && state !== `later: ${section.toLowerCase()}`,
    );
    expect(misplaced.map(({ line }) => line)).toEqual([]);
  });

  test('counts what its rows say', () => {
    const counted: Record<string, number> = { all: rows.length };
    for (const { state } of rows) counted[state] = (counted[state] ?? 0) + 1;
    expect(Object.fromEntries(counts)).toEqual(counted);
  });

  test('names no test twice', () => {
    const names = rows.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test('names counterparts that exist and run under the start methods it claims', () => {
    expect(rows.flatMap((row) => faultOf(row) ?? [])).toEqual([]);
  });

  test('names tests that exist where it tells of newer ones in words', () => {
    const [, section] = /^## Newer than 3\.13\n(.*?)^## /ms.exec(page) ?? [];
    const named = namedTests(section ?? '');
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((test) => !isThere(test))).toEqual([]);
  });

  test(`names exactly the tests of CPython ${reference}`, ({ skip }) => {
    const { names, reasons } = readSuite();
    if (names === undefined) {
      const reason = `no CPython ${reference} with its test suite: ${reasons.join('; ')}`;
      console.warn(`ledger: ${reason}`);
      skip(reason);
      return;
    }
    expect(rows.map(({ name }) => name).sort()).toEqual(names.sort());
  });
});

describe('the reader of test sources', () => {
  test('tells tests that run per start method from those that run once', () => {
    const source = `
      test('once', () => { test('inner', () => {}); });
      test.skip('never', () => {});
      describe.todo('nor', () => { test('these', () => {}); });
      // test('in a comment', () => {});
      describe('group', () => {
        forEachStartMethod((mp: Context, method) => {
          it(\`all\`, async () => {});
          if (method === 'fork') test('perhaps', () => {});
          describe('nested', () => void test.skipIf(x)('deep', { timeout: 5 }, () => {}));
        });
        forEachStartMethod(['spawn'], (mp) => { test('some', () => {}); });
        forEachStartMethod(['forkserver'], (mp) => { test('some', () => {}); });
      });`;
    const all = new Set(allMethods);
    const read = readTitles(source);
    expect(Object.fromEntries(read)).toEqual({
      once: new Set(['-']),
      all,
      deep: all,
      some: new Set(['spawn', 'forkserver']),
    });
  });
});
