/**
 * Readiness of any fd in the event loop of the calling thread: no thread, no polling.
 *
 *     stream_watch.ts      a lasting watch on a byte stream
 *     worker_readiness.ts  the same in a worker thread
 */
import { close, dup, getStatusFlags, inWorker, orClose, setStatusFlags } from '../fds/fd.ts';
import { byNode, osError } from '../ffi/errors.ts';
import { closePoll, uvPoll } from '../ffi/ffi.ts';
import { fstat } from '../ffi/fstat.ts';
import { setImmediate } from '../node/clocks.ts';
import { onReadableInWorker } from './worker_readiness.ts';

/**
 * Calls back once when the fd is readable, at its end, or in error (or writable, when asked for).
 *
 * The watch is on a duplicate of the fd: libuv allows one watcher per fd number, and the fd may be
 * closed by its owner meanwhile. The pending watch keeps the event loop alive.
 *
 * @returns a function that ends the watch without a call
 * @throws OSError EPERM for a regular file or directory, which is always ready; EBADF
 */
export function onReady(
  fd: number,
  callback: () => void,
  events: 'readable' | 'writable' = 'readable',
): () => void {
  if (inWorker && events === 'readable' && isStream(fd)) return onReadableInWorker(fd, callback);
  const copy = dup(fd);
  return orClose(copy, () => watchOnce(copy, fd, callback, events));
}

/** As `onReady` for what is readable; the event loop does not go on for it. */
export function onReadyUnref(fd: number, callback: () => void): () => void {
  if (inWorker && isStream(fd)) return onReadableInWorker(fd, callback, true);
  const copy = dup(fd);
  return orClose(copy, () => watchOnce(copy, fd, callback, 'readable', true));
}

/** @param copy of the fd, closed at the end of the watch */
function watchOnce(
  copy: number,
  fd: number,
  callback: () => void,
  events: 'readable' | 'writable',
  unref = false,
): () => void {
  const stat = byNode(() => fstat(copy));
  if (stat.isFile() || stat.isDirectory()) {
    throw osError(1 /* EPERM */, 'uv_poll', `fd ${fd} is a regular file`);
  }
  let done = false;
  const end = () => {
    if (done) return;
    done = true;
    closePoll(handle);
    close(copy);
  };
  const flags = getStatusFlags(copy);
  const watched = events === 'readable' ? { readable: true, disconnect: true } : { writable: true };
  // On Node 26 koffi calls without running what the callback puts off (promises, ticks) after it: Node's own
  // next phase of the same turn does.
  const call = () => {
    if (done) return;
    end();
    callback();
  };
  const handle = uvPoll(copy, watched, () => setImmediate(call));
  if (unref) handle.unref();
  try {
    // libuv makes the fd non-blocking, for all who share it; watching needs no such thing.
    setStatusFlags(copy, flags);
  } catch (error) {
    closePoll(handle);
    throw error;
  }
  return end;
}

/** What node:net takes: not a pidfd, for example, which is worth no more than the risk. */
function isStream(fd: number): boolean {
  try {
    const stat = fstat(fd);
    return stat.isFIFO() || stat.isSocket();
  } catch {
    return false; // not open: told by who uses it
  }
}

/** A lasting watch on an fd; it keeps the event loop alive unless `unref` was called. */
export interface Watch {
  close(): void;
  ref(): void;
  unref(): void;
}

/**
 * Looks at an fd for as long as the watch is open.
 * @param fd must stay open, is watched by nobody else, and becomes non-blocking
 * @param consume is called when it is readable and must leave nothing to read; what it returns is called after that, from
 *   the event loop itself
 * @throws OSError
 */
export function watchReadable(fd: number, consume: () => () => void): Watch {
  let open = true;
  const handle = uvPoll(fd, { readable: true }, () => {
    const then = consume();
    setImmediate(() => {
      if (open) then();
    });
  });
  return {
    close: () => {
      open = false;
      closePoll(handle);
    },
    ref: () => handle.ref(),
    unref: () => handle.unref(),
  };
}
