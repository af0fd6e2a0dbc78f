/**
 * Readiness of any fd in the event loop of the calling thread: no thread, no polling.
 */
import { fstatSync } from 'node:fs';
import { osError } from './errors.ts';
import { close, dup, getStatusFlags, setStatusFlags } from './fd.ts';
import { uvPoll } from './ffi.ts';

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
  const copy = dup(fd);
  const stat = fstatSync(copy);
  if (stat.isFile() || stat.isDirectory()) {
    close(copy);
    throw osError(1 /* EPERM */, 'uv_poll', `fd ${fd} is a regular file`);
  }
  let done = false;
  const end = () => {
    if (done) return;
    done = true;
    handle.stop();
    handle.close();
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
  // libuv makes the fd non-blocking, for all who share it; watching needs no such thing.
  setStatusFlags(copy, flags);
  return end;
}
