/**
 * `DupFd` of multiprocessing/reduction.py: an fd inside of a pickle. Deviations: D-076.
 */
import { UnpicklingError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { type SharedHandle, shareFd } from '../pickle/session.ts';
import { getSpawningPopen } from '../process/spawning.ts';
import { getInheritedFds } from './inherited.ts';

/** Stands for an open fd of one process while it is pickled for another; Python's `reduction.DupFd`. */
export class DupFd {
  /** What the child that is being launched finds it by; or what any other process fetches it by. */
  private readonly place: number | SharedHandle;
  /** Whether the index is an fd of this very process, for another thread. */
  private readonly inProcess: boolean;

  /**
   * Passes the fd to the child that is being launched; when none is, keeps a copy for whoever fetches it.
   * @param fd stays open here
   * @throws OSError EBADF
   */
  constructor(fd: number) {
    const popen = getSpawningPopen();
    this.inProcess = popen?.method === 'thread';
    this.place = popen === undefined ? shareFd(fd) : popen.duplicateForChild(fd);
  }

  /**
   * Where it has arrived: the fd, which the caller closes. To be called once.
   * @throws UnpicklingError in a process that it was not passed to, or when its owner is gone
   * @throws TimeoutError when the owner does not answer for a minute
   */
  detach(): number {
    const { place } = this;
    if (typeof place !== 'number') return place.detach();
    if (this.inProcess) return place;
    const fd = getInheritedFds()?.[place];
    if (fd === undefined) throw new UnpicklingError('this fd was passed to another process');
    return fd;
  }
}

nameExports(import.meta.url, { DupFd });
