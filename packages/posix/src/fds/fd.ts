/**
 * File descriptors: Python's `os.pipe`, `read`, `write`, `close`, `dup`, and poll(2).
 *
 *     background.ts  what a thread does for others while it sleeps in poll(2)
 *     raw_fd.ts      open, read and close for both sides of a fork
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { calledByChildren } from '../ffi/compiled.ts';
import {
  F_ADD_SEALS,
  F_GETFD,
  F_GETFL,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  F_SETFD,
  F_SETFL,
  F_SETOWN,
  F_SETSIG,
  FD_CLOEXEC,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_ASYNC,
  platform,
} from '../ffi/constants.ts';
import { osError, rethrow } from '../ffi/errors.ts';
import { errno, native, syscall } from '../ffi/ffi.ts';
import { now } from '../node/clocks.ts';
import { type Background, getBackground } from './background.ts';

const cPipe2 = syscall('int pipe2(_Out_ int *fds, int flags)');
const cPipe = syscall('int pipe(_Out_ int *fds)');
const cFcntl = syscall('int fcntl(int fd, int cmd, ...)');
const cClose = syscall('int close(int fd)');
const cPoll = native('int poll(void *fds, unsigned long nfds, int timeout)');
const cFallocate = syscall('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const cEpollCreate = syscall('int epoll_create1(int flags)');
const cDup3 = syscall('int dup3(int fd, int number, int flags)');
const cFtruncate = syscall('int ftruncate(int fd, int64_t length)');
const cLseek = syscall('int64_t lseek(int fd, int64_t offset, int whence)');
const cMemfd = syscall('int memfd_create(const char *name, unsigned int flags)');

/**
 * Makes a pipe whose ends do not survive exec; Python's `os.pipe`.
 * @returns [read end, write end]
 * @throws OSError
 */
export function pipe(): [number, number] {
  const fds: [number, number] = [0, 0];
  if (process.platform === 'darwin') {
    cPipe(fds);
    for (const fd of fds) setCloexec(fd, true);
  } else {
    cPipe2(fds, platform.O_CLOEXEC);
  }
  return pairAboveStandardStreams(fds);
}

/**
 * Reads up to n bytes; an empty result is the end of file. Python's `os.read`.
 * @param n bytes
 * @throws OSError
 */
export function read(fd: number, n: number): Uint8Array {
  const buffer = Buffer.allocUnsafe(n);
  return buffer.subarray(0, readInto(fd, buffer));
}

/** Reads into a buffer once and returns the number of bytes, 0 at the end of file. @throws OSError */
export function readInto(fd: number, buffer: Uint8Array): number {
  for (;;) {
    try {
      return readSync(fd, buffer, 0, buffer.length, null);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EINTR') rethrow(error, 'read');
    }
  }
}

/**
 * Writes once and returns the number of bytes that went; Python's `os.write`.
 * @throws OSError, BrokenPipeError when nobody can read
 */
export function write(fd: number, data: Uint8Array | string): number {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (;;) {
    try {
      return writeSync(fd, bytes, 0, bytes.length, null);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EINTR') rethrow(error, 'write');
    }
  }
}

/** Writes everything. @throws OSError */
export function writeAll(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length; ) done += write(fd, data.subarray(done));
}

/** Node takes away from worker threads what would change the whole process, and marks it so. */
export const inWorker = (process.chdir as { disabled?: boolean }).disabled === true;

/** Closes an fd; Python's `os.close`. @throws OSError */
export function close(fd: number): void {
  // In a worker Node counts the fds that node:fs opened, and warns of closing any other.
  if (inWorker) {
    cClose(fd);
    return;
  }
  try {
    closeSync(fd);
  } catch (error) {
    rethrow(error, 'close');
  }
}

/** Duplicates an fd; the copy does not survive exec. Python's `os.dup`. @throws OSError */
export function dup(fd: number): number {
  return dupAbove(fd, 0);
}

/** Duplicates an fd to the lowest free number that is not below `least`. @throws OSError */
export function dupAbove(fd: number, least: number): number {
  return cFcntl(fd, platform.F_DUPFD_CLOEXEC, 'int', least);
}

/**
 * Moves an fd that got the number of a standard stream, which somebody has closed: a child would take it for
 * that stream.
 * @internal
 */
export function aboveStandardStreams(fd: number): number {
  if (fd > 2) return fd;
  try {
    return dupAbove(fd, 3);
  } finally {
    close(fd);
  }
}

/** The same for two that belong together: without one of them the other is closed. @internal */
export function pairAboveStandardStreams([a, b]: [number, number]): [number, number] {
  if (a > 2 && b > 2) return [a, b];
  const first = orClose(b, () => aboveStandardStreams(a));
  return [first, orClose(first, () => aboveStandardStreams(b))];
}

/** What is made with an fd, which is closed if that fails. @internal */
export function orClose<T>(fd: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Puts something that is never ready in the place of an fd, which keeps its number. Linux only. @throws OSError */
export function replaceByNeverReady(fd: number): void {
  const never = cEpollCreate(platform.O_CLOEXEC);
  try {
    cDup3(never, fd, platform.O_CLOEXEC);
  } finally {
    close(never);
  }
}

/** Sets or clears FD_CLOEXEC. @throws OSError */
export function setCloexec(fd: number, on: boolean): void {
  const flags = cFcntl(fd, F_GETFD);
  cFcntl(fd, F_SETFD, 'int', on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC);
}

/** The fd's file status flags, O_NONBLOCK among them. @throws OSError */
export function getStatusFlags(fd: number): number {
  return cFcntl(fd, F_GETFL);
}

/** Sets the fd's file status flags. @throws OSError */
export function setStatusFlags(fd: number, flags: number): void {
  cFcntl(fd, F_SETFL, 'int', flags);
}

/** Where the next read of an open file begins, whoever makes it. @throws OSError */
export function positionOf(fd: number): number {
  return cLseek(fd, 0, SEEK_CUR);
}

const SEEK_CUR = 1;

/**
 * Makes reads and writes wait, for all processes that share the open file; a closed fd is ignored.
 * @returns the flags to be set again to take it back; undefined when there is nothing to take back
 */
export function makeBlocking(fd: number): number | undefined {
  try {
    const flags = getStatusFlags(fd);
    if ((flags & platform.O_NONBLOCK) === 0) return undefined;
    setStatusFlags(fd, flags & ~platform.O_NONBLOCK);
    return flags;
  } catch {
    return undefined;
  }
}

/**
 * Has the kernel send a process a signal when the pipe's other end closes (or writes), however
 * busy the process is: F_SETOWN, F_SETSIG, O_ASYNC (fcntl(2)). It belongs to the open file, and ends with it. Linux only.
 * @throws OSError
 */
export function signalOnChange(fd: number, signal: number, pid = process.pid): void {
  cFcntl(fd, F_SETOWN, 'int', pid);
  cFcntl(fd, F_SETSIG, 'int', signal);
  setStatusFlags(fd, getStatusFlags(fd) | O_ASYNC);
}

/** Takes that back. @throws OSError */
export function noSignalOnChange(fd: number): void {
  setStatusFlags(fd, getStatusFlags(fd) & ~O_ASYNC);
}

/**
 * Makes a file without a name in memory, which does not survive exec; Python's `os.memfd_create`.
 * Linux only.
 * @throws OSError
 */
export function memfdCreate(name: string): number {
  return aboveStandardStreams(cMemfd(name, MFD_CLOEXEC));
}

/**
 * As `memfdCreate`, of a size that nobody can change any more: no process can make the others' accesses fail by
 * cutting the file. Linux only.
 * @param size bytes
 * @param options.mayGrow whether it may be made larger, but not smaller
 * @throws OSError
 */
export function sealedMemfd(
  name: string,
  size: number,
  { mayGrow = false }: { mayGrow?: boolean } = {},
): number {
  const fd = aboveStandardStreams(cMemfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return orClose(fd, () => {
    cFtruncate(fd, size);
    const grow = mayGrow ? 0 : F_SEAL_GROW;
    cFcntl(fd, F_ADD_SEALS, 'int', F_SEAL_SEAL | F_SEAL_SHRINK | grow);
    return fd;
  });
}

/**
 * Makes a file without a name in memory that nobody can change any more, whoever gets it, and opens it for reading. It
 * does not survive exec. Linux only.
 * @param parts its bytes
 * @throws OSError, EINVAL where the kernel cannot seal
 */
export function sealedCopy(name: string, parts: readonly Uint8Array[]): number {
  const fd = aboveStandardStreams(cMemfd(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  return orClose(fd, () => {
    let position = 0;
    for (const part of parts) {
      writeAt(fd, part, position);
      position += part.length;
    }
    const seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    cFcntl(fd, F_ADD_SEALS, 'int', seals);
    return forReading(fd);
  });
}

/** Opens it once more, and closes this fd. Without /proc that cannot be, and the seals have to do. */
function forReading(fd: number): number {
  let reading: number;
  try {
    reading = aboveStandardStreams(openSync(`/proc/self/fd/${fd}`, 'r'));
  } catch {
    return fd;
  }
  close(fd);
  return reading;
}

/**
 * Reads at a position of a file until the buffer is full; Python's `os.pread`.
 * @param position bytes from the beginning
 * @throws OSError, EIO when the file ends before
 */
export function readAt(fd: number, buffer: Uint8Array, position: number): void {
  for (let done = 0; done < buffer.length; ) {
    const count = at('pread', () => {
      return readSync(fd, buffer, done, Math.min(buffer.length - done, MOST), position + done);
    });
    if (count === 0) throw osError(5 /* EIO */, 'pread', 'the file is shorter than it should be');
    done += count;
  }
}

/** Writes all of it at a position of a file; Python's `os.pwrite`. @throws OSError */
export function writeAt(fd: number, data: Uint8Array, position: number): void {
  for (let done = 0; done < data.length; ) {
    done += at('pwrite', () => {
      return writeSync(fd, data, done, Math.min(data.length - done, MOST), position + done);
    });
  }
}

/** What Linux moves in one call, at most, is 2 GiB less a page. */
const MOST = 0x40000000;

function at(name: string, call: () => number): number {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if ((error as { code?: string }).code !== 'EINTR') rethrow(error, name);
    }
  }
}

/** Gives the memory of a part of a file back; it reads as zeros then. Linux only. @throws OSError */
export function punchHole(fd: number, offset: number, length: number): void {
  cFallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, offset, length);
}

const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

export const POLLIN = 1;
export const POLLOUT = 4;

/**
 * Sleeps in poll(2) until one of the fds is ready (readable, at its end, or in error), and says which.
 * A signal does not end the wait.
 * @param fds fd numbers
 * @param timeout seconds; undefined waits for ever, 0 and less do not wait
 * @param events POLLIN (the default) or POLLOUT
 * @throws OSError EBADF for an fd that is not open
 */
export function poll(fds: readonly number[], timeout?: number, events = POLLIN): number[] {
  const background = timeout === undefined || timeout > 0 ? getBackground() : undefined;
  if (background === undefined) return pollOnly(fds, timeout, events);
  return pollAndServe(fds, timeout, events, background);
}

/** Sleeps, and serves meanwhile. */
function pollAndServe(
  fds: readonly number[],
  timeout: number | undefined,
  events: number,
  background: Background,
): number[] {
  const deadline = now() + (timeout ?? Infinity) * 1000;
  for (;;) {
    const others = background.fds();
    const rest = background.rest();
    const left = (deadline - now()) / 1000;
    const wait = rest > 0 ? Math.min(rest, left) : left;
    const ready = pollOnly(fds, wait === Infinity ? undefined : wait, events, others);
    const own = ready.filter((fd) => !others.includes(fd));
    if (own.length > 0 || (ready.length === 0 && now() >= deadline)) return own;
    background.serve();
  }
}

/** @param others fds that are to be readable, whatever the events of the first ones */
function pollOnly(
  first: readonly number[],
  timeout: number | undefined,
  events: number,
  others: readonly number[] = [],
): number[] {
  const fds = others.length === 0 ? first : [...first, ...others];
  const buffer = Buffer.alloc(fds.length * 8);
  fds.forEach((fd, i) => {
    buffer.writeInt32LE(fd, i * 8);
    buffer.writeInt16LE(i < first.length ? events : POLLIN, i * 8 + 4);
  });
  const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
  for (;;) {
    // A wait longer than an int of milliseconds is made in slices.
    const left = Math.min(Math.max(Math.ceil(deadline - now()), 0), 0x7fffffff);
    const count = cPoll(buffer, fds.length, deadline === Infinity ? -1 : left);
    if (count > 0) break;
    if (count === 0) {
      if (now() >= deadline) return [];
    } else if (errno() !== 4 /* EINTR */) {
      throw osError(errno(), 'poll');
    }
  }
  return fds.filter((fd, i) => {
    const revents = buffer.readInt16LE(i * 8 + 6);
    if (revents & 0x20 /* POLLNVAL */) throw osError(9 /* EBADF */, 'poll', `fd ${fd}`);
    return revents !== 0;
  });
}

calledByChildren(makeBlocking, getStatusFlags, setStatusFlags);
