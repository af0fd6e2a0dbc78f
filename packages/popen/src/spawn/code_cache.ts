/**
 * V8's compiled code of this library, for spawned children: they need not parse it again (5 ms of their start on
 * Node 20.20, and more the more of it there is).
 *
 * The first child gets what its parent has compiled. What children alone call it compiles itself, and at its end it
 * leaves all of that to those after it, in the same file. The file begins with the place and the length of the cache
 * that holds, 64 bits each (multiprocessing/load_bundle.ts reads it).
 */
import { fstatSync, writeSync } from 'node:fs';
import { loadedBundle, processWide } from '@multiprocessing/core';
import { memfdCreate, orClose } from '@multiprocessing/posix';

const cache = processWide('codeCache', () => ({ fd: undefined as number | undefined }));

const HEADER = 16;

/**
 * The fd of a file in memory with the code cache, made at the first call; undefined where there is none to make. V8
 * refuses a cache that does not fit it.
 * @returns the fd, and whether the child is the one to add what it compiles
 * @internal
 */
export function codeCacheFd(): { fd: number; adds: boolean } | undefined {
  if (loadedBundle() === undefined || process.platform !== 'linux') return undefined;
  const adds = cache.fd === undefined;
  try {
    cache.fd ??= makeCodeCache();
    return { fd: cache.fd, adds };
  } catch {
    return undefined; // no memory for it, or no fd: children parse
  }
}

function makeCodeCache(): number {
  const fd = memfdCreate('multiprocessing-code');
  return orClose(fd, () => {
    addCodeCache(fd);
    return fd;
  });
}

/** Puts what this process has compiled of the library behind what is there, and then says that it is there. @internal */
export function addCodeCache(fd: number): void {
  const data = loadedBundle()?.script.createCachedData();
  if (data === undefined) return;
  const place = Math.max(HEADER, fstatSync(fd).size);
  for (let done = 0; done < data.length; ) {
    done += writeSync(fd, data, done, data.length - done, place + done);
  }
  const header = BigUint64Array.of(BigInt(place), BigInt(data.length));
  writeSync(fd, header, 0, HEADER, 0);
}
