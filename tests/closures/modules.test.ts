/**
 * The ways to hold a module, or a part of one, in a variable (fixtures/closures/ways) × what made the program × how the child
 * is started: in a function by value each is what it is in the program.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transformSync } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const ways = join(root, 'tests/fixtures/closures/ways');
const tsx = createRequire(import.meta.url).resolve('tsx/cli');
const tsc = join(root, 'node_modules/.bin/tsc');
const strips = (process.features as { typescript?: unknown }).typescript;
const methods = ['fork', 'spawn', 'forkserver'] as const;

interface Form {
  /** What becomes of the two TypeScript files; without it they stay what they are. */
  readonly compile?: (source: string) => string;
  /** Which files are in the folder, and are run. */
  readonly type: 'module' | 'commonjs';
  readonly tsx?: boolean;
  readonly unable?: string | undefined;
}

const esbuild = (format: 'esm' | 'cjs', minify: boolean) => (source: string) =>
  transformSync(source, {
    loader: 'ts',
    target: 'node20',
    platform: 'node',
    format,
    minify,
    supported: { 'import-attributes': true },
  }).code;

const forms: Readonly<Record<string, Form>> = {
  'an ES module without types': { compile: withoutTypes, type: 'module' },
  'TypeScript that Node strips of its types': {
    type: 'module',
    unable: strips ? undefined : `Node ${process.versions.node} strips no types`,
  },
  'an ES module by tsc': { compile: byTsc('esnext'), type: 'module' },
  'CommonJS by tsc': { compile: byTsc('commonjs'), type: 'commonjs' },
  'an ES module by esbuild, minified': { compile: esbuild('esm', true), type: 'module' },
  'CommonJS by esbuild': { compile: esbuild('cjs', false), type: 'commonjs' },
  'CommonJS by esbuild, minified': { compile: esbuild('cjs', true), type: 'commonjs' },
  'an ES module under tsx': { type: 'module', tsx: true },
  'CommonJS under tsx': { type: 'commonjs', tsx: true },
};

function withoutTypes(source: string): string {
  return transformSync(source, { loader: 'ts', target: 'esnext', format: 'esm' }).code;
}

function byTsc(module: 'esnext' | 'commonjs') {
  return (source: string): string => {
    const folder = mkdtempSync(join(scratch, 'tsc-'));
    writeFileSync(join(folder, 'package.json'), `{ "type": "${typeOf(module)}" }`);
    writeFileSync(join(folder, 'in.ts'), source);
    const compilerOptions = {
      module,
      target: 'es2022',
      moduleResolution: 'bundler',
      esModuleInterop: true,
      noCheck: true,
      types: [],
      outDir: 'out',
    };
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions, files: ['in.ts'] }),
    );
    execFileSync(tsc, ['-p', folder]);
    return readFileSync(join(folder, 'out/in.js'), 'utf8');
  };
}

const typeOf = (module: string) => (module === 'commonjs' ? 'commonjs' : 'module');

/** Puts the program into a folder of its own. @returns what node is to run */
function build({ compile, type, tsx: underTsx }: Form): string[] {
  const folder = mkdtempSync(join(scratch, 'form-'));
  cpSync(ways, folder, { recursive: true });
  const imports = { '#dual': { import: './dual.mjs', require: './dual.cjs' } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type, imports }));
  for (const name of ['rows', 'main']) {
    if (compile === undefined) continue;
    let source = readFileSync(join(folder, `${name}.ts`), 'utf8').replace(
      "'./rows.ts'",
      "'./rows.js'",
    );
    if (type === 'commonjs') {
      source = source.replace('import.meta.url', '__filename').replace('import.meta', 'module');
    }
    writeFileSync(join(folder, `${name}.js`), compile(source));
    rmSync(join(folder, `${name}.ts`));
  }
  const main = join(folder, compile === undefined ? 'main.ts' : 'main.js');
  return underTsx ? [tsx, main] : [main];
}

/** What the rows answer, where they do not answer true. */
const expected = JSON.parse(readFileSync(join(ways, 'expected.json'), 'utf8')) as Record<
  string,
  Record<string, unknown>
>;

let scratch = '';

beforeAll(() => {
  // Inside of the project, so that `multiprocessing` is found as from any program.
  mkdirSync(join(root, '.cache'), { recursive: true });
  scratch = mkdtempSync(join(root, '.cache/ways-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

async function answersOf(args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runNode(args);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.split('\n').filter(Boolean);
  return Object.fromEntries(lines.map((line) => JSON.parse(line) as [string, unknown]));
}

for (const [name, form] of Object.entries(forms)) {
  if (form.unable !== undefined) console.warn(`no tests of ${name}: ${form.unable}`);
  describe.skipIf(form.unable !== undefined)(name, () => {
    let args: string[] = [];
    beforeAll(() => {
      args = build(form);
    });
    for (const method of methods) {
      test(`each way, under ${method}`, { timeout: 300_000 }, async () => {
        expect(await answersOf([...args, method])).toEqual(expected.main);
      });
    }
  });
}

describe('CommonJS as it is written by hand', () => {
  for (const method of methods) {
    test(`each way, under ${method}`, { timeout: 300_000 }, async () => {
      const folder = mkdtempSync(join(scratch, 'form-'));
      cpSync(ways, folder, { recursive: true });
      writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }');
      const rows = readFileSync(join(folder, 'rows.ts'), 'utf8');
      writeFileSync(join(folder, 'rows.cjs'), esbuild('cjs', false)(rows));
      expect(await answersOf([join(folder, 'common.cjs'), method])).toEqual(expected.common);
    });
  }
});
