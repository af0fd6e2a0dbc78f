/**
 * The scripts of the bundle: the library, and the rooms that are loaded when they are first needed. A room finds what it uses of others
 * where those have left it, under the names of their files.
 */
import { basename, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** How each script is built. */
export const common = {
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

/** Rooms that are scripts of their own (core/base/late_rooms.ts), in this order: the files of each, and the sub-paths that it is. */
export const LATE_ROOMS = [
  { name: 'python_pickle', folders: ['core/dist/python_pickle'], subpaths: ['pickle'] },
  { name: 'pool', folders: ['core/dist/pool', 'futures/dist'], subpaths: ['pool', 'futures'] },
  { name: 'managers', folders: ['core/dist/managers'], subpaths: ['managers'] },
];

/** The room that a file is of; undefined: it is in the bundle itself. */
function roomOf(path) {
  const file = relative(here('../..'), path);
  return LATE_ROOMS.find(
    ({ folders, subpaths }) =>
      folders.some((folder) => file.startsWith(`${folder}/`)) ||
      subpaths.some((name) => file === `multiprocessing/dist/${name}.js`),
  );
}

/** Builds a script whose names are its own. @param plugin says what is in it */
export function buildScript(name, contents, plugin, outdir) {
  return build({
    ...common,
    sourcemap: 'linked',
    stdin: { contents, resolveDir: here('../dist'), sourcefile: `${name}_entry.js` },
    outfile: `${outdir}/${name}.cjs`,
    // load_bundle.ts would make a copy of the script to put this around it.
    // globalThis.process is a getter, which costs a forked child, where V8 has no caches yet, 15 page faults.
    banner: { js: `(function (module, require, __filename, process) { ${common.banner.js}` },
    footer: { js: '})' },
    plugins: [plugin],
  });
}

/** The names that each of some files exports, by its path. */
export async function exportsOf(files) {
  const { metafile } = await build({
    ...common,
    banner: {},
    format: 'esm',
    entryPoints: files,
    outdir: here('../dist'),
    write: false,
    metafile: true,
  });
  const outputs = Object.values(metafile.outputs).filter(({ entryPoint }) => entryPoint);
  return new Map(outputs.map(({ entryPoint, exports }) => [resolve(entryPoint), exports]));
}

/** Resolves imports, and asks about those that lead to files of ours. */
function resolving(name, decide, setup = () => {}) {
  return {
    name,
    setup(build) {
      build.onResolve({ filter: /./ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
        if (kind === 'entry-point' || pluginData === name) return undefined;
        const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: name });
        return found.external || found.errors.length > 0 ? found : (decide(found.path) ?? found);
      });
      setup(build);
    },
  };
}

/** Says which files of others a room uses, and of which rooms these are. */
export async function usesOf(room, parts) {
  const files = new Set();
  await build({
    ...common,
    stdin: { contents: makeRoomEntry(room, parts, new Map()), resolveDir: here('../dist') },
    write: false,
    plugins: [
      resolving('uses', (path) => {
        if (roomOf(path) === room) return undefined;
        files.add(path);
        return { path, external: true };
      }),
    ],
  });
  const rooms = new Set([...files].map(roomOf).filter((other) => other !== undefined));
  return { ...room, room, files, uses: [...rooms].map(({ name }) => name) };
}

/** The bundle must not have what is in a room. */
export function bundledAlone() {
  return resolving('alone', (path) => {
    const room = roomOf(path);
    if (room === undefined) return undefined;
    return {
      errors: [{ text: `${path} is of ${room.name}, which is loaded late: by lateRoom alone` }],
    };
  });
}

/** A room has of other files what they have left for it. */
export function roomAlone({ room }, contentsOf) {
  return resolving(
    'room',
    (path) => (roomOf(path) === room ? undefined : { path, namespace: 'others' }),
    (build) =>
      build.onLoad({ filter: /./, namespace: 'others' }, ({ path }) => ({
        contents: contentsOf(path),
      })),
  );
}

function keyOf(path) {
  return JSON.stringify(relative(here('../..'), path));
}

export function shimOf(path, used) {
  return `export const { ${used.get(path).join(', ')} } = module.internals[${keyOf(path)}];`;
}

/** What others use of a script's files. */
function internalsOf(used, isOwn) {
  const own = [...used].filter(([path]) => isOwn(path));
  const imports = own.map(([path], i) => `import * as internal${i} from ${JSON.stringify(path)};`);
  const values = own.map(
    ([path, names], i) =>
      `${keyOf(path)}: { ${names.map((name) => `${name}: internal${i}.${name}`).join(', ')} }`,
  );
  return [...imports, `Object.assign(module.internals, {\n${values.join(',\n')} });`];
}

/**
 * A namespace per sub-path. For `export * as` esbuild would make a getter of each of 350 names, which takes a child 0.8 ms; so
 * each is written out.
 */
function namespacesOf(parts, isOwn) {
  const own = [...parts].filter(([path]) => isOwn(path));
  const nameOf = (path) => basename(path, '.js');
  const imports = own.map(([path]) => `import * as ${nameOf(path)} from ${JSON.stringify(path)};`);
  const values = own.map(([path, names]) => {
    const name = nameOf(path);
    return `${name}: { ${names.map((key) => `${key}: ${name}.${key}`).join(', ')} }`;
  });
  return { imports, values };
}

/** What the bundle exports: the sub-paths, and the programs of children. */
export function makeEntry(parts, used) {
  const isOwn = (path) => roomOf(path) === undefined;
  const { imports, values } = namespacesOf(parts, isOwn);
  return [
    `import { forkserverMain, spawnMain, takeOver } from '@multiprocessing/popen';`,
    ...imports,
    ...internalsOf(used, isOwn),
    `module.exports = { ${['forkserverMain', 'spawnMain', ...values].join(',\n')} };`,
    'takeOver();',
  ].join('\n');
}

export function makeRoomEntry({ name }, parts, used) {
  const isOwn = (path) => roomOf(path)?.name === name;
  const { imports, values } = namespacesOf(parts, isOwn);
  return [
    ...imports,
    ...internalsOf(used, isOwn),
    `Object.assign(module.exports, { ${values.join(',\n')} });`,
  ].join('\n');
}
