/**
 * V8's compiled code of this library, for spawned children: they need not parse it again (5 ms of their start on
 * Node 20.20, and more the more of it there is).
 *
 * It is code that they run, so nobody but this process has a say in it: the file is sealed before the first child gets
 * it, and children have it for reading. It holds the length of the cache, 64 bits, and the cache
 * (multiprocessing/load_bundle.ts reads it).
 */
import { loadedBundle, processWide } from '@multiprocessing/core';
import { sealedCopy } from '@multiprocessing/posix';

const cache = processWide('codeCache', () => ({ fd: undefined as number | undefined }));

/**
 * The fd of a file in memory with the code cache, made at the first call; undefined where there is none to make. V8
 * refuses a cache that does not fit it.
 * @param practise does what children do, as far as this process can: what V8 has compiled is in the cache
 * @internal
 */
export function codeCacheFd(practise: () => void): number | undefined {
  if (cache.fd !== undefined) return cache.fd;
  const script = loadedBundle()?.script;
  if (script === undefined || process.platform !== 'linux') return undefined;
  try {
    practise();
    const data = script.createCachedData();
    const length = new Uint8Array(BigUint64Array.of(BigInt(data.length)).buffer);
    cache.fd = sealedCopy('multiprocessing-code', [length, data]);
    return cache.fd;
  } catch {
    return undefined; // no memory for it, no fd, or a kernel that cannot seal: children parse
  }
}
