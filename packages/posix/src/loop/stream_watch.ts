/**
 * A lasting watch on a byte stream in the event loop of the calling thread, for those who read and write it again
 * and again: it is made at the first wait and stays armed from one wait to the next, as long as these follow each other.
 */

import { close, dup, getStatusFlags, inWorker, setStatusFlags } from '../fds/fd.ts';
import { closeRaw } from '../fds/raw_fd.ts';
import { calledByChildren } from '../ffi/compiled.ts';
import { closePoll, type PollHandle, startPoll, uvPoll } from '../ffi/ffi.ts';
import { setImmediate } from '../node/clocks.ts';
import { atFork } from '../process/forked_child.ts';
import { onReady } from './readiness.ts';
import { writeOneByte } from './worker_readiness.ts';

const live = new Set<LoopWatch>();

/** What is made anew in a forked child, where the parent's watches are none. */
atFork(forgetWatches);

function forgetWatches(): void {
  for (const watch of live) watch.leaveToParent();
  live.clear();
}

/** Tells when a stream is readable, and when it is writable. */
export interface StreamWatch {
  /** Calls back once from the event loop, which it keeps alive until then. */
  whenReadable(callback: () => void): void;
  /**
   * The same for writing.
   * @param byte the next byte to write: in a worker thread it is how one finds out
   * @param callback is told how many bytes have gone, 0 or 1, or the error of the write
   */
  whenWritable(byte: Uint8Array, callback: (gone: number, error?: Error) => void): void;
  /** Waits for nothing any more. @returns how many bytes have gone */
  cancelReadable(): void;
  cancelWritable(): number;
  /** Waits for nothing any more, for good. */
  close(): void;
}

/** Makes a watch on an fd that may be used and closed by its owner as it likes. @throws OSError */
export function StreamWatch(fd: number): StreamWatch {
  return inWorker ? new WorkerWatch(fd) : new LoopWatch(fd);
}

/** By koffi's uv_poll, on a duplicate: libuv allows one watch per fd number. */
class LoopWatch implements StreamWatch {
  #copy: number;
  #handle: PollHandle | undefined;
  #onReadable: (() => void) | undefined;
  #onWritable: ((gone: number) => void) | undefined;
  /** What the handle is started for. */
  #armed = 0;
  #referenced = true;
  #dispatching = false;

  constructor(fd: number) {
    this.#copy = dup(fd);
  }

  whenReadable(callback: () => void): void {
    this.#onReadable = callback;
    this.#arm();
  }

  whenWritable(_byte: Uint8Array, callback: (gone: number) => void): void {
    this.#onWritable = callback;
    this.#arm();
  }

  cancelReadable(): void {
    this.#onReadable = undefined;
    this.#rest();
  }

  cancelWritable(): number {
    this.#onWritable = undefined;
    this.#rest();
    return 0;
  }

  #wanted(): number {
    return (this.#onReadable ? READ : 0) | (this.#onWritable ? WRITE : 0);
  }

  #arm(): void {
    const wanted = this.#wanted();
    if ((this.#armed & wanted) !== wanted) this.#start(wanted);
    if (!this.#referenced) {
      this.#referenced = true;
      this.#handle?.ref();
    }
  }

  #start(wanted: number): void {
    this.#armed = wanted;
    const events = EVENTS[wanted] as (typeof EVENTS)[number];
    if (this.#handle !== undefined) {
      startPoll(this.#handle, events, this.#ready);
      return;
    }
    const flags = getStatusFlags(this.#copy);
    this.#handle = uvPoll(this.#copy, events, this.#ready);
    live.add(this);
    // libuv makes the fd non-blocking, for all who share it; watching needs no such thing.
    setStatusFlags(this.#copy, flags);
  }

  /** Does not keep the event loop alive; the handle is only stopped when it is ready and nobody asks. */
  #rest(): void {
    if (this.#wanted() !== 0 || !this.#referenced) return;
    this.#referenced = false;
    this.#handle?.unref();
  }

  /** koffi does not run promises after this callback on Node 26: the next phase of the same turn does. */
  #ready = (): void => {
    const wanted = this.#wanted();
    if (wanted !== this.#armed) {
      this.#armed = wanted;
      if (wanted === 0) this.#handle?.stop();
      else this.#start(wanted);
    }
    if (wanted === 0 || this.#dispatching) return;
    this.#dispatching = true;
    setImmediate(this.#dispatch);
  };

  #dispatch = (): void => {
    this.#dispatching = false;
    const [readable, writable] = [this.#onReadable, this.#onWritable];
    this.#onReadable = undefined;
    this.#onWritable = undefined;
    readable?.();
    writable?.(0);
    this.#rest();
  };

  close(): void {
    this.#onReadable = undefined;
    this.#onWritable = undefined;
    if (this.#copy < 0) return;
    live.delete(this);
    if (this.#handle !== undefined) closePoll(this.#handle);
    this.#handle = undefined;
    close(this.#copy);
    this.#copy = -1;
  }

  /** In a forked child: the copy of the fd is closed, its handle is stopped. */
  leaveToParent(): void {
    this.#onReadable = undefined;
    this.#onWritable = undefined;
    this.#handle?.stop();
    this.#handle?.unref();
    closeRaw(this.#copy);
    this.#copy = -1;
  }
}

const READ = 1;
const WRITE = 2;
const EVENTS = [
  {},
  { readable: true, disconnect: true },
  { writable: true },
  { readable: true, writable: true, disconnect: true },
];

/** By node:net, anew for each wait: see worker_readiness.ts. */
class WorkerWatch implements StreamWatch {
  readonly #fd: number;
  #endRead: (() => void) | undefined;
  #endWrite: (() => number) | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  whenReadable(callback: () => void): void {
    this.#endRead ??= onReady(this.#fd, () => {
      this.#endRead = undefined;
      callback();
    });
  }

  whenWritable(byte: Uint8Array, callback: (gone: number, error?: Error) => void): void {
    this.#endWrite ??= writeOneByte(this.#fd, byte, (error) => {
      this.#endWrite = undefined;
      callback(error === undefined ? 1 : 0, error);
    });
  }

  cancelReadable(): void {
    this.#endRead?.();
    this.#endRead = undefined;
  }

  cancelWritable(): number {
    const gone = this.#endWrite?.() ?? 0;
    this.#endWrite = undefined;
    return gone;
  }

  close(): void {
    this.cancelReadable();
    this.cancelWritable();
  }
}

calledByChildren(forgetWatches, LoopWatch.prototype.leaveToParent);
