/**
 * The files that children run: beside the bundle where there is one, else in their rooms.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadedBundle } from '@multiprocessing/core';

/** In which room of this package each program is. */
const ROOMS = { spawn_main: 'spawn', forkserver_main: 'forkserver', loader_preload: 'loader' };

/** The path of a child's program. @internal */
export function entryPath(name: keyof typeof ROOMS): string {
  const bundle = loadedBundle();
  if (bundle !== undefined) return join(bundle.folder, `${name}.cjs`);
  return fileURLToPath(new URL(`../${ROOMS[name]}/${name}.js`, import.meta.url));
}
