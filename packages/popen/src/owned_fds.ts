/**
 * The fds that a Popen holds until its child is reaped, it is closed, or it is collected.
 */
import { util } from '@multiprocessing/core';
import { close } from '@multiprocessing/posix';

/** A set of open fds with one owner. */
export class OwnedFds {
  readonly #fds = new Set<number>();

  /** Takes over the fd and returns it. */
  add(fd: number): number {
    this.#fds.add(fd);
    return fd;
  }

  /** Takes over both ends of a pipe. */
  addPair([a, b]: [number, number]): [number, number] {
    return [this.add(a), this.add(b)];
  }

  /** Closes these, or all. An fd that is not held any more is left alone. */
  close(...fds: number[]): void {
    for (const fd of fds.length > 0 ? fds : this.#fds) {
      if (this.#fds.delete(fd)) close(fd);
    }
  }

  /** Closes all when the owner is collected. */
  closeWith(owner: object): void {
    new util.Finalize(owner, closeAll, { args: [this] });
  }
}

function closeAll(fds: OwnedFds): void {
  fds.close();
}
