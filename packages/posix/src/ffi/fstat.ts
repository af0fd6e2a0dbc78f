/**
 * What an fd is. As bigints: the others Node leaves in a place where its own realpath looks, on Node 20 and 22, which finds no
 * package behind a link then if the last that was asked for is a pipe's or a socket's.
 */
import { type BigIntStats, fstatSync } from 'node:fs';

/** fstat(2). @throws Node's own error EBADF @internal */
export function fstat(fd: number): BigIntStats {
  return fstatSync(fd, { bigint: true });
}

/** Whether there is such an fd. @internal */
export function isOpen(fd: number): boolean {
  try {
    fstat(fd);
    return true;
  } catch {
    return false;
  }
}
