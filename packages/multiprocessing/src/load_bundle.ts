/**
 * Loads the bundle, once per process. V8 takes 5 ms to parse it in each new process; with the code cache that a
 * spawned child gets from its parent it takes none.
 */
import { closeSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { BUNDLE, type LoadedBundle } from '@multiprocessing/core/base/bundle';

/** The file begins with the place and the length of the cache. */
function readCodeCache(fd: number): Buffer {
  const header = new BigUint64Array(2);
  readSync(fd, header, 0, header.byteLength, 0);
  const [place, length] = [...header].map(Number) as [number, number];
  const data = Buffer.allocUnsafeSlow(length);
  readSync(fd, data, 0, length, place);
  return data;
}

/** The folder of the CommonJS file that esbuild makes of this one. */
declare const __dirname: string;
declare const require: NodeJS.Require;

/** Of a small ES module, for a program that has none: asked for late, since few ask, and a file costs 1 ms. */
function resolveOfEsModule(): LoadedBundle['resolve'] {
  try {
    return (require(join(__dirname, 'resolve.mjs')) as Pick<LoadedBundle, 'resolve'>).resolve;
  } catch {
    return undefined; // a Node that was told not to require ES modules
  }
}

/**
 * Loads the bundle that lies beside this file.
 * @param options.cacheFd of a file that holds V8's code cache of it (popen/spawn/code_cache.ts)
 * @param options.keep whether that stays open
 */
export function loadBundle({
  cacheFd,
  keep = false,
}: {
  cacheFd?: number;
  keep?: boolean;
} = {}): LoadedBundle {
  const holder = globalThis as { [BUNDLE]?: LoadedBundle };
  if (holder[BUNDLE] !== undefined) return holder[BUNDLE];
  // Node may have been told to preserve links: what is sent names this file, and a child need not come to it by the same one.
  const filename = realpathSync.native(join(__dirname, 'bundle.cjs'));
  const source = readFileSync(filename, 'utf8');
  let cachedData: Buffer | undefined;
  if (cacheFd) {
    cachedData = readCodeCache(cacheFd);
    if (!keep) closeSync(cacheFd);
  }
  const script = new Script(source, { filename, cachedData });
  const module: { exports: LoadedBundle['exports'] } = { exports: {} };
  let resolve: LoadedBundle['resolve'];
  const loaded: LoadedBundle = {
    get exports() {
      return module.exports;
    },
    script,
    require,
    importModule: (url) => import(url) as Promise<object>,
    folder: dirname(filename),
    get resolve() {
      resolve ??= resolveOfEsModule();
      return resolve;
    },
    set resolve(known) {
      resolve = known;
    },
  };
  holder[BUNDLE] = loaded;
  const run = script.runInThisContext() as (...args: unknown[]) => void;
  run(module, require, filename, process);
  return loaded;
}
