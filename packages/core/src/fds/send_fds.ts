/**
 * `sendfds`, `recvfds`, `send_handle` and `recv_handle` of multiprocessing/reduction.py: fds on their way through a Unix
 * socket, as CPython sends them: one byte, their number modulo 256, and beside it the fds. Deviations: D-080.
 */
import { inspect } from 'node:util';
import {
  close,
  MAX_FDS_PER_MESSAGE,
  onReady,
  POLLOUT,
  poll,
  recvmsg,
  sendmsg,
} from '@multiprocessing/posix';
import { checkSize } from '../base/arguments.ts';
import { AssertionError, EOFError, RuntimeError, typeError, ValueError } from '../base/errors.ts';

/** A Unix socket: its fd, or an object that has one, as a Connection. */
export type SocketLike = number | { fileno(): number };

/**
 * Sends fds, which stay open here; Python's `reduction.sendfds`. The other side gets copies.
 * @param fds at most 253
 * @throws TypeError, ValueError; OSError EBADF, EINVAL for a socket that is no Unix socket; BrokenPipeError
 */
export async function sendfds(sock: SocketLike, fds: readonly number[]): Promise<void> {
  const fd = filenoOf(sock);
  checkFds(fds);
  while (!trySend(fd, fds)) await ready(fd, 'writable');
}

/** The blocking twin of `sendfds`. */
export function sendfdsSync(sock: SocketLike, fds: readonly number[]): void {
  const fd = filenoOf(sock);
  checkFds(fds);
  while (!trySend(fd, fds)) poll([fd], undefined, POLLOUT);
}

/**
 * Receives fds, which the caller closes; Python's `reduction.recvfds`. None of them survives exec.
 * @param size how many there may be at most
 * @throws EOFError when the other end is closed; RuntimeError when the byte that came had no fds with it; AssertionError
 *   for another number of them than was said, or than is wanted; TypeError, ValueError, OSError. No fd is left open then
 */
export async function recvfds(sock: SocketLike, size: number): Promise<number[]> {
  const fd = filenoOf(sock);
  checkSize(size);
  for (;;) {
    const fds = tryReceive(fd, size);
    if (fds !== undefined) return fds;
    await ready(fd, 'readable');
  }
}

/** The blocking twin of `recvfds`. */
export function recvfdsSync(sock: SocketLike, size: number): number[] {
  const fd = filenoOf(sock);
  checkSize(size);
  for (;;) {
    const fds = tryReceive(fd, size);
    if (fds !== undefined) return fds;
    poll([fd]);
  }
}

/**
 * Sends an fd over a connection of a duplex Pipe or of a Unix socket; Python's `reduction.send_handle`.
 * @param handle stays open here
 * @param destinationPid of the receiver: Windows needs it
 * @throws as `sendfds`
 */
export async function sendHandle(
  conn: SocketLike,
  handle: number,
  destinationPid?: number,
): Promise<void>;
export async function sendHandle(conn: SocketLike, handle: number): Promise<void> {
  return sendfds(conn, [handle]);
}

/** The blocking twin of `sendHandle`. */
export function sendHandleSync(conn: SocketLike, handle: number, destinationPid?: number): void;
export function sendHandleSync(conn: SocketLike, handle: number): void {
  sendfdsSync(conn, [handle]);
}

/**
 * Receives what `sendHandle` has sent, while nobody waits for a message of the connection; Python's
 * `reduction.recv_handle`.
 * @returns an fd, which the caller closes
 * @throws as `recvfds`
 */
export async function recvHandle(conn: SocketLike): Promise<number> {
  return (await recvfds(conn, 1))[0] as number;
}

/** The blocking twin of `recvHandle`. */
export function recvHandleSync(conn: SocketLike): number {
  return recvfdsSync(conn, 1)[0] as number;
}

function filenoOf(sock: SocketLike): number {
  const fd: unknown = typeof sock === 'number' ? sock : sock?.fileno?.();
  if (Number.isInteger(fd) && (fd as number) >= 0) return fd as number;
  throw typeError(`sock must be an fd or have a fileno() that returns one, not ${inspect(sock)}`);
}

function checkFds(fds: readonly unknown[]): void {
  if (!Array.isArray(fds)) throw typeError(`fds must be an array of fds, not ${inspect(fds)}`);
  for (const fd of fds) {
    if (!Number.isInteger(fd)) throw typeError(`an fd must be a whole number, not ${inspect(fd)}`);
    if (fd < 0) throw new ValueError(`fd: ${fd} is negative`);
  }
  if (fds.length > MAX_FDS_PER_MESSAGE) {
    throw new ValueError(
      `fds: ${fds.length} are too many for one message, Linux takes ${MAX_FDS_PER_MESSAGE}: send several`,
    );
  }
}

/** @returns false when there is no room yet */
function trySend(fd: number, fds: readonly number[]): boolean {
  return withoutWaiting(() => {
    sendmsg(fd, Buffer.of(fds.length % 256), fds, false);
    return true;
  }, false);
}

/** @returns undefined when nothing has come yet */
function tryReceive(fd: number, size: number): number[] | undefined {
  const message = withoutWaiting(() => recvmsg(fd, 1, false), undefined);
  if (message === undefined) return undefined;
  const { data, fds } = message;
  try {
    if (data.length === 0) throw new EOFError('the other end is closed');
    if (fds.length === 0) throw new RuntimeError('received 0 items of ancdata: no fd was sent');
    if (fds.length % 256 !== data[0] || fds.length > size) {
      throw new AssertionError(
        `${fds.length} fds came, ${data[0]} were announced and at most ${size} are wanted`,
      );
    }
    return fds;
  } catch (error) {
    for (const received of fds) close(received);
    throw error;
  }
}

/** Calls again what a signal has interrupted. */
function withoutWaiting<T, U>(call: () => T, wouldWait: U): T | U {
  for (;;) {
    try {
      return call();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === 'EAGAIN') return wouldWait;
      if (code !== 'EINTR') throw error;
    }
  }
}

function ready(fd: number, events: 'readable' | 'writable'): Promise<void> {
  return new Promise((resolve) => {
    onReady(fd, resolve, events);
  });
}
