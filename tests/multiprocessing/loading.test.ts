/** Where the library cannot work it says so when it is loaded, and what to do. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const library = join(root, 'packages/multiprocessing');
let folder = '';

beforeAll(() => {
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/loading-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Loads the library by both ways after a first line. @returns the codes and messages of their errors */
async function errorsOf(first: string, specifier = 'multiprocessing'): Promise<string[]> {
  const tell = '(e) => console.log(e.code, e.message)';
  const script = `${first};
    import('${specifier}').then(() => console.log('loaded'), ${tell}).then(() => {
      try { require('${specifier.replace(/\.js$/, '.cjs')}'); console.log('loaded'); } catch (e) { (${tell})(e); }
    });`;
  const { stdout, stderr } = await runNode(['-e', script]);
  expect(stderr).toBe('');
  return stdout.trim().split('\n');
}

/** A copy of the library. @param id that of another build; without, its own */
function copy(name: string, id?: string): string {
  const bundle = join(folder, name, 'bundle');
  cpSync(join(library, 'dist/bundle'), bundle, { recursive: true });
  symlinkSync(join(library, 'node_modules'), join(folder, name, 'node_modules'));
  for (const file of ['index.js', 'index.cjs', 'load_bundle.cjs']) {
    const path = join(bundle, file);
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace(/(?<=BUNDLE_ID = '|id: ")\w{16}/, (own) => id ?? own),
    );
  }
  writeFileSync(join(folder, name, 'package.json'), '{ "type": "module" }');
  return bundle;
}

test('two copies of one version are one library', async () => {
  const [first, second] = [copy('one'), copy('another')];
  expect(await errorsOf(`require('${first}/index.cjs')`, `${second}/index.js`)).toEqual([
    'loaded',
    'loaded',
  ]);
});

test('two versions in one process: the second says where both are', async () => {
  const [first, second] = [copy('old', '0123456789abcdef'), copy('new')];
  for (const [has, wants] of [
    [first, second],
    [second, first],
  ] as const) {
    const told = await errorsOf(`require('${has}/index.cjs')`, `${wants}/index.js`);
    const about = (file: string) =>
      new RegExp(`^ERR_MP_TWO_VERSIONS .*${wants}/${file}: .* from ${has}\\. .*npm dedupe`);
    expect(told).toEqual([
      expect.stringMatching(about('index.js')),
      expect.stringMatching(about('index.cjs')),
    ]);
  }
});

test.each(['bun', 'deno'])('%s is no platform for it', async (name) => {
  const versions = `{ value: { ...process.versions, ${name}: '1.2.3' } }`;
  const told = await errorsOf(`Object.defineProperty(process, 'versions', ${versions})`);
  const message = expect.stringMatching(
    `^ERR_MP_PLATFORM .*needs Node\\.js, and this is ${name} 1\\.2\\.3`,
  );
  expect(told).toEqual([message, message]);
});

describe('put into a bundle by esbuild', () => {
  const forms = {
    import: "import * as mp from 'multiprocessing';",
    require: "const mp = require('multiprocessing');",
  };

  test.each([
    ['import', 'esm'],
    ['import', 'cjs'],
    ['require', 'esm'],
    ['require', 'cjs'],
  ] as const)('it says that it has to stay outside: %s, %s', async (form, format) => {
    const bundled = async (external: string[]) => {
      const outfile = join(folder, `out.${format === 'esm' ? 'mjs' : 'cjs'}`);
      const stdin = {
        contents: `${forms[form]} console.log(mp.cpuCount() > 0);`,
        resolveDir: root,
      };
      const options = { stdin, bundle: true, platform: 'node', format, outfile, external };
      // In a process of its own: esbuild stays for as long as that.
      const script = `require('esbuild').buildSync(${JSON.stringify({ ...options, logLevel: 'error' })})`;
      expect(await runNode(['-e', script])).toMatchObject({ stderr: '', code: 0 });
      return runNode([outfile]);
    };
    const { stdout, stderr, code } = await bundled(['koffi', 'acorn', 'es-module-lexer']);
    expect({ stdout, code }).toEqual({ stdout: '', code: 1 });
    expect(stderr).toMatch(/Error: multiprocessing .*--external:multiprocessing/);
    expect(stderr).toContain('ERR_MP_BUNDLED');
    if (form === 'require' && format === 'esm') return; // a module that requires nothing that is external
    expect(await bundled(['multiprocessing'])).toMatchObject({
      stdout: 'true\n',
      stderr: '',
      code: 0,
    });
  });
});
