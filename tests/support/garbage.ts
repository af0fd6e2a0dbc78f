/**
 * Garbage collection on demand.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** Collects garbage until the object is gone; false if it stays. */
export function collected(ref: WeakRef<object>): Promise<boolean> {
  return collectUntil(() => ref.deref() === undefined);
}

/** Collects garbage, and lets finalizers run, until something is so; false if it does not come to that. */
export async function collectUntil(done: () => boolean): Promise<boolean> {
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    if (done()) return true;
  }
  return false;
}
