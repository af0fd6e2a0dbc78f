/**
 * membarrier(2): a fence in all threads that matter, made by one of them. Who seldom looks makes the fence, so that who
 * often writes need not. Linux 4.16.
 */
import { syscallNumbers } from '../ffi/constants.ts';
import { native } from '../ffi/ffi.ts';

const cMembarrier = native('long syscall(long number, int command, unsigned int flags, int cpu)');

const GLOBAL_EXPEDITED = 2;
const REGISTER_GLOBAL_EXPEDITED = 4;

const SYS_MEMBARRIER = syscallNumbers[process.arch]?.membarrier ?? -1;

/** Has this process take part in the fences that others make. @returns false where the kernel has none */
export function takePartInFences(): boolean {
  return cMembarrier(SYS_MEMBARRIER, REGISTER_GLOBAL_EXPEDITED, 0, 0) === 0;
}

/**
 * Makes a fence in every process that takes part: what it wrote before is visible when this returns, and what it reads
 * after it has written something from now on is no older than this.
 */
export function fenceAll(): void {
  cMembarrier(SYS_MEMBARRIER, GLOBAL_EXPEDITED, 0, 0);
}
