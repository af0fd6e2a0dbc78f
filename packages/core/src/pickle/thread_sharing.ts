/**
 * Objects that processes share, given to a worker thread of the same process. Python's threads have them without
 * further ado; JavaScript's threads share no objects. Deviations: D-048.
 */
import { dup } from '@multiprocessing/posix';
import { getSpawningPopen, type SpawningPopen, setSpawningPopen } from '../process/spawning.ts';
import { ForkingPickler } from './reduction.ts';

const popen: SpawningPopen = { method: 'thread', duplicateForChild: dup };

/**
 * Pickles an object for a worker thread of this process, which unpickles it, once, by `ForkingPickler.loads`: locks,
 * shared values and arrays in it are the same there. Their memory is kept until the process ends.
 * @returns bytes for `workerData` or `postMessage`
 * @throws PicklingError
 */
export function dumpsForThread(obj: unknown): Uint8Array {
  const outer = getSpawningPopen();
  setSpawningPopen(popen);
  try {
    return new Uint8Array(ForkingPickler.dumps(obj));
  } finally {
    setSpawningPopen(outer);
  }
}
