/**
 * Holds docs/design.md to the truth: the files that it names are there, its plan is that of the code, and the tool that
 * watches the order of the rooms does see an import that runs up.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { scratchFile } from '../support/scratch.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(root, 'docs/design.md'), 'utf8');

test('the files that the page links to are there, at least twenty behaviours among them', () => {
  const table = page.slice(page.indexOf('## Where do I change'), page.indexOf('## From start()'));
  const rows = [...table.matchAll(/^\| .+ \| \[.+\]\((.+)\) \|$/gm)].map((row) => row[1]);
  expect(rows.length).toBeGreaterThanOrEqual(20);
  const links = [...page.matchAll(/\]\((\.\.\/[^)#]+)\)/g)].map((link) => link[1] as string);
  expect(links.filter((link) => !existsSync(join(root, 'docs', link)))).toEqual([]);
});

test('the files that the pages name in their text are there', () => {
  const text = readdirSync(join(root, 'docs'))
    .map((name) => name.replace(/\.md$/, ''))
    .map((name) => readFileSync(join(root, 'docs', `${name}.md`), 'utf8'))
    .join('\n');
  const named = text.match(/(?<![\w./-])(?:[a-z_]+\/)+[a-z_]+\.ts\b/g) ?? [];
  const places = ['', 'posix/', 'core/', 'popen/'].map((place) => `packages/${place}`);
  const isThere = (name: string) => {
    const [first = '', ...rest] = name.split('/');
    return [
      name,
      `benchmarks/${name}`,
      ...places.map((place) => `${place.replace(/\/$/, '')}/src/${name}`),
    ]
      .concat(`packages/${first}/src/${rest.join('/')}`)
      .some((path) => existsSync(join(root, path)));
  };
  expect(named.length).toBeGreaterThan(50);
  expect([...new Set(named)].filter((name) => !isThere(name))).toEqual([]);
});

describe('the order of the rooms', () => {
  const tool = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const config = join(root, '.dependency-cruiser.mjs');

  /** Runs the tool on a small house of these files. */
  function judge(files: Record<string, string>) {
    const folder = scratchFile('house');
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, 'packages', name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
    const { status, stdout } = spawnSync(process.execPath, [tool, '--config', config, 'packages'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return { status, faults: stdout.match(/error .*?: .*(?= →)/g) };
  }

  const number = 'export type N = number;\n';

  test('a room may import those below it', () => {
    expect(
      judge({
        'core/src/queues/a.ts': "import type { N } from '../base/b.ts';\nexport const a: N = 1;\n",
        'core/src/base/b.ts': number,
      }),
    ).toEqual({ status: 0, faults: null });
  });

  test.each([
    [
      'a lower room that imports a higher one',
      'core/src/base/a.ts',
      '../queues/b.ts',
      'core/src/queues/b.ts',
    ],
    [
      'a package that imports one to its right',
      'posix/src/ffi/a.ts',
      '../../../core/src/base/b.ts',
      'core/src/base/b.ts',
    ],
    [
      'a package that imports itself by name',
      'core/src/base/a.ts',
      '../../dist/b.js',
      'core/dist/b.js',
    ],
    [
      'a room that the plan does not know',
      'core/src/attic/a.ts',
      '../base/b.ts',
      'core/src/base/b.ts',
    ],
    ['a file that is not there', 'core/src/queues/a.ts', '../base/c.ts', 'core/src/base/b.ts'],
  ])('%s is a fault, also for a type', (_what, from, specifier, to) => {
    const { status, faults } = judge({
      [from]: `import type { N } from '${specifier}';\nexport const a: N = 1;\n`,
      [to]: number,
    });
    expect(faults).toHaveLength(1);
    expect(status).toBe(1);
  });

  test('a circle of types is a fault', () => {
    const { status, faults } = judge({
      'core/src/base/a.ts': "import type { B } from './b.ts';\nexport interface A { b?: B }\n",
      'core/src/base/b.ts': "import type { A } from './a.ts';\nexport interface B { a?: A }\n",
    });
    expect(faults?.length).toBeGreaterThan(0);
    expect(status).not.toBe(0);
  });
});
