/** `multiprocessing/os`: Python's `os`, as far as processes need it, synchronous as there. */
import { availableParallelism } from 'node:os';
import { fork as forkQuietly, warnOfThreads } from '@multiprocessing/posix';

export {
  _exit,
  close,
  dup,
  ForkUnavailableError,
  forkAvailable,
  getpid,
  getppid,
  kill,
  pipe,
  read,
  urandom,
  WNOHANG,
  waitpid,
  waitstatusToExitcode,
  write,
} from '@multiprocessing/posix';

/**
 * Forks this process; Python's `os.fork`. It warns, once, where threads of an addon are there, which the child will not have.
 * @returns the child's pid, and 0 in the child, which must end by `_exit` or `process.exit`
 * @throws ForkUnavailableError when this process cannot fork, with the reason; OSError (EAGAIN, ENOMEM)
 */
export function fork(): number {
  const pid = forkQuietly();
  if (pid !== 0) warnOfThreads();
  return pid;
}

/** How many processes can run at once; Python's `os.cpu_count`. */
export function cpuCount(): number {
  return availableParallelism();
}
