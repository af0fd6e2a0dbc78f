/**
 * Makes of the five packages' dist/ what the package exports point at, in dist/bundle/: the library as one
 * script, an ES module per sub-path that exports its part of it, and the programs of children. A spawned child
 * loads the library anew, and 70 small ES modules take 60 ms where this takes 5 (docs/benchmarks.md).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const outdir = here('dist/bundle');
const common = {
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  external: ['koffi', 'es-module-lexer'],
  legalComments: 'none',
  logLevel: 'warning',
  // CommonJS has no import.meta.
  define: { 'import.meta.url': '__url', 'import.meta.filename': '__filename' },
  banner: { js: 'var __url = require("node:url").pathToFileURL(__filename).href;' },
};

rmSync(outdir, { recursive: true, force: true });
mkdirSync(outdir, { recursive: true });
await build({
  ...common,
  entryPoints: { bundle: here('dist/bundle_entry.js') },
  outdir,
  outExtension: { '.js': '.cjs' },
  sourcemap: 'linked',
});
await build({
  ...common,
  entryPoints: { load_bundle: here('dist/load_bundle.js'),
    loader_preload: here('../popen/dist/loader_preload.js') },
  outdir,
  outExtension: { '.js': '.cjs' },
});

// The loader is written into the programs: another file to find and read would cost a child 1 ms.
const programs = {
  spawn_main:
    'const [passed, cacheFd] = process.argv.slice(3).map(Number); loadBundle({ cacheFd }).spawnMain(passed);',
  forkserver_main: 'loadBundle().forkserverMain(process.argv[2]);',
};
for (const [name, call] of Object.entries(programs)) {
  const contents = `const { loadBundle } = require('./load_bundle.js'); ${call}`;
  await build({
    ...common,
    stdin: { contents, resolveDir: here('dist') },
    outfile: here(`dist/bundle/${name}.cjs`),
  });
}

const { loadBundle } = createRequire(import.meta.url)('./dist/bundle/load_bundle.cjs');
const parts = loadBundle();
for (const [name, part] of Object.entries(parts)) {
  if (typeof part === 'function') continue;
  const names = Object.keys(part);
  writeFileSync(here(`dist/bundle/${name}.js`), facade(name, names));
}

/** An ES module with the exports of one part of the bundle. */
function facade(name, names) {
  const lines = [
    `import { createRequire } from 'node:module';`,
    `const { loadBundle } = createRequire(import.meta.url)('./load_bundle.cjs');`,
    `const part = loadBundle({ resolve: import.meta.resolve }).${name};`,
  ];
  if (name === 'forkable') lines.push('part.reexecute();');
  else lines.push(`export const { ${names.join(', ')} } = part;`);
  return `${lines.join('\n')}\n`;
}
