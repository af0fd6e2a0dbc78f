/**
 * Processes: Python's `os.waitpid`, `kill`, `_exit`, `getpid`, `getppid`, prctl(2), pidfd_open(2).
 *
 *     connection_pools.ts  connections kept for a next request, of which a forked child has none
 *     coverage.ts          what Node has counted for NODE_V8_COVERAGE, at an end that it does not see
 *     fatal.ts             what is done after the print of an error that ends the process
 *     fork.ts              a real fork(2) of this Node
 *     forked_child.ts      what Node needs to go on living in the child
 *     inherited_loop.ts    its copy of the parent's event loop, kept quiet
 *     ipc_channel.ts       the channel of child_process.fork(), which a forked child leaves to its parent
 *     memory_map.ts        V8's memory made fit for fork(2)
 *     own_process.ts       what a process of ours leaves as it is at its end, and what not
 *     random.ts            random values of a forked child's own
 *     spawn.ts             posix_spawn(3), execve(2)
 *     thread_token.ts      a number that names a living thread of this machine
 *     threads.ts           the threads of this process that are none of Node's
 *     uncaught.ts          how a child reports an error that nobody catches
 *     v8_pool.ts           V8's pool of threads, which no fork copies
 *     v8_random.ts         V8's generators of random numbers, seeded anew
 */
import { constants } from 'node:os';
import { closeRaw } from '../fds/raw_fd.ts';
import { calledByChildren } from '../ffi/compiled.ts';
import { PR_SET_PDEATHSIG, syscallNumbers } from '../ffi/constants.ts';
import { osError, ProcessLookupError } from '../ffi/errors.ts';
import { direct, errno, type NativeFunction, native, syscall } from '../ffi/ffi.ts';

const cWaitpid = syscall('int waitpid(int pid, _Out_ int *status, int options)');
const cKill = syscall('int kill(int pid, int sig)');
const cExit = native('void _exit(int status)');
const cGetpid = native('int getpid()');
const cGetppid = native('int getppid()');
const cPrctl = syscall(
  'int prctl(int option, unsigned long arg2, unsigned long, unsigned long, unsigned long)',
);
const cPidfdOpen = native('long syscall(long number, long pid, long flags)');
const cGetentropy = syscall('int getentropy(void *buffer, size_t size)');
const cSignal = native('intptr_t signal(int signum, intptr_t handler)');
const cSigaction = native('int sigaction(int signum, const void *action, void *old)');

/** waitpid: return at once when no child has ended; Python's `os.WNOHANG`. */
export const WNOHANG = 1;

/**
 * Waits for a child of this process to end, and reaps it; Python's `os.waitpid`.
 * @param pid a child's pid, or -1 for any
 * @param options 0, or WNOHANG
 * @returns [pid, wait status]; [0, 0] with WNOHANG when none has ended
 * @throws ChildProcessError (ECHILD) when there is no such child
 */
export function waitpid(pid: number, options: number): [number, number] {
  const status = [0];
  const reaped = cWaitpid(pid, status, options);
  return [reaped, reaped === 0 ? 0 : (status[0] as number)];
}

/**
 * The exit code of a wait status: 0 to 255, or minus the signal's number; Python's
 * `os.waitstatus_to_exitcode`.
 */
export function waitstatusToExitcode(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : -signal;
}

/**
 * Sends a signal; Python's `os.kill`.
 * @param pid a process, or minus a process group
 * @param signal a number, or a name such as 'SIGTERM'
 * @throws ProcessLookupError (ESRCH), OSError
 */
export function kill(pid: number, signal: number | NodeJS.Signals): void {
  cKill(pid, typeof signal === 'number' ? signal : constants.signals[signal]);
}

/** Whether a process with that pid exists (a zombie counts). @internal */
export function pidExists(pid: number): boolean {
  try {
    kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof ProcessLookupError);
  }
}

let exit: NativeFunction | undefined;

/** Spares children the first call of the function around koffi's own. @internal */
export function prepareExit(): void {
  exit = direct(cExit);
}

/** Ends this process at once: no exit handler, no flush; Python's `os._exit`. @param code 0 to 255 */
export function _exit(code: number): never {
  (exit ?? cExit)(code & 0xff);
  throw new Error('_exit returned');
}

/** This process's pid, asked from the kernel; Python's `os.getpid`. */
export function getpid(): number {
  return cGetpid();
}

/** The pid of the process that started this one; Python's `os.getppid`. */
export function getppid(): number {
  return cGetppid();
}

/**
 * Has the kernel signal this process when the thread that started it ends (PR_SET_PDEATHSIG,
 * prctl(2)). Linux only.
 * @param signal its number; 0 takes the request back
 */
export function setParentDeathSignal(signal: number): void {
  cPrctl(PR_SET_PDEATHSIG, signal, 0, 0, 0);
}

/**
 * An fd that becomes readable when a process ends (pidfd_open(2), Linux 5.3).
 * @throws ProcessLookupError (ESRCH) also for a thread that leads no process; OSError ENOSYS on an older kernel, EPERM or ENOSYS in
 * some sandboxes
 */
export function pidfdOpen(pid: number): number {
  const fd = cPidfdOpen(syscallNumbers[process.arch]?.pidfd_open ?? -1, pid, 0);
  if (fd !== -1) return fd;
  // Before Linux 6.16 it is EINVAL, since then ENOENT, for a thread, and EINVAL for a process that is reaped in this very moment.
  const code = errno();
  const { EINVAL, ENOENT, ESRCH } = constants.errno;
  throw osError(pid > 0 && (code === EINVAL || code === ENOENT) ? ESRCH : code, 'pidfd_open');
}

let pidfds: boolean | undefined;

/** Whether this system has them. Where it cannot be told now (EMFILE) it is taken to. */
export function hasPidfd(): boolean {
  if (pidfds !== undefined) return pidfds;
  try {
    closeRaw(pidfdOpen(process.pid));
    pidfds = true;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ENOSYS' || code === 'EPERM' || code === 'EACCES') pidfds = false;
  }
  return pidfds ?? true;
}

/** Sets a signal to be ignored (true) or to its default action (false). @param signal its number */
export function ignoreSignal(signal: number, ignore: boolean): void {
  cSignal(signal, ignore ? 1 : 0);
}

/** Larger than any struct sigaction; the handler stands first. */
const SIGACTION_SIZE = 256;
const SIG_IGN = 1n;

/** Whether a signal is ignored. @param signal its number @internal */
export function isSignalIgnored(signal: number): boolean {
  const action = Buffer.alloc(SIGACTION_SIZE);
  cSigaction(signal, null, action);
  return action.readBigUInt64LE(0) === SIG_IGN;
}

/** Gives a signal its default action, unless it is ignored. @internal */
export function handlesSignalByDefault(signal: 'SIGINT' | 'SIGTERM'): void {
  const number = constants.signals[signal];
  if (Number(cSignal(number, 0)) === 1) cSignal(number, 1);
}

/** The most bytes of one getentropy(3). */
const ENTROPY = 256;

/** Random bytes from the kernel, fit for keys; Python's `os.urandom`. It takes no fd. @param size bytes @throws OSError */
export function urandom(size: number): Buffer {
  // node:crypto would do, but takes 3 ms to load in every process.
  const bytes = Buffer.alloc(size);
  for (let done = 0; done < size; done += ENTROPY) {
    const part = bytes.subarray(done, done + ENTROPY);
    cGetentropy(part, part.length);
  }
  return bytes;
}

calledByChildren(_exit, getpid, handlesSignalByDefault);
