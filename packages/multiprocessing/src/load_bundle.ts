/**
 * Loads the bundle, once per process. V8 takes 5 ms to parse it in each new process; with the code cache that a
 * spawned child gets from its parent it takes none. Deviations: D-126.
 */
import { closeSync, fstatSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { BUNDLE, type LoadedBundle } from '@multiprocessing/core/base/bundle';
import { shared } from '@multiprocessing/core/base/state';

/** The bytes of the length before the cache. */
const HEAD = 8;

/**
 * Reads the code cache, and closes its fd. What is not whole is none: V8 would not notice that its end is missing.
 * @returns undefined where there is none, whatever the fd is
 */
function readCodeCache(fd: number): Buffer | undefined {
  try {
    const head = new BigUint64Array(1);
    if (readSync(fd, head, 0, HEAD, 0) !== HEAD) return undefined;
    const size = Number(fstatSync(fd, { bigint: true }).size) - HEAD; // see posix/ffi/fstat.ts
    if (size <= 0 || head[0] !== BigInt(size)) return undefined;
    const data = Buffer.allocUnsafeSlow(size);
    return readSync(fd, data, 0, size, HEAD) === size ? data : undefined;
  } catch {
    return undefined;
  } finally {
    closeQuietly(fd);
  }
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // nothing was passed
  }
}

/** Of the CommonJS file that esbuild makes of this one. */
declare const __dirname: string;
declare const __filename: string;
/** Of the bundle beside it (bundle.mjs). */
declare const BUNDLE_ID: string;
/** The rooms that are scripts of their own: the sub-paths that they are, and the rooms that they use. */
declare const LATE_ROOMS: Readonly<Record<string, { subpaths: string[]; uses: string[] }>>;
declare const require: NodeJS.Require;

/** Of a small ES module, for a program that has none: asked for late, since few ask, and a file costs 1 ms. */
function resolveOfEsModule(): LoadedBundle['resolve'] {
  try {
    return (require(join(__dirname, 'resolve.mjs')) as Pick<LoadedBundle, 'resolve'>).resolve;
  } catch {
    return undefined; // a Node that was told not to require ES modules
  }
}

/** This file as Node's own `require` loads it: the test runner's `process` has modules of its own. */
function nativeCopy(): { loadBundle(cacheFd?: number): LoadedBundle } {
  const { getBuiltinModule } = new Script('process').runInThisContext() as NodeJS.Process;
  return getBuiltinModule('node:module').createRequire(__filename)(__filename);
}

/** What the bundle fills, and its rooms. */
interface BundleModule {
  exports: Record<string, object>;
  /** What rooms use of files before them: by their names. */
  readonly internals: Record<string, object>;
}

/**
 * Loads the bundle that lies beside this file.
 * @param cacheFd of a file that holds V8's code cache of it (popen/spawn/code_cache.ts)
 */
export function loadBundle(cacheFd?: number): LoadedBundle {
  const known = shared()[BUNDLE] as LoadedBundle | undefined;
  if (known !== undefined) return known;
  // A test runner has loaded this file by node:vm, and ends what it has given to it with its test.
  if (!(process.getBuiltinModule instanceof Function)) return nativeCopy().loadBundle(cacheFd);
  // Node may have been told to preserve links: what is sent names this file, and a child need not come to it by the same one.
  const filename = realpathSync.native(join(__dirname, 'bundle.cjs'));
  const source = readFileSync(filename, 'latin1'); // esbuild writes ASCII alone, and this need not look after more
  const cachedData = cacheFd ? readCodeCache(cacheFd) : undefined;
  const script = new Script(source, { filename, cachedData });
  const module: BundleModule = { exports: {}, internals: {} };
  const rooms = new Set<string>();
  let resolve: LoadedBundle['resolve'];
  const loaded: LoadedBundle = {
    get exports() {
      return module.exports;
    },
    loadRoom(name) {
      if (rooms.has(name)) return;
      for (const used of LATE_ROOMS[name]?.uses ?? []) loaded.loadRoom(used);
      const path = join(dirname(filename), `room_${name}.cjs`);
      run(new Script(readFileSync(path, 'latin1'), { filename: path }));
      rooms.add(name);
    },
    subpath(name) {
      const [room] =
        Object.entries(LATE_ROOMS).find(([, { subpaths }]) => subpaths.includes(name)) ?? [];
      if (room !== undefined) loaded.loadRoom(room);
      return module.exports[name];
    },
    script,
    require,
    importModule: (url) => import(url) as Promise<object>,
    folder: dirname(filename),
    id: BUNDLE_ID,
    get resolve() {
      resolve ??= resolveOfEsModule();
      return resolve;
    },
    set resolve(known) {
      resolve = known;
    },
  };
  const run = (code: Script) => {
    const call = code.runInThisContext() as (...args: unknown[]) => void;
    call(module, require, filename, process); // all of them have the name of the bundle
  };
  shared()[BUNDLE] = loaded;
  run(script);
  return loaded;
}
