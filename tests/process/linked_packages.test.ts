/**
 * Packages behind links, as pnpm lays them out, whose own dependencies lie beside the place that the link leads to. On Node 20 and 22
 * the module loader stops following links right after a plain fstat of a pipe or socket (findings/node_realpath_after_fstat.sh).
 */
import type { StdioOptions } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';
import { forEachWay, ways } from '../support/start_methods.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

function write(path: string, content: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

/** A program that uses a linked package in a child, as an ES module or as CommonJS. */
function program(extension: 'mjs' | 'cjs'): string {
  const folder = scratchFile('project');
  const store = join(folder, 'store/node_modules');
  write(join(store, 'outer/package.json'), '{ "name": "outer", "main": "index.js" }');
  write(join(store, 'outer/index.js'), `exports.value = require('inner').value;`);
  write(join(store, 'inner/index.js'), 'exports.value = 7;');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(join(store, 'outer'), join(folder, 'node_modules/outer'));
  symlinkSync(
    join(root, 'node_modules/multiprocessing'),
    join(folder, 'node_modules/multiprocessing'),
  );
  const [isMain, start] =
    extension === 'mjs'
      ? [
          'mp.isMain(import.meta)',
          `import outer from 'outer'; import * as mp from 'multiprocessing';`,
        ]
      : [
          'mp.isMain(module)',
          `const outer = require('outer'); const mp = require('multiprocessing');`,
        ];
  const exported = extension === 'mjs' ? 'export { use };' : 'exports.use = use;';
  return write(
    join(folder, `main.${extension}`),
    `${start}
     function use() { process.exit(outer.value); }
     ${exported}
     async function main() {
       const p = new (mp.getContext(process.argv[2]).Process)({ target: use });
       await p.start();
       await p.join();
       console.log(p.exitcode);
     }
     if (${isMain}) main();`,
  );
}

forEachWay((how) => {
  const { name, options } = ways(how);

  test.each([
    ['mjs', 'pipe'],
    ['mjs', 'ignore'],
    ['cjs', 'pipe'],
    ['cjs', 'ignore'],
  ] as const)('a %s program, stdin: %s', async (extension, stdin) => {
    const stdio: StdioOptions = [stdin, 'pipe', 'pipe'];
    const outcome = await runProgram(program(extension), [name], { ...options, stdio });
    expect(outcome).toMatchObject({ stdout: '7\n', stderr: '', code: 0 });
  });
});

test('the library asks for no plain fstat', () => {
  const packages = join(root, 'packages');
  const plain = readdirSync(packages, { recursive: true, encoding: 'utf8' })
    .filter((file) => /^\w+\/src\/.*\.ts$/.test(file))
    .flatMap(
      (file) => readFileSync(join(packages, file), 'utf8').match(/\bf?statSync\([^;]*;/g) ?? [],
    )
    .filter((call) => !call.includes('bigint: true'));
  expect(plain).toEqual([]);
});
