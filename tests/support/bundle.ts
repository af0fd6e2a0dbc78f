/** Bundles what `tsc -b` has built, so that the tests run what is there now. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export function setup(): void {
  const script = fileURLToPath(
    new URL('../../packages/multiprocessing/bundle.mjs', import.meta.url),
  );
  execFileSync(process.execPath, [script], { stdio: 'inherit' });
}
