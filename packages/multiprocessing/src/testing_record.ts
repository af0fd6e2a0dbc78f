/** Which processes a piece of code has started, in which order, and how they have ended: from the events of the trace. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { TraceEvent } from '@multiprocessing/core';

/** A process that has been started while somebody recorded. */
export interface ProcessRecord {
  /** The name of the Process. */
  readonly name: string;
  readonly pid: number;
  /** `'spawn'`, `'fork'` or `'forkserver'`. */
  readonly method: string;
  /** Its exit code once this process has learnt of its end: negative for a signal, as in Python. */
  readonly exitcode: number | undefined;
}

/** Ends with its block: `using recording = recordProcesses()`. */
export interface Recording extends Disposable {
  /** The processes that this one has started since, in the order of their starts. */
  readonly processes: readonly ProcessRecord[];
  /** Records no more. */
  stop(): void;
}

type Detail = { child: number; returncode: number };

/**
 * Records the processes that this process starts from now on, and their exit codes.
 *
 *     using recording = recordProcesses();
 *     await runJobs();
 *     assert.deepEqual(recording.processes.map(({ exitcode }) => exitcode), [0, 0]);
 */
export function recordProcesses(): Recording {
  const processes: { -readonly [K in keyof ProcessRecord]: ProcessRecord[K] }[] = [];
  const listen = (message: unknown) => {
    const { layer, event, name, detail } = message as TraceEvent;
    if (!layer.startsWith('popen_')) return;
    const { child, returncode } = detail as Detail;
    if (event === '_launch') {
      const method = layer.slice('popen_'.length);
      processes.push({ name, pid: child, method, exitcode: undefined });
    } else if (event === 'reap') {
      const record = processes.findLast(({ pid }) => pid === child);
      if (record !== undefined) record.exitcode = returncode;
    }
  };
  subscribe('multiprocessing', listen);
  const stop = () => void unsubscribe('multiprocessing', listen);
  return { processes, stop, [Symbol.dispose]: stop };
}
