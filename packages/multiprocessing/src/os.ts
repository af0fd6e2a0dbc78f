/** `multiprocessing/os`: Python's `os`, as far as processes need it, synchronous as there. */
import { availableParallelism } from 'node:os';

export {
  _exit,
  close,
  dup,
  ForkUnavailableError,
  fork,
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

/** How many processes can run at once; Python's `os.cpu_count`. */
export function cpuCount(): number {
  return availableParallelism();
}
