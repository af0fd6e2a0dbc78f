/**
 * Makes of the five packages' dist/ what the package exports point at, in dist/bundle/: the library as one
 * script, two modules per sub-path that export its part of it, an ES module and a CommonJS one, and the programs of
 * children. A spawned child loads the library anew, and 70 small ES modules take 60 ms where this takes 4
 * (docs/benchmarks.md).
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = here('dist/bundle');
// Beside it first: programs that run meanwhile see whole files only.
const outdir = `${target}-${process.pid}`;

const common = {
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  external: ['acorn', 'koffi', 'es-module-lexer'],
  legalComments: 'none',
  logLevel: 'warning',
  outExtension: { '.js': '.cjs' },
  // CommonJS has no import.meta. What resolve is for, load_bundle.ts hands over.
  define: {
    'import.meta.url': '__url',
    'import.meta.filename': '__filename',
    'import.meta.resolve': 'undefined',
  },
  banner: { js: 'var __url = require("node:url").pathToFileURL(__filename).href;' },
};

// The loader is written into the programs: another file to find and read would cost a child 1 ms.
const programs = {
  spawn_main:
    'const [passed, cacheFd] = process.argv.slice(3).map(Number); loadBundle(cacheFd).exports.spawnMain(passed);',
  forkserver_main: 'loadBundle().exports.forkserverMain(...process.argv.slice(2));',
};

/** What each module of a sub-path begins with: others than Node, and an older one, have not got what all of the library needs. */
const { engines, exports: subpaths } = JSON.parse(readFileSync(here('package.json'), 'utf8'));
const CHECK = [
  `function fail(code, message, cause) { throw Object.assign(new Error(\`multiprocessing \${message}\`, { cause }), { code }); }`,
  `for (const name of ['bun', 'deno']) if (process.versions[name]) fail('ERR_MP_PLATFORM', \`needs Node.js, and this is \${name} \${process.versions[name]}: run the program by node\`);`,
  `if (!process.getBuiltinModule) throw new Error(\`multiprocessing needs Node.js ${engines.node}, and this is \${process.version}\`);`,
];
const BUNDLED =
  "'ERR_MP_BUNDLED', 'is not where it was installed: a bundler has put it into another file, which no child could load. Keep it external (esbuild: --external:multiprocessing; Rollup, webpack: external, externals)'";

mkdirSync(outdir, { recursive: true });
try {
  await build({
    ...common,
    sourcemap: 'linked',
    stdin: { contents: await makeEntry(), resolveDir: here('dist'), sourcefile: 'bundle_entry.js' },
    outfile: `${outdir}/bundle.cjs`,
    // load_bundle.ts would make a copy of the script to put this around it.
    // globalThis.process is a getter, which costs a forked child, where V8 has no caches yet, 15 page faults.
    banner: { js: `(function (module, require, __filename, process) { ${common.banner.js}` },
    footer: { js: '})' },
  });
  // What tells one build from another.
  const id = createHash('sha256')
    .update(readFileSync(`${outdir}/bundle.cjs`))
    .digest('hex')
    .slice(0, 16);
  common.define.BUNDLE_ID = JSON.stringify(id);
  await build({
    ...common,
    outdir,
    entryPoints: {
      load_bundle: here('dist/load_bundle.js'),
      loader_preload: here('../popen/dist/loader/loader_preload.js'),
    },
  });
  for (const [name, call] of Object.entries(programs)) {
    const contents = `const { loadBundle } = require('./load_bundle.js'); ${call}`;
    await build({
      ...common,
      stdin: { contents, resolveDir: here('dist') },
      outfile: `${outdir}/${name}.cjs`,
    });
  }
  const { loadBundle } = createRequire(import.meta.url)(`${outdir}/load_bundle.cjs`);
  for (const [name, part] of Object.entries(loadBundle().exports)) {
    if (typeof part === 'function') continue;
    writeFileSync(`${outdir}/${name}.js`, facade(name, part, id));
    writeFileSync(`${outdir}/${name}.cjs`, commonjsFacade(name, part, id));
  }
  writeFileSync(`${outdir}/resolve.mjs`, 'export const { resolve } = import.meta;\n');
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync(outdir)) publish(file);
} finally {
  rmSync(outdir, { recursive: true, force: true });
}

/**
 * What the bundle exports: the sub-paths, and the programs of children. For `export * as` esbuild would make a getter
 * of each of 350 names, which takes a child 0.8 ms; so each is written out.
 */
async function makeEntry() {
  const { metafile } = await build({
    ...common,
    format: 'esm',
    entryPoints: Object.values(subpaths).map(({ types }) => here(types.replace('.d.ts', '.js'))),
    outdir,
    write: false,
    metafile: true,
  });
  const lines = [`import { forkserverMain, spawnMain, takeOver } from '@multiprocessing/popen';`];
  const parts = ['forkserverMain', 'spawnMain'];
  for (const { entryPoint, exports } of Object.values(metafile.outputs)) {
    const name = basename(entryPoint, '.js');
    lines.push(`import * as ${name} from './${name}.js';`);
    parts.push(`${name}: { ${exports.map((key) => `${key}: ${name}.${key}`).join(', ')} }`);
  }
  return `${lines.join('\n')}\nmodule.exports = { ${parts.join(',\n')} };\ntakeOver();\n`;
}

/** What the modules of a sub-path have of the bundle: that of the process, or the one beside them. */
function bundleLines(own) {
  return [
    `const bundle = process.getBuiltinModule('node:fs')[Symbol.for('multiprocessing.bundle')] ?? load();`,
    `if (bundle.id !== BUNDLE_ID) fail('ERR_MP_TWO_VERSIONS', \`cannot be loaded from \${${own}}: this process has another version of it already, from \${bundle.folder}. Have one installed for all (npm dedupe)\`);`,
  ];
}

/** An ES module with the exports of one part of the bundle. */
function facade(name, part, id) {
  const lines = [
    ...CHECK,
    `const BUNDLE_ID = '${id}';`,
    // A spawned child has the bundle, and node:module would take it 1 ms to import.
    `function load() {`,
    `  let require;`,
    `  try {`,
    `    require = process.getBuiltinModule('node:module').createRequire(import.meta.url);`,
    `    require.resolve('./load_bundle.cjs');`,
    `  } catch (cause) { fail(${BUNDLED}, cause); }`,
    `  return require('./load_bundle.cjs').loadBundle();`,
    `}`,
    ...bundleLines('import.meta.url'),
    `bundle.resolve ??= import.meta.resolve;`,
    `const part = bundle.exports.${name};`,
  ];
  if (name === 'forkable') lines.push('part.reexecute();');
  else {
    const { default: main, ...others } = part;
    lines.push(`export const { ${Object.keys(others).join(', ')} } = part;`);
    if (main !== undefined) lines.push('export default part.default;');
  }
  return `${lines.join('\n')}\n`;
}

/** The same for `require`. Both give what is in the one bundle of the process. */
function commonjsFacade(name, part, id) {
  const lines = [
    `'use strict';`,
    ...CHECK,
    `const BUNDLE_ID = '${id}';`,
    // Bundlers make an ES module of this, or a script elsewhere.
    `function load() {`,
    `  const folder = typeof __dirname === 'string' ? __dirname : '';`,
    `  if (!process.getBuiltinModule('node:fs').existsSync(folder + '/bundle.cjs')) fail(${BUNDLED});`,
    `  return require('./load_bundle.cjs').loadBundle();`,
    `}`,
    ...bundleLines('__filename'),
    `const part = bundle.exports.${name};`,
  ];
  // Of a default export tools want to see a name.
  if ('default' in part)
    lines.push(...Object.keys(part).map((key) => `exports.${key} = part.${key};`));
  else lines.push(name === 'forkable' ? 'part.reexecute();' : 'module.exports = part;');
  return `${lines.join('\n')}\n`;
}

/** Puts a file in its place at once, unless the same is there already. */
function publish(file) {
  const made = `${outdir}/${file}`;
  try {
    if (readFileSync(made).equals(readFileSync(`${target}/${file}`))) return;
  } catch {
    // not there yet
  }
  renameSync(made, `${target}/${file}`);
}
