/**
 * open, read and close without node:fs, for both sides of a fork. There each page of memory that is touched for the
 * first time is a page fault (5 µs): node:fs touches some twenty of its own for each of its functions, while the pages
 * of a foreign call are there already. They throw nothing; who calls them looks at what they return.
 */
import { platform } from '../ffi/constants.ts';
import { native } from '../ffi/ffi.ts';

const cOpen = native('int open(const char *path, int flags, ...)');
const cRead = native('long read(int fd, void *buffer, size_t count)');
const cWrite = native('long write(int fd, void *buffer, size_t count)');
const cClose = native('int close(int fd)');

/** Opens a file to read it. Returns -1 if that fails. */
export function openRaw(path: string): number {
  return cOpen(path, platform.O_CLOEXEC);
}

/** Returns the number of bytes; 0 at the end, -1 if it fails. */
export function readRaw(fd: number, buffer: Uint8Array): number {
  return cRead(fd, buffer, buffer.length);
}

/** Returns the number of bytes that went, -1 if it fails. */
export function writeRaw(fd: number, buffer: Uint8Array): number {
  return cWrite(fd, buffer, buffer.length);
}

/** Closes an fd, whether it is open or not. */
export function closeRaw(fd: number): void {
  cClose(fd);
}
