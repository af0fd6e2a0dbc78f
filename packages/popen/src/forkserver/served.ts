/**
 * The children of the server: how it learns of their end, whatever the kernel offers. Deviations: D-103, D-104.
 */
import {
  ChildProcessError,
  calledByChildren,
  close,
  closeRaw,
  OSError,
  pidfdOpen,
  poll,
  WNOHANG,
  waitpid,
  waitstatusToExitcode,
} from '@multiprocessing/posix';
import { writeSigned } from './status.ts';

/** A child that runs. */
interface Served {
  readonly pid: number;
  /** Where its exit code goes. */
  readonly status: number;
  /** What is readable after its end, and may be kept from it by who has inherited the other end; undefined if nothing is. */
  pipe: number | undefined;
}

/** Seconds after which those without a pidfd are looked at. Their pipe tells sooner, where nobody else holds it. */
const LOOK = 0.05;
/** Seconds of rest when the kernel has no memory for a wait. */
const REST = 0.01;
const PASSING: ReadonlySet<unknown> = new Set(['ENOMEM', 'ENOBUFS', 'EAGAIN', 'EMFILE', 'ENFILE']);

/** Whether it may go well the next time. @internal */
export function isPassing(error: unknown): boolean {
  return error instanceof OSError && PASSING.has(error.code);
}

/** @internal */
export class ServedChildren {
  readonly #byPidfd = new Map<number, Served>();
  readonly #others = new Set<Served>();

  /** @param pipe whose other end the child alone holds, where there are no pidfds */
  add(pid: number, status: number, pipe: number | undefined): void {
    const child = { pid, status, pipe };
    try {
      if (pipe === undefined) this.#byPidfd.set(pidfdOpen(pid), child);
      else this.#others.add(child);
    } catch {
      this.#others.add(child); // no fd is left, or no memory
    }
  }

  /** Sleeps until the fd is readable, and reaps those who end meanwhile. Returns sooner, also for nothing. */
  waitFor(fd: number): boolean {
    const ready = this.#poll(fd);
    let found = false;
    for (const each of ready) {
      if (each === fd) found = true;
      const child = this.#byPidfd.get(each);
      if (child === undefined || !reap(child)) continue;
      this.#byPidfd.delete(each);
      close(each);
    }
    if (this.#others.size > 0) this.#look(ready);
    return found;
  }

  #poll(fd: number): number[] {
    const fds = [fd, ...this.#byPidfd.keys()];
    for (const { pipe } of this.#others) if (pipe !== undefined) fds.push(pipe);
    try {
      return poll(fds, this.#others.size > 0 ? LOOK : undefined);
    } catch (error) {
      if (!isPassing(error)) throw error;
      rest();
      return [];
    }
  }

  #look(ready: readonly number[]): void {
    for (const child of this.#others) {
      const { pipe } = child;
      const gone = reap(child);
      if (gone) this.#others.delete(child);
      if (pipe === undefined || !(gone || ready.includes(pipe))) continue;
      child.pipe = undefined; // it would be readable for ever
      close(pipe);
    }
  }

  /** In a child: what is the server's is closed. */
  closeInChild(): void {
    for (const [pidfd, { status }] of this.#byPidfd) {
      closeRaw(pidfd);
      closeRaw(status);
    }
    for (const { pipe, status } of this.#others) {
      if (pipe !== undefined) closeRaw(pipe);
      closeRaw(status);
    }
  }
}

/** Whether the child has ended; its exit code is told then. */
function reap({ pid, status }: Served): boolean {
  try {
    const [reaped, waitStatus] = waitpid(pid, WNOHANG);
    if (reaped === 0) return false;
    writeSigned(status, waitstatusToExitcode(waitStatus));
  } catch (error) {
    // A preloaded module has reaped it: its exit code is lost, and the client reads the end of file.
    if (!(error instanceof ChildProcessError)) throw error;
  }
  close(status);
  return true;
}

const never = new Int32Array(new SharedArrayBuffer(4));

/** Lets others run. @internal */
export function rest(): void {
  Atomics.wait(never, 0, 0, REST * 1000);
}

calledByChildren(ServedChildren.prototype.closeInChild);
