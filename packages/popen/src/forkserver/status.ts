/**
 * Numbers on the status pipe between the server and a client: the child's pid, later its exit code. The
 * counterparts of forkserver.py's `read_signed` and `write_signed`.
 */
import { EOFError } from '@multiprocessing/core';
import { BrokenPipeError, read, writeAll } from '@multiprocessing/posix';

const SIZE = 8;

/** Reads one number, which must be there. @throws EOFError @internal */
export function readSigned(fd: number): number {
  const bytes = Buffer.alloc(SIZE);
  for (let done = 0; done < SIZE; ) {
    const part = read(fd, SIZE - done);
    if (part.length === 0) throw new EOFError('the forkserver closed the status pipe');
    bytes.set(part, done);
    done += part.length;
  }
  return Number(bytes.readBigInt64LE());
}

/** Writes one number; a client that has vanished is nobody's error. @internal */
export function writeSigned(fd: number, value: number): void {
  const bytes = Buffer.alloc(SIZE);
  bytes.writeBigInt64LE(BigInt(value));
  try {
    writeAll(fd, bytes);
  } catch (error) {
    if (!(error instanceof BrokenPipeError)) throw error;
  }
}
