/**
 * The end of daemons with their process, of stopped ones too: a SIGTERM waits until its process goes on. Deviations: D-107.
 */
import { readFileSync } from 'node:fs';
import type { ProcessEntry } from '../base/process_table.ts';
import { info } from './logging.ts';

/** How long a process that was told to end may stand still, in seconds, until it is killed. */
const STANDSTILL = 1;

/**
 * Tells daemons to end and waits until they have. A stopped one goes on and ends: `terminate()` sees to that. One
 * that a debugger holds does not, and is killed.
 * @internal
 */
export function endDaemons(daemons: readonly ProcessEntry[]): void {
  for (const daemon of daemons) {
    info('calling terminate() for daemon %s', daemon.name);
    daemon._popen?.terminate();
  }
  for (const daemon of daemons) {
    info('calling join() for process %s', daemon.name);
    joinTerminated(daemon);
  }
}

function joinTerminated(daemon: ProcessEntry): void {
  for (let before = ''; ; ) {
    daemon.joinSync(STANDSTILL);
    if (daemon._popen === undefined || daemon._popen.poll() !== undefined) return;
    const now = progressOf(daemon._popen.pid);
    if (isDead(now)) return; // it is the debugger that reaps it, when it comes to that
    if (isStopped(now) && now === before) break;
    before = now;
  }
  info('calling kill() for daemon %s, which is held by a debugger', daemon.name);
  daemon._popen.kill();
  daemon.joinSync(STANDSTILL);
}

const isStopped = (progress: string) => /^State:\s*[tT]/.test(progress);
const isDead = (progress: string) => /^State:\s*[ZX]/.test(progress);

/** The state of a process and how often it has run: one that strace follows is stopped at each call, and runs. */
function progressOf(pid: number | undefined): string {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return (status.match(/^(State|\w*voluntary_ctxt_switches):.*$/gm) ?? []).join();
  } catch {
    return ''; // it has ended just now, or there is no /proc
  }
}
