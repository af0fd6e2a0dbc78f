/**
 * Processes that are nobody's child here, or somebody else's.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { wait } from 'multiprocessing/connection';
import { close, ProcessLookupError, pidfdOpen } from '../../packages/posix/dist/index.js';

/** Waits until a process has ended, whoever its parent is. Throws if it stays for that long. */
export async function untilGone(pid: number, seconds = 30): Promise<void> {
  let fd: number;
  try {
    fd = pidfdOpen(pid);
  } catch (error) {
    if (error instanceof ProcessLookupError) return;
    throw error;
  }
  try {
    const ready = await wait([fd], seconds);
    if (ready.length === 0) throw new Error(`process ${pid} is there after ${seconds} s`);
  } finally {
    close(fd);
  }
}

/** Waits until the main thread of a process sleeps, and goes on sleeping: one that only waits for a core does not. */
export async function untilAsleep(pid: number): Promise<void> {
  let before: string | undefined;
  for (let i = 0; i < 3000; i++) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const sleeps = /^State:\s*S/m.test(status)
      ? /^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1]
      : undefined;
    if (sleeps !== undefined && sleeps === before) return;
    before = sleeps;
    await sleep(20); // the kernel tells nobody that somebody has gone to sleep
  }
  throw new Error(`process ${pid} does not sleep`);
}

/** The pid of a process's parent. */
export function parentOf(pid: number): number {
  return Number(/PPid:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
