/**
 * The life of processes as events on `node:diagnostics_channel`, channel `multiprocessing`: what
 * `multiprocessing trace` prints. Nothing is built when nobody listens.
 */
import { channel } from 'node:diagnostics_channel';
import { calledByChildren, hrtime } from '@multiprocessing/posix';

/** One step in a process's life. */
export interface TraceEvent {
  /** Which layer took it: a file of this project, e.g. `'process'`, `'popen_fork'`, `'forkserver'`. */
  readonly layer: string;
  /** What it did, e.g. `'start'`, `'_launch'`, `'bootstrap'`, `'run'`, `'exit'`, `'reap'`. */
  readonly event: string;
  /** The process that says so. */
  readonly pid: number;
  /** The name of the Process it is about. */
  readonly name: string;
  /** Milliseconds on the monotonic clock that all processes share. */
  readonly time: number;
  /** What belongs to the event: a child's pid, fds, an exit code. */
  readonly detail: Readonly<Record<string, unknown>>;
}

const events = channel('multiprocessing');

/** Publishes an event, if somebody listens. @internal */
export function trace(
  layer: string,
  event: string,
  name: string,
  detail?: () => Record<string, unknown>,
): void {
  if (!events.hasSubscribers) return;
  const time = Number(hrtime.bigint()) / 1e6;
  events.publish({ layer, event, pid: process.pid, name, time, detail: detail?.() ?? {} });
}

void events.hasSubscribers; // a getter of Node's, which no forked child has to compile then
calledByChildren(trace);
