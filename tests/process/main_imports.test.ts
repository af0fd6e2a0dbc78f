/** Which children import the main module. Deviations: D-123. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runProgram } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

const METHODS = ['spawn', 'forkserver'] as const;
const dist = fileURLToPath(new URL('../fixtures/dist', import.meta.url));

/** In how many processes the top level of a program has run that starts two children. */
async function countRuns(
  program: string,
  words: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<number> {
  const file = scratchFile('runs');
  const { code, stdout, stderr } = await runProgram(program, [...words, file], { env });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '0\n0\n', stderr: '' });
  return readFileSync(file, 'utf8').trim().split('\n').length;
}

test.each([
  // The server imports it for all children.
  { guard: 'isMain', target: 'elsewhere', spawn: 3, forkserver: 2 },
  { guard: 'isMain', target: 'own', spawn: 3, forkserver: 2 },
  { guard: 'another', target: 'own', spawn: 3, forkserver: 2 },
  { guard: 'another', target: 'elsewhere', spawn: 1, forkserver: 1 },
])(
  'a main module with the guard $guard, and a target $target',
  async ({ guard, target, ...runs }) => {
    for (const method of METHODS) {
      expect(await countRuns('main_imports', [method, guard, target])).toBe(runs[method]);
    }
  },
);

test('a program in node_modules is imported where a message names it', async () => {
  const folder = join(scratchFile('project'), 'node_modules/tool');
  mkdirSync(join(folder, 'programs'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const program = join(folder, 'programs/main_imports.js');
  copyFileSync(join(dist, 'programs/main_imports.js'), program);
  writeFileSync(join(folder, 'targets.js'), 'export function empty() {}\n');
  symlinkSync(
    fileURLToPath(new URL('../../node_modules/multiprocessing', import.meta.url)),
    join(folder, '../multiprocessing'),
  );
  for (const method of METHODS) {
    expect(await countRuns(program, [method, 'isMain', 'elsewhere'])).toBe(1);
    expect(await countRuns(program, [method, 'isMain', 'own'])).toBeGreaterThan(1);
  }
});

test.each(METHODS)(
  'what a test runner tells its workers by does not reach children of %s',
  async (method) => {
    const env = {
      MOCHA_WORKER_ID: '1',
      NODE_TEST_WORKER_ID: '1',
      VITEST_POOL_ID: '1',
      JEST_WORKER_ID: '1',
    };
    const { stdout, stderr } = await runProgram('environment', [method], { env });
    expect([stdout, stderr]).toEqual(['[]\n', '']);
  },
);

// pm2 7 itself: tests/places. Its container loads the program that a variable names.
test('a program that pm2 has loaded is the main module', async () => {
  const folder = join(scratchFile('pm2'), 'node_modules/pm2/lib');
  mkdirSync(folder, { recursive: true });
  const container = join(folder, 'ProcessContainerFork.js');
  writeFileSync(container, `process.title = 'app'; import(process.env.pm_exec_path);`);
  const env = { pm_exec_path: join(dist, 'programs/main_imports.js') };
  for (const method of METHODS) {
    const runs = await countRuns(container, [method, 'isMain', 'own'], env);
    expect(runs).toBe(method === 'spawn' ? 3 : 2);
  }
});

// A single executable itself: tests/places/hosts.ts.
test('a program that runs whatever it is told to run is no single executable', async () => {
  const words = ['spawn', '--multiprocessing-fork', '1', '8'];
  const { stdout, stderr, code } = await runProgram('environment', words);
  expect({ stdout, stderr, code }).toEqual({ stdout: '[]\n', stderr: '', code: 0 });
});

test('code without a file that asks whether it is the main module is told how to ask', async () => {
  const program = join(scratchFile('loader'), 'main.mjs');
  mkdirSync(join(program, '..'));
  const code = `import { isMain } from ${JSON.stringify(import.meta.resolve('multiprocessing'))}; console.log(isMain(import.meta), isMain({}));`;
  writeFileSync(program, `import('data:text/javascript,${encodeURIComponent(code)}');`);
  const { stdout, stderr } = await runProgram(program);
  expect([stdout, stderr]).toEqual([
    'false false\n',
    expect.stringMatching(/MultiprocessingWarning: isMain.* filename: import\.meta\.filename/),
  ]);
});

test('an ES module of which a bundler has made CommonJS is told how to ask', async () => {
  const program = join(scratchFile('bundled'), 'main.cjs');
  mkdirSync(join(program, '..'));
  const { resolve } = createRequire(import.meta.url);
  const library = resolve('multiprocessing');
  const code = `import { isMain } from '${library}'; console.log(isMain(import.meta));`;
  const esbuild = resolve('esbuild/bin/esbuild');
  const flags = ['--format=cjs', '--log-level=error'];
  writeFileSync(program, execFileSync(esbuild, flags, { input: code }));
  const { stdout, stderr } = await runProgram(program);
  expect([stdout, stderr]).toEqual([
    'false\n',
    expect.stringMatching(/MultiprocessingWarning: isMain.* Ask isMain\(module\)/),
  ]);
});
