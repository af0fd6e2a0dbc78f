/**
 * Processes that are nobody's child here, or somebody else's.
 */
import { readFileSync } from 'node:fs';
import { wait } from 'multiprocessing/connection';
import { close, ProcessLookupError, pidfdOpen } from '../../packages/posix/dist/index.js';

/** Waits until a process has ended, whoever its parent is. Throws if it stays. */
export async function untilGone(pid: number): Promise<void> {
  let fd: number;
  try {
    fd = pidfdOpen(pid);
  } catch (error) {
    if (error instanceof ProcessLookupError) return;
    throw error;
  }
  try {
    const ready = await wait([fd], 30);
    if (ready.length === 0) throw new Error(`process ${pid} is there after 30 s`);
  } finally {
    close(fd);
  }
}

/** The pid of a process's parent. */
export function parentOf(pid: number): number {
  return Number(/PPid:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
