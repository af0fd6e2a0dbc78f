/**
 * Reads and writes of byte streams (sockets, pipes) that either wait in the kernel or do not wait at all.
 *
 * O_NONBLOCK belongs to the open file, which other processes may share: it is neither set nor relied on here. Of
 * a socket each call says for itself whether it waits (MSG_DONTWAIT). Of a pipe poll(2) is asked first: one that is
 * readable has something to read, and one that is writable takes PIPE_BUF bytes.
 *
 *     address.ts         addresses of stream sockets
 *     doorbell.ts        a bell that other processes can ring
 *     message_socket.ts  sockets whose messages carry fds
 *     stream_socket.ts   sockets that listen and connect
 */
import { getBackground } from '../fds/background.ts';
import { POLLIN, POLLOUT, poll } from '../fds/fd.ts';
import { platform } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native } from '../ffi/ffi.ts';
import { fstat } from '../ffi/fstat.ts';

const cRecv = native('long recv(int fd, void *buffer, size_t size, int flags)');
const cSend = native('long send(int fd, void *data, size_t size, int flags)');
const cRead = native('long read(int fd, void *buffer, size_t count)');
const cWrite = native('long write(int fd, void *data, size_t count)');

const EINTR = 4;
const EAGAIN = process.platform === 'darwin' ? 35 : 11;
/** What POSIX promises that a pipe takes at once when it is writable. */
const PIPE_BUF = process.platform === 'darwin' ? 512 : 4096;
/** The most bytes of one call: Linux's limit, rounded down. */
const MOST = 0x7fff0000;

const { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL, MSG_MORE } = platform;

/** What a call returns that would have to wait. */
export const WOULD_WAIT = -1;

/** An open fd that bytes go through. It does not own the fd. */
export class Stream {
  readonly fd: number;
  readonly #isSocket: boolean;

  /** @throws OSError EBADF */
  constructor(fd: number) {
    this.fd = fd;
    this.#isSocket = isSocket(fd);
  }

  /**
   * Reads once.
   * @param size bytes, at most the buffer's
   * @param wait whether to sleep until there is something; otherwise WOULD_WAIT may be returned
   * @returns how many bytes came, 0 at the end of file
   * @throws OSError
   */
  read(buffer: Uint8Array, size: number, wait: boolean): number {
    if (wait && getBackground() !== undefined) {
      return this.#serving(POLLIN, () => this.read(buffer, size, false));
    }
    if (!this.#isSocket) return this.#readPipe(buffer, size, wait);
    const flags = wait ? MSG_WAITALL : MSG_DONTWAIT;
    for (;;) {
      const count = cRecv(this.fd, buffer, Math.min(size, MOST), flags);
      if (count >= 0) return count;
      if (!this.#goesOn('recv', POLLIN, wait)) return WOULD_WAIT;
    }
  }

  /**
   * Reads once, and sleeps until there is something: not until all of it is there, as `read` does that waits.
   * @param size bytes, at most the buffer's
   * @returns how many bytes came, 0 at the end of file
   * @throws OSError
   */
  readSome(buffer: Uint8Array, size: number): number {
    if (getBackground() !== undefined || !this.#isSocket) {
      return this.#serving(POLLIN, () => this.read(buffer, size, false));
    }
    for (;;) {
      const count = cRecv(this.fd, buffer, Math.min(size, MOST), 0);
      if (count >= 0) return count;
      this.#goesOn('recv', POLLIN, true);
    }
  }

  #readPipe(buffer: Uint8Array, size: number, wait: boolean): number {
    for (;;) {
      if (!wait && poll([this.fd], 0).length === 0) return WOULD_WAIT;
      const count = cRead(this.fd, buffer, Math.min(size, MOST));
      if (count >= 0) return count;
      if (!this.#goesOn('read', POLLIN, wait)) return WOULD_WAIT;
    }
  }

  /**
   * Writes once.
   * @param size bytes, at most the data's
   * @param wait whether to sleep until some can be written; otherwise WOULD_WAIT may be returned
   * @param more whether more of the same message follows at once
   * @returns how many bytes went
   * @throws OSError, BrokenPipeError when nobody can read (no SIGPIPE)
   */
  write(data: Uint8Array, size: number, wait: boolean, more = false): number {
    if (wait && getBackground() !== undefined) {
      return this.#serving(POLLOUT, () => this.write(data, size, false, more));
    }
    if (!this.#isSocket) return this.#writePipe(data, size, wait);
    const flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT) | (more ? MSG_MORE : 0);
    for (;;) {
      const count = cSend(this.fd, data, Math.min(size, MOST), flags);
      if (count >= 0) return count;
      if (!this.#goesOn('send', POLLOUT, wait)) return WOULD_WAIT;
    }
  }

  #writePipe(data: Uint8Array, size: number, wait: boolean): number {
    for (;;) {
      if (!wait && poll([this.fd], 0, POLLOUT).length === 0) return WOULD_WAIT;
      const count = cWrite(this.fd, data, Math.min(size, wait ? MOST : PIPE_BUF));
      if (count >= 0) return count;
      if (!this.#goesOn('write', POLLOUT, wait)) return WOULD_WAIT;
    }
  }

  /** Waits in poll(2), which serves others meanwhile. */
  #serving(events: number, call: () => number): number {
    for (;;) {
      const count = call();
      if (count !== WOULD_WAIT) return count;
      poll([this.fd], undefined, events);
    }
  }

  /** After a call has failed: whether to make it again. Somebody else may have made the open file non-blocking. */
  #goesOn(call: string, events: number, wait: boolean): boolean {
    const error = errno();
    if (error === EINTR) return true;
    if (error !== EAGAIN) throw osError(error, call);
    if (wait) poll([this.fd], undefined, events);
    return wait;
  }
}

function isSocket(fd: number): boolean {
  try {
    return fstat(fd).isSocket();
  } catch {
    throw osError(9 /* EBADF */, 'fstat', `fd ${fd} is not open`);
  }
}
