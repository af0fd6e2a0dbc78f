/** The test runners in which a test starts processes, and how each is told to. */

export interface Runner {
  readonly name: string;
  /** What it needs of npm; the library is there anyway. */
  readonly packages: Readonly<Record<string, string>>;
  /** The file of tests. */
  readonly file: string;
  /** Its first lines: they declare `check(name, body)`, which declares a test, and `equal`. */
  readonly begin: string;
  /** The arguments of node. */
  readonly args: readonly string[];
  /** Other files of the project. */
  readonly files?: Readonly<Record<string, string>>;
  /** Finds in its report how many tests have passed. */
  readonly passed: RegExp;
  /** Whether a child can load what the tests import by its name. */
  readonly helper?: { readonly module: string; readonly byName: boolean };
}

const bin = (path: string) => `node_modules/${path}`;
const MOCHA = { packages: { mocha: '12.0.3' }, file: 'it.test.mjs', passed: /(\d+) passing/ };
const mocha = `import { deepStrictEqual as equal } from 'node:assert';
const check = (name, body) => it(name, body);`;
const NODE = { packages: {}, file: 'it.test.mjs', passed: /^(?:#|ℹ) pass (\d+)/m };
const node = `import { deepStrictEqual as equal } from 'node:assert';
import { test as check } from 'node:test';`;
const VITEST = {
  packages: { vitest: '4.1.12' },
  file: 'it.test.mjs',
  passed: /Tests\s+(\d+) passed \(\1\)/,
};
const vitest = `import { expect, test as check } from 'vitest';
const equal = (a, b) => expect(a).toEqual(b);`;
const JEST = { packages: { jest: '30.5.2' }, passed: /^Tests:\s+(\d+) passed, \1 total/m };
const jest = `import { expect, test as check } from '@jest/globals';
const equal = (a, b) => expect(a).toEqual(b);`;
const jestConfig = {
  'jest.config.mjs':
    "export default { testMatch: ['**/it.test.*'], testEnvironment: 'node', transform: {} };\n",
};
const AVA = { packages: { ava: '7.0.0' }, file: 'it.test.mjs', passed: /(\d+) tests passed/ };
const ava = `import test from 'ava';
const check = (name, body) => test.serial(name, async (t) => { const [a, b] = await body(); t.deepEqual(a, b); });
const equal = (a, b) => [a, b];`;
const TYPED = { module: './typed.ts', byName: false };

/** @internal */
export const runners: readonly Runner[] = [
  { ...NODE, name: 'node --test', begin: node, args: ['--test', 'it.test.mjs'] },
  { ...NODE, name: 'node FILE', begin: node, args: ['it.test.mjs'] },
  {
    ...NODE,
    name: 'node FILE, a real fork',
    begin: node,
    args: ['--single-threaded', 'it.test.mjs'],
  },
  {
    ...NODE,
    name: 'node --test, isolation none',
    begin: node,
    // Node 20 has no such flag: what it says is the reason of the skip.
    args: ['--test', '--test-isolation=none', 'it.test.mjs'],
  },
  {
    ...NODE,
    name: 'node --test, tsx',
    packages: { tsx: '4.23.15' },
    file: 'it.test.ts',
    begin: node,
    args: ['--import', 'tsx', '--test', 'it.test.ts'],
    helper: { module: './typed.ts', byName: true },
  },
  { ...MOCHA, name: 'mocha', begin: mocha, args: [bin('mocha/bin/mocha.js'), 'it.test.mjs'] },
  {
    ...MOCHA,
    name: 'mocha --parallel',
    begin: mocha,
    args: [bin('mocha/bin/mocha.js'), '--parallel', 'it.test.mjs'],
  },
  ...['forks', 'threads', 'vmThreads'].map((pool) => ({
    ...VITEST,
    name: `vitest, ${pool}`,
    begin: vitest,
    args: [bin('vitest/vitest.mjs'), 'run', `--pool=${pool}`],
  })),
  {
    ...VITEST,
    name: 'vitest, TypeScript',
    file: 'it.test.ts',
    begin: vitest,
    args: [bin('vitest/vitest.mjs'), 'run'],
    helper: TYPED,
  },
  {
    ...JEST,
    name: 'jest -i, ES modules',
    file: 'it.test.mjs',
    begin: jest,
    files: jestConfig,
    args: ['--experimental-vm-modules', bin('jest/bin/jest.js'), '-i'],
  },
  {
    ...JEST,
    name: 'jest, workers, CommonJS',
    file: 'it.test.cjs',
    begin: jest,
    files: {
      'jest.config.mjs':
        "export default { testMatch: ['**/it.test.*'], testEnvironment: 'node', transform: { '\\\\.[cm]?js$': 'babel-jest' } };\n",
      'babel.config.cjs':
        "module.exports = { presets: [['@babel/preset-env', { targets: { node: 'current' } }]] };\n",
    },
    packages: { jest: '30.5.2', '@babel/preset-env': '7.28.5', '@babel/core': '7.28.5' },
    args: [bin('jest/bin/jest.js'), '--workers=2'],
  },
  {
    ...JEST,
    name: 'jest, TypeScript',
    file: 'it.test.ts',
    begin: jest,
    files: {
      'jest.config.mjs':
        "export default { testMatch: ['**/it.test.*'], testEnvironment: 'node', transform: { '\\.([cm]?js|ts)$': 'babel-jest' } };\n",
      'babel.config.cjs':
        "module.exports = { presets: [['@babel/preset-env', { targets: { node: 'current' } }], '@babel/preset-typescript'] };\n",
    },
    packages: {
      jest: '30.5.2',
      '@babel/preset-env': '7.28.5',
      '@babel/core': '7.28.5',
      '@babel/preset-typescript': '7.28.5',
    },
    args: [bin('jest/bin/jest.js')],
    helper: TYPED,
  },
  { ...AVA, name: 'ava', begin: ava, args: [bin('ava/entrypoints/cli.mjs'), 'it.test.mjs'] },
  {
    ...AVA,
    name: 'ava, processes',
    begin: ava,
    args: [bin('ava/entrypoints/cli.mjs'), '--no-worker-threads', 'it.test.mjs'],
  },
];

/** The file of tests of a runner: three ways in which a function comes to a child, under each start method. */
export function testFile({ begin, helper }: Runner): string {
  const { module, byName } = helper ?? { module: './helper.mjs', byName: true };
  return `${begin}
import { basename } from 'node:path';
import { ask, METHODS, RIGHT } from './cases.mjs';
import { double } from '${module}';

export function own(writer, x) {
  writer.send([basename('/a/b'), x * 2]);
  writer.close();
}

const factor = 2;
for (const method of METHODS) {
  check(method + ' helper', async () =>
    equal(await ask('helper', method, double, { allowClosures: ${!byName} }), RIGHT));
  check(method + ' own', async () => equal(await ask('own', method, own), RIGHT));
  check(method + ' inline', async () =>
    equal(
      await ask('inline', method, (writer, x) => {
        writer.send([basename('/a/b'), x * factor]);
        writer.close();
      }),
      RIGHT,
    ));
}
`;
}
