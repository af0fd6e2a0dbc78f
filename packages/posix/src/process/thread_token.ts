/**
 * A number that names a living thread of this machine, small enough to stand in one word of shared memory.
 */
import { readFileSync } from 'node:fs';
import { inWorker } from '../fds/fd.ts';
import { syscallNumbers } from '../ffi/constants.ts';
import { native } from '../ffi/ffi.ts';
import { takePartInFences } from '../memory/membarrier.ts';
import { atFork } from './forked_child.ts';

const cSyscall0 = native('long syscall(long number)');

/** Thread ids are below 2^22 on Linux (PID_MAX_LIMIT). */
const TID_BITS = 22;
const TID_MASK = (1 << TID_BITS) - 1;
/** The other bits hold a part of the time at which the thread began, so that an id that is used again is another one. */
const BIRTH_MASK = 0x1ff;

interface ThreadState {
  readonly state: string;
  readonly birth: number;
}

/** Undefined: there is no such thread. */
function threadState(tid: number): ThreadState | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${tid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // Behind the name, which may hold anything: state, ..., and as 20th the start in clock ticks.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] as string, birth: Number(fields[19]) & BIRTH_MASK };
}

export const self = {
  /** This thread's token; 0 until it is asked for. To be read through `myToken` but where each nanosecond counts. */
  token: 0,
  /** Whether the process takes part in fences (memory/membarrier.ts), known with the token. */
  fenced: false,
};

atFork(() => {
  self.token = 0;
  self.fenced = false;
});

/** The token of the calling thread: an integer from 1 to 2^31 - 1. */
export function myToken(): number {
  if (self.token === 0) {
    const tid = inWorker ? cSyscall0(syscallNumbers[process.arch]?.gettid ?? -1) : process.pid;
    self.token = ((threadState(tid)?.birth ?? 0) << TID_BITS) | tid;
    self.fenced = takePartInFences();
  }
  return self.token;
}

/** The thread id in a token: of a main thread it is the pid. */
export function tidOf(token: number): number {
  return token & TID_MASK;
}

/** Whether the thread still lives. One that nobody has reaped yet is dead. */
export function isAlive(token: number): boolean {
  const found = threadState(tidOf(token));
  if (found === undefined) return false;
  return !/[ZX]/.test(found.state) && found.birth === token >>> TID_BITS;
}
