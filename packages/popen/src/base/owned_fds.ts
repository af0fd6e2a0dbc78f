/**
 * The fds that a Popen holds until its child is reaped, it is closed, or it is collected.
 */
import { processWide, util } from '@multiprocessing/core';
import { calledByChildren, close, closeRaw } from '@multiprocessing/posix';

const live = processWide('ownedFds', () => new Set<OwnedFds>());

/**
 * Closes what a forked child has of all launches of its parent: the ends that tell other children whether
 * their parent lives, and the parent whether they do.
 * @param own those of the child's own launch that it goes on to use
 */
export function closeInheritedFds(own: readonly number[]): void {
  for (const fds of live) fds.closeExcept(own);
  live.clear();
}

/** A set of open fds with one owner. */
export class OwnedFds {
  readonly #fds = new Set<number>();

  /** Takes over the fd and returns it. */
  add(fd: number): number {
    this.#fds.add(fd);
    live.add(this);
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
    if (this.#fds.size === 0) live.delete(this);
  }

  /** Gives these up: somebody else closes them. */
  release(...fds: number[]): void {
    for (const fd of fds) this.#fds.delete(fd);
    if (this.#fds.size === 0) live.delete(this);
  }

  /** Closes all but these; in a child of the owner, which has its copies only. */
  closeExcept(kept: readonly number[]): void {
    for (const fd of this.#fds) {
      if (kept.includes(fd)) continue;
      this.#fds.delete(fd);
      closeRaw(fd);
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

calledByChildren(closeInheritedFds, OwnedFds.prototype.closeExcept);
