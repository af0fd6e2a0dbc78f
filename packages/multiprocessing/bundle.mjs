/**
 * Makes of the packages' dist/ what the package exports point at, in dist/bundle/: the library as one script, its late rooms as
 * one each (bundle/scripts.mjs), two modules per sub-path (bundle/facades.mjs), and the programs of children. A spawned child loads the library anew, and 70 small ES modules take 60 ms where this takes 4
 * (docs/benchmarks.md).
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { commonjsFacade, facade } from './bundle/facades.mjs';
import {
  buildScript,
  bundledAlone,
  common,
  exportsOf,
  LATE_ROOMS,
  makeEntry,
  makeRoomEntry,
  roomAlone,
  shimOf,
  usesOf,
} from './bundle/scripts.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = here('dist/bundle');
// Beside it first: programs that run meanwhile see whole files only.
const outdir = `${target}-${process.pid}`;
const { exports: subpaths } = JSON.parse(readFileSync(here('package.json'), 'utf8'));

// The loader is written into the programs: another file to find and read would cost a child 1 ms.
const programs = {
  spawn_main:
    'const [passed, cacheFd] = process.argv.slice(3).map(Number); loadBundle(cacheFd).exports.spawnMain(passed);',
  forkserver_main: 'loadBundle().exports.forkserverMain(...process.argv.slice(2));',
};

mkdirSync(outdir, { recursive: true });
try {
  const parts = await exportsOf(
    Object.values(subpaths).map(({ types }) => here(types.replace('.d.ts', '.js'))),
  );
  const rooms = await Promise.all(LATE_ROOMS.map((room) => usesOf(room, parts)));
  const used = await exportsOf([...new Set(rooms.flatMap(({ files }) => [...files]))]);
  await buildScript('bundle', makeEntry(parts, used), bundledAlone(), outdir);
  for (const room of rooms) {
    const entry = makeRoomEntry(room, parts, used);
    await buildScript(
      `room_${room.name}`,
      entry,
      roomAlone(room, (path) => shimOf(path, used)),
      outdir,
    );
  }
  // What tells one build from another.
  const hash = createHash('sha256');
  for (const name of ['bundle', ...rooms.map(({ name }) => `room_${name}`)])
    hash.update(readFileSync(`${outdir}/${name}.cjs`));
  const id = hash.digest('hex').slice(0, 16);
  common.define.BUNDLE_ID = JSON.stringify(id);
  common.define.LATE_ROOMS = JSON.stringify(
    Object.fromEntries(rooms.map(({ name, subpaths, uses }) => [name, { subpaths, uses }])),
  );
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
  const bundle = loadBundle();
  for (const { name } of rooms) bundle.loadRoom(name);
  for (const [name, part] of Object.entries(bundle.exports)) {
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
