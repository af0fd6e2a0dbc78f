/**
 * `DupFd` of multiprocessing/reduction.py: an fd inside of a pickle.
 */
import { RuntimeError, UnpicklingError } from './errors.ts';
import { getInheritedFds } from './inherited_fds.ts';
import { nameExports } from './qualname.ts';
import { getSpawningPopen } from './spawning.ts';

/** Stands for an open fd of one process while it is pickled for another; Python's `reduction.DupFd`. */
export class DupFd {
  private readonly index: number;
  /** Whether the index is an fd of this very process, for another thread. */
  private readonly inProcess: boolean;

  /**
   * Passes the fd to the child that is being launched.
   * @param fd stays open here
   * @throws RuntimeError when no child is being launched
   */
  constructor(fd: number) {
    const popen = getSpawningPopen();
    if (popen === undefined) {
      throw new RuntimeError('an fd can only be passed to a process that is being started');
    }
    this.inProcess = popen.method === 'thread';
    this.index = popen.duplicateForChild(fd);
  }

  /** In the child: its own fd, which the caller closes. @throws UnpicklingError in any other process */
  detach(): number {
    if (this.inProcess) return this.index;
    const fd = getInheritedFds()?.[this.index];
    if (fd === undefined) throw new UnpicklingError('this fd was passed to another process');
    return fd;
  }
}

nameExports(import.meta.url, { DupFd });
