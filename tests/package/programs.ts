/** Which programs run how, and what each of them prints. */
import { ok, rejects, strictEqual } from 'node:assert';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { environmentOf } from '../support/nodes.ts';
import { check } from './check.ts';
import { tarball } from './projects.ts';

/** The start methods, and how their first child is called. */
const names = { spawn: 'SpawnProcess-1', fork: 'ForkProcess-1', forkserver: 'ForkServerProcess-1' };
const METHODS = Object.entries(names).slice(0, process.platform === 'linux' ? 3 : 1);

/** Programs that print the same under every start method. */
const programs: Readonly<Record<string, readonly string[]>> = {
  'an ES module': ['program.mjs'],
  CommonJS: ['program.cjs'],
  'TypeScript by tsx': ['node_modules/tsx/dist/cli.mjs', 'program.ts'],
  'TypeScript by tsx, in a package without a type': [
    'node_modules/tsx/dist/cli.mjs',
    'untyped/program.ts',
  ],
  'TypeScript by type stripping': ['program.ts'],
  'an ES module bundled by esbuild': ['bundled.mjs'],
  'CommonJS bundled by esbuild': ['bundled.cjs'],
};

/** Runs every program in a project. @param node the path of the Node that runs them */
export async function checkPrograms(project: string, node: string, where: string): Promise<void> {
  const run = (command: string, args: readonly string[]) => runIn(project, node, command, args);
  const prints = (title: string, args: readonly string[], expected: string) =>
    check(`${where}: ${title}`, async () => strictEqual(await run(node, args), expected));

  const esbuild = ['--bundle', '--platform=node', '--packages=external', '--log-level=warning'];
  const bin = join(project, 'node_modules/.bin');
  await run(join(bin, 'esbuild'), [
    'program.ts',
    '--format=esm',
    '--outfile=bundled.mjs',
    ...esbuild,
  ]);
  await run(join(bin, 'esbuild'), [
    'program.cjs',
    '--format=cjs',
    '--outfile=bundled.cjs',
    ...esbuild,
  ]);

  const { program, output } = readmeProgram();
  writeFileSync(join(project, 'square.mjs'), program);
  await prints('the program in README.md', ['square.mjs'], output);

  const strips = (await run(node, ['-p', 'process.features.typescript'])) === 'strip\n';
  for (const [title, args] of Object.entries(programs)) {
    if (title === 'TypeScript by type stripping' && !strips) continue;
    for (const [method, name] of METHODS) {
      await prints(`${title}, ${method}`, [...args, method], `${method} ${name} 49 0\n`);
    }
  }
  for (const [method, name] of METHODS) {
    await prints(
      `an inline function in CommonJS, ${method}`,
      ['closure.cjs', method],
      `${method} ${name} 49\n`,
    );
    await prints(
      `two copies have one currentProcess(), ${method}`,
      ['copies.mjs', method],
      `${method} true\n${`${name} `.repeat(4)}true\ntrue true true true\n${'MainProcess '.repeat(4)}true\n`,
    );
  }
  if (process.platform === 'linux') {
    const forked = 'ForkProcess-1 <ForkContext>\ntrue\n';
    await prints('a real fork, an ES module', ['forkable.mjs'], forked);
    await prints('a real fork, CommonJS', ['forkable.cjs'], forked);
    await check(`${where}: module hooks on a thread, CommonJS`, () =>
      rejects(
        run(node, ['--import', './hooks.mjs', 'program.cjs', 'forkserver']),
        /module hooks run on a thread/,
      ),
    );
  }
  const older = 'process.getBuiltinModule = undefined;';
  for (const load of ["require('multiprocessing')", "import('multiprocessing')"]) {
    await check(`${where}: an older Node is told, ${load}`, () =>
      rejects(run(node, ['-e', older + load]), /needs Node\.js >=20\.19, and this is v/),
    );
  }
  await check(`${where}: the command line`, async () => {
    const version = await run(join(bin, 'multiprocessing'), ['--version']);
    ok(tarball.endsWith(`-${version.trim()}.tgz`), version);
    const output = await run(join(bin, 'multiprocessing'), ['trace', 'program.mjs', 'spawn']);
    ok(output.includes('spawn SpawnProcess-1 49 0\n'), output);
  });
}

/** The program that README.md begins with. */
function readmeProgram() {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, program = '', output = ''] =
    /^```ts runnable\n(.*?)^```\n\n```text\n(.*?)^```$/ms.exec(text) ?? [];
  const command = `npm install ./${basename(tarball)}\nnode square.mjs\n`;
  ok(text.includes(command), `README.md does not say: ${command}`);
  return { program, output };
}

/** Runs a command to its end. @returns what it prints @throws if it fails or writes to stderr */
function runIn(
  cwd: string,
  node: string,
  command: string,
  args: readonly string[],
): Promise<string> {
  return new Promise((done, fail) => {
    execFile(
      command,
      args,
      { cwd, env: environmentOf(node), timeout: 60_000 },
      (error, stdout, stderr) => {
        if (error || stderr !== '') fail(new Error(`${error?.message}\n${stdout}${stderr}`));
        else done(stdout);
      },
    );
  });
}
