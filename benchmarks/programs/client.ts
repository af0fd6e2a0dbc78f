/**
 * The program whose children benchmarks/start.ts measures. Its children import it again, as they do any main
 * module; so it imports only what a small program would, and its measuring part (measure.ts) when it is main.
 */
import { appendFileSync, openSync, readSync } from 'node:fs';
import * as mp from 'multiprocessing';

export function empty(): void {}

export async function emptyLater(): Promise<void> {}

/** Says that it runs, then sleeps in the kernel until it can read one byte from the gate. */
export function idle(ready: string, gate: string): void {
  appendFileSync(ready, 'x');
  readSync(openSync(gate, 'r'), Buffer.alloc(1));
}

if (mp.isMain(import.meta)) {
  const { serve } = await import('./measure.ts');
  await serve({ empty, emptyLater, idle });
}
