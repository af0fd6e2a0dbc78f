/**
 * The files that children run: beside the bundle where there is one, else beside this module.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadedBundle } from '@multiprocessing/core';

/** The path of a child's program. @internal */
export function entryPath(name: 'spawn_main' | 'forkserver_main' | 'loader_preload'): string {
  const bundle = loadedBundle();
  if (bundle !== undefined) return join(bundle.folder, `${name}.cjs`);
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url));
}
