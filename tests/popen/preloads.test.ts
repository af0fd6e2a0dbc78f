/** What a program has by `-r` and `--loader`, in its children. Hooks of `require` come to what forks in their order: behind what this library puts first, but for that of Yarn. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runNode } from '../support/programs.ts';
import { scratchFile } from '../support/scratch.ts';

/** Notes whether what this library puts first, and takes out of the flags then, has run. */
const HOOK = `
const waits = process.execArgv.some((flag) => flag.endsWith('loader_preload.cjs'));
(globalThis.notes ??= []).push(require('node:path').basename(__filename) + (waits ? ' first' : ''));
`;

const library = createRequire(import.meta.url).resolve('multiprocessing');

const PROGRAM = `
require(${JSON.stringify(library.replace('index.', 'forkable.'))});
const mp = require(${JSON.stringify(library)});
exports.tell = () => console.log(globalThis.notes.join());
async function main() {
  const ctx = mp.getContext(process.argv[2]);
  console.log(String(ctx));
  const p = new ctx.Process({ target: exports.tell });
  await p.start();
  await p.join();
}
if (mp.isMain(module)) main();
`;

test.skipIf(process.platform !== 'linux').each([
  ['forkserver', '<ForkServerContext>'],
  ['fork', '<ForkContext>'],
])("%s: Yarn's Plug'n'Play is there before the library", async (method, context) => {
  const folder = scratchFile('project');
  mkdirSync(folder);
  for (const name of ['a.cjs', '.pnp.cjs', 'b.cjs']) writeFileSync(join(folder, name), HOOK);
  writeFileSync(join(folder, 'main.cjs'), PROGRAM);
  const hooks = ['a.cjs', '.pnp.cjs', 'b.cjs'].flatMap((name) => ['-r', join(folder, name)]);
  const { code, stdout, stderr } = await runNode([...hooks, join(folder, 'main.cjs'), method]);
  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: `${context}\na.cjs first,.pnp.cjs first,b.cjs\n`,
    stderr: '',
  });
});

/** As OpenTelemetry's hook of ES modules does: of an import that comes from nowhere it makes CommonJS. */
const NOWHERE = `export async function resolve(specifier, context, next) {
  const { url, format } = await next(specifier, context);
  return { url, format: context.parentURL === undefined ? 'commonjs' : format };
}`;

test('functions by value import from somewhere, whatever a loader makes of what comes from nowhere', async () => {
  const folder = scratchFile('project');
  mkdirSync(folder);
  const target = "exports.tell = async () => console.log((await import('node:path')).sep);";
  const text = PROGRAM.replace(/^exports.tell.*$/m, target).replace(/^require.*$/m, '');
  writeFileSync(join(folder, 'main.cjs'), text);
  const loader = `--experimental-loader=data:text/javascript,${encodeURIComponent(NOWHERE)}`;
  const outcome = await runNode(['--no-warnings', loader, join(folder, 'main.cjs'), 'fork']);
  expect(outcome).toMatchObject({ code: 0, stdout: '<ForkContext emulated>\n/\n', stderr: '' });
});
