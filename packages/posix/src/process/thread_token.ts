/**
 * A number that names a living thread of this machine, small enough to stand in one word of shared memory: the thread's id,
 * and a part of the time at which it began, because ids are used again. Deviation: D-101.
 *
 * A thread is dead when the kernel says so, and only then: no thread has its id, or another one has it now, or it has ended and nobody
 * has reaped it. /proc tells all of that. Where /proc says nothing (no fd is left to read it with, it hides the processes of
 * other users, it is not mounted), other calls are asked, and what they do not tell is life.
 */
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { close, inWorker, poll } from '../fds/fd.ts';
import { closeRaw, openRaw, readRaw } from '../fds/raw_fd.ts';
import { syscallNumbers } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native } from '../ffi/ffi.ts';
import { takePartInFences } from '../memory/membarrier.ts';
import { atFork } from './forked_child.ts';
import { getpid, pidExists, pidfdOpen } from './process.ts';

const cSyscall = native('long syscall(long number, long a, long b, long c)');

const { EMFILE, ENFILE, ENOMEM, ESRCH } = constants.errno;
/** What ends when something is closed or freed. */
const PASSING = [EMFILE, ENFILE, ENOMEM];

/** Thread ids are below 2^22 on Linux (PID_MAX_LIMIT). */
const TID_BITS = 22;
const TID_MASK = (1 << TID_BITS) - 1;
/** Births are from 1 to this; 0 stands in the token of a thread that has no /proc to learn its birth from. */
const BIRTHS = 0x1ff;

interface ThreadState {
  readonly state: string;
  readonly birth: number;
}

export const self = {
  /** This thread's token; 0 until it is asked for. To be read through `myToken` but where each nanosecond counts. */
  token: 0,
  /** Whether the process takes part in fences (memory/membarrier.ts), known with the token. */
  fenced: false,
};

/** Whether /proc is there, and that of this process's ids: not so after `unshare --pid` alone. Undefined until it was looked at. */
let seesProc: boolean | undefined;

atFork(() => {
  const isUsed = self.token !== 0;
  self.token = 0;
  self.fenced = false;
  seesProc = undefined;
  if (isUsed) tokenIfReadable(); // later there may be no fd for it
});

function tokenIfReadable(): void {
  try {
    myToken();
  } catch {
    // the first who needs it is told
  }
}

const text = Buffer.alloc(1024);

/**
 * Reads the stat of a thread; the errno if that fails. The path is one of /proc's `task` folders: for /proc/self/stat, and
 * /proc/PID/stat of the process itself, emulators (qemu-user) make up a text with another birth than others read.
 */
function readStat(path: string): ThreadState | number {
  const fd = openRaw(path);
  if (fd === -1) return errno();
  const length = readRaw(fd, text);
  const failed = length === -1 ? errno() : ESRCH;
  closeRaw(fd);
  if (length <= 0) return failed;
  const stat = text.toString('latin1', 0, length);
  // Behind the name, which may hold anything: state, ..., and as 20th the start in clock ticks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] as string, birth: (Number(fields[19]) % BIRTHS) + 1 };
}

/** What /proc says of this very thread. @throws OSError (EMFILE, ENFILE, ENOMEM) when it cannot say it now */
function readSelf(tid: number): ThreadState | undefined {
  const path = `/proc/self/task/${tid}/stat`;
  const found = readStat(path);
  if (PASSING.includes(found as number)) {
    const why = `${path} has to be read before this thread takes part in locks and queues: raise the limit or close something, and try again`;
    throw osError(found as number, 'open', why);
  }
  seesProc = typeof found !== 'number';
  return typeof found === 'number' ? undefined : found;
}

function gettid(): number {
  return inWorker ? cSyscall(syscallNumbers[process.arch]?.gettid ?? -1, 0, 0, 0) : process.pid;
}

/**
 * The token of the calling thread: an integer from 1 to 2^31 - 1.
 * @throws OSError (EMFILE, ENFILE, ENOMEM) when it is asked for the first time and this thread's birth cannot be read
 */
export function myToken(): number {
  if (self.token === 0) {
    const tid = gettid();
    self.token = ((readSelf(tid)?.birth ?? 0) << TID_BITS) | tid;
    self.fenced = takePartInFences();
  }
  return self.token;
}

/** The thread id in a token: of a main thread it is the pid. */
export function tidOf(token: number): number {
  return token & TID_MASK;
}

/** Whether a word of shared memory can be a token at all. */
export function isToken(word: number): boolean {
  return word > 0 && tidOf(word) !== 0;
}

/** Whether a thread is one of this process. */
export function isOwnThread(tid: number): boolean {
  return cSyscall(syscallNumbers[process.arch]?.tgkill ?? -1, getpid(), tid, 0) === 0;
}

/** Whether the thread still lives. One that nobody has reaped yet is dead; one of which nothing can be learned lives. */
export function isAlive(token: number): boolean {
  if (!isToken(token)) return false;
  const tid = tidOf(token);
  const birth = token >>> TID_BITS;
  const found = canSeeProc() ? readStat(`/proc/${tid}/task/${tid}/stat`) : ESRCH;
  if (typeof found === 'number') return pidExists(tid) && !isZombie(tid);
  return !/[ZX]/.test(found.state) && (birth === 0 || birth === found.birth);
}

function canSeeProc(): boolean {
  try {
    return seesProc ?? readSelf(gettid()) !== undefined;
  } catch {
    return false; // for now
  }
}

/** Whether it has ended and nobody has reaped it, if that can be told without its stat. */
function isZombie(tid: number): boolean {
  let fd: number;
  try {
    fd = pidfdOpen(tid);
  } catch (error) {
    // No fd is needed for a link, and who has ended runs no program.
    return (
      PASSING.includes((error as { errno: number }).errno) && seesProc === true && runsNothing(tid)
    );
  }
  try {
    return poll([fd], 0).length > 0;
  } finally {
    close(fd);
  }
}

function runsNothing(tid: number): boolean {
  try {
    readlinkSync(`/proc/${tid}/exe`);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'ENOENT';
  }
}
