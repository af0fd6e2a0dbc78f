/**
 * The receiving end of `multiprocessing trace`: a traced program and all its processes append their events
 * to one file, each in a single write, as lines of JSON.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';

/** The environment variable that names the file. @internal */
export const TRACE_FILE = 'MULTIPROCESSING_TRACE';

/** Writes this process's events to the file, if one is named. @internal */
export function enableTracing(): void {
  const file = process.env[TRACE_FILE];
  if (file === undefined) return;
  subscribe('multiprocessing', (event) => {
    try {
      appendFileSync(file, `${JSON.stringify(event)}\n`, { mode: 0o600 }); // arguments are in it
    } catch {
      // This process outlives the trace, or the disk is full: it goes on as if nobody watched.
    }
  });
}
