/**
 * V8's compiled code of this library, for spawned children: they need not parse it again (5 ms of their
 * start on Node 20.20, and more the more of it there is).
 */
import { loadedBundle, processWide } from '@multiprocessing/core';
import { memfdCreate, writeAll } from '@multiprocessing/posix';

const cache = processWide('codeCache', () => ({ fd: undefined as number | undefined }));

/**
 * The fd of a file in memory with the code cache, made at the first call; undefined where there is none to
 * make. Children read it by its path, and V8 refuses one that does not fit it.
 * @internal
 */
export function codeCacheFd(): number | undefined {
  const bundle = loadedBundle();
  if (bundle === undefined || process.platform !== 'linux') return undefined;
  if (cache.fd === undefined) {
    const data = bundle.script.createCachedData();
    cache.fd = memfdCreate('multiprocessing-code');
    writeAll(cache.fd, data);
  }
  return cache.fd;
}
