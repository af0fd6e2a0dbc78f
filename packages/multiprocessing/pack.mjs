/**
 * Makes of this package and the four that it is bundled from one tarball, in the repository's dist/. What goes into it is
 * laid out in dist/package/ before: the bundle, the types, the command line, the licence and the README, and a
 * package.json with what users need of this one.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { rollTypes } from './types.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const stage = here('dist/package');
const manifest = JSON.parse(readFileSync(here('package.json'), 'utf8'));

/** The modules of the sub-paths, by sub-path. */
const modules = new Map(
  Object.keys(manifest.exports).map((path) => [path, path === '.' ? 'index' : path.slice(2)]),
);

rmSync(stage, { recursive: true, force: true });
copyBundle(join(stage, 'dist/bundle'));
await build({
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // It reads ../package.json.
  entryPoints: [here('dist/cli.js')],
  outfile: join(stage, 'dist/cli.js'),
  logLevel: 'warning',
});
await rollTypes([...modules.values()], join(stage, 'dist/types'));
cpSync(here('bin'), join(stage, 'bin'), { recursive: true });
for (const file of ['README.md', 'LICENSE']) cpSync(here(`../../${file}`), join(stage, file));
writeFileSync(join(stage, 'package.json'), `${JSON.stringify(published(), null, 2)}\n`);

const target = here('../../dist');
mkdirSync(target, { recursive: true });
const options = [
  '--ignore-scripts',
  '--loglevel=error',
  '--no-update-notifier',
  '--pack-destination',
  target,
];
execFileSync('npm', ['pack', stage, ...options], { stdio: ['ignore', 'ignore', 'inherit'] });
console.log(join(target, `${manifest.name}-${manifest.version}.tgz`));

/** The source map is of what tsc has made, which users do not have either. */
function copyBundle(folder) {
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(here('dist/bundle'))) {
    if (file.endsWith('.map')) continue;
    const text = readFileSync(here(`dist/bundle/${file}`), 'utf8');
    writeFileSync(join(folder, file), text.replace(/^\/\/# sourceMappingURL=.*\n/m, ''));
  }
}

function published() {
  const { private: _, devDependencies: __, scripts: ___, exports: ____, ...kept } = manifest;
  const entries = [...modules].map(([path, name]) => {
    const both = (types, script) => ({
      types: `./dist/types/${name}.${types}`,
      default: `./dist/bundle/${name}.${script}`,
    });
    return [path, { import: both('d.ts', 'js'), require: both('d.cts', 'cjs') }];
  });
  const { dependencies, ...first } = kept;
  return {
    ...first,
    exports: { ...Object.fromEntries(entries), './package.json': './package.json' },
    // For TypeScript's older ways to find modules, which do not read exports.
    main: './dist/bundle/index.cjs',
    types: './dist/types/index.d.cts',
    typesVersions: {
      '*': Object.fromEntries(
        [...modules.values()].map((name) => [name, [`./dist/types/${name}.d.cts`]]),
      ),
    },
    dependencies,
  };
}
