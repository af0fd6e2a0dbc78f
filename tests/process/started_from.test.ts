/**
 * Where a program was started from, by which words, and which file is its main module.
 */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const linux = process.platform === 'linux';
const methods = linux ? ['spawn', 'forkserver', 'fork'] : ['spawn', 'fork'];

let folder = '';
/** Where programs are started. */
let start = '';
/** Where they go; what has the same names there must not run. */
let other = '';

beforeAll(() => {
  mkdirSync(join(root, '.cache'), { recursive: true });
  folder = mkdtempSync(join(root, '.cache/started-'));
  start = join(folder, 'start');
  other = join(folder, 'other/place');
  for (const [directory, hook] of [
    [start, 'right'],
    [other, 'wrong'],
  ] as const) {
    const hooked = join(directory, 'node_modules/hooked');
    mkdirSync(hooked, { recursive: true });
    const source = `globalThis.hooks = (globalThis.hooks ?? '') + '${hook}';\n`;
    writeFileSync(join(hooked, 'package.json'), '{ "exports": { "import": "./index.mjs" } }');
    writeFileSync(join(hooked, 'index.mjs'), source);
    writeFileSync(join(directory, 'hook.cjs'), source);
  }
  writeFileSync(join(start, 'vars'), 'FROM_FILE=read\n');
  copyFileSync(join(root, 'tests/fixtures/programs/started_from.mjs'), join(start, 'main.mjs'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Options {
  readonly env?: NodeJS.ProcessEnv;
  readonly input?: string;
}

/** Runs `node ...words` in the folder `start`. */
function node(words: readonly string[], { env = {}, input = '' }: Options = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    cwd: start,
    env: { ...process.env, PWD: start, ...env },
    input,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

/** The lines of the program `started_from`, if all went well. */
function reports(words: readonly string[], options?: Options): unknown[] {
  const { status, stdout, stderr } = node(words, options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const NAMES = ['main', 'child 0', 'child 1', 'child 2'];

describe.each(methods)('%s', (method) => {
  describe.each(['before', 'after'])('a program that goes elsewhere %s it loads this', (when) => {
    const words = (main = 'main.mjs') => [main, method, when, other];

    test('keeps a package that is preloaded', () => {
      const hooks = 'right';
      const expected = NAMES.map((name) => ({ name, cwd: other, hooks }));
      expect(reports(['--import', 'hooked', ...words()])).toEqual(expected);
    });

    test('keeps a file that is preloaded, and a file of variables', () => {
      const hooks = 'right';
      const expected = NAMES.map((name) => ({ name, cwd: other, hooks, env: 'read' }));
      const flags = ['-r', './hook.cjs', '--env-file=vars'];
      expect(reports([...flags, ...words()])).toEqual(expected);
      expect(reports([...flags, '--', ...words('../start/main.mjs')])).toEqual(expected);
    });

    test('keeps what stands in NODE_OPTIONS', () => {
      const hooks = 'rightright';
      const expected = NAMES.map((name) => ({ name, cwd: other, hooks }));
      const env = { NODE_OPTIONS: '--require ./hook.cjs --import=hooked' };
      expect(reports(words(), { env })).toEqual(expected);
    });
  });

  const program = (text = 'work') => `
    import * as mp from 'multiprocessing';
    import { ${text} } from './target.mjs';
    const p = new (mp.getContext('${method}').Process)({ target: ${text} });
    await p.start();
    await p.join();
    console.log(p.exitcode);`;

  test('a program on stdin or on the command line has no main module, whatever follows', () => {
    writeFileSync(join(start, 'target.mjs'), 'export function work() { process.exitCode = 7; }\n');
    const all = [
      [['-'], program()],
      [['-', 'a'], program()],
      [['-', join(start, 'target.mjs')], program()],
      [[], program()],
      [['-e', program(), 'a'], ''],
      [[`--eval=${program()}`, 'a'], ''],
      [['--eval', program(), '--', join(start, 'target.mjs')], ''],
    ] as const;
    for (const [words, input] of all) {
      const outcome = node(['--input-type=module', ...words], { input });
      expect(outcome).toEqual({ status: 0, stdout: '7\n', stderr: '' });
    }
  });

  const main = (edit: string) => `
    ${edit}
    const mp = await import('multiprocessing');
    export function work() { process.exitCode = 7; }
    if (mp.isMain(import.meta)) {
      const p = new (mp.getContext('${method}').Process)({ target: work });
      await p.start();
      await p.join();
      console.log(p.exitcode, process.argv[1]);
    }`;

  test.each(['a name', process.execPath, '/nowhere/at/all'])(
    'a main module that has changed process.argv is the main module: %s',
    (name) => {
      writeFileSync(join(start, 'edited.mjs'), main(`process.argv[1] = '${name}';`));
      for (const words of [['edited.mjs'], ['--no-warnings', '--', './edited.mjs', 'a']]) {
        expect(node(words)).toEqual({ status: 0, stdout: `7 ${name}\n`, stderr: '' });
      }
    },
  );

  test('a program that another one runs in its place is the main module', () => {
    writeFileSync(
      join(start, 'tool.mjs'),
      'process.argv.splice(1, 1); await import(process.argv[1]);',
    );
    writeFileSync(join(start, 'run.mjs'), main(''));
    const path = join(start, 'run.mjs');
    expect(node(['tool.mjs', path])).toEqual({ status: 0, stdout: `7 ${path}\n`, stderr: '' });
  });

  test.each([
    [{ NODE_PRESERVE_SYMLINKS: '1' }, []],
    [{ NODE_PRESERVE_SYMLINKS_MAIN: '1' }, []],
    [{}, ['--preserve-symlinks', '--preserve-symlinks-main']],
    [{}, []],
  ])('links that Node is told to preserve, or not: %j %j', (env, flags) => {
    writeFileSync(join(start, 'real.mjs'), main(''));
    rmSync(join(start, 'link.mjs'), { force: true });
    symlinkSync('real.mjs', join(start, 'link.mjs'));
    const { status, stdout, stderr } = node([...flags, 'link.mjs'], { env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^7 .*link\.mjs\n$/);
  });
});

test.runIf(linux)('a program that makes itself forkable starts again where it was started', () => {
  const expected = NAMES.map((name) => ({ name, cwd: other, hooks: 'right' }));
  const words = ['--import', 'hooked', 'main.mjs', 'fork', 'forkable', other];
  expect(reports(words)).toEqual(expected);
});

test.runIf(linux)('a program on stdin cannot start again, and goes on', () => {
  const input = "import 'multiprocessing/forkable'; console.log('here');";
  const outcome = node(['--input-type=module', '-', 'a'], { input });
  expect(outcome).toEqual({ status: 0, stdout: 'here\n', stderr: '' });
});
