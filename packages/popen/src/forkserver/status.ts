/**
 * Numbers on the status pipe between the server and a client: the child's pid, later its exit code. The
 * counterparts of forkserver.py's `read_signed` and `write_signed`. Where there is a pid a negative number is the errno of
 * why there is no child, and the name of the call that failed follows it. Deviations: D-103.
 */
import { EOFError } from '@multiprocessing/core';
import { OSError, osError, poll, read, writeAll } from '@multiprocessing/posix';

const SIZE = 8;

/**
 * Waits for some bytes; none are the end of file. A watch that failed may have left the fd non-blocking.
 * @throws OSError
 * @internal
 */
export function readSome(fd: number, n: number): Uint8Array {
  for (;;) {
    try {
      return read(fd, n);
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') throw error;
      poll([fd]);
    }
  }
}

/** Reads one number, which must be there. @throws EOFError @internal */
export function readSigned(fd: number): number {
  const bytes = Buffer.alloc(SIZE);
  for (let done = 0; done < SIZE; ) {
    const part = readSome(fd, SIZE - done);
    if (part.length === 0) throw new EOFError('the forkserver closed the status pipe');
    bytes.set(part, done);
    done += part.length;
  }
  return Number(bytes.readBigInt64LE());
}

/** Reads the pid of the new child. @throws OSError of the server, EOFError when it is gone @internal */
export function readPid(fd: number): number {
  const pid = readSigned(fd);
  if (pid >= 0) return pid;
  const name: Uint8Array[] = [];
  for (let part = readSome(fd, 64); part.length > 0; part = readSome(fd, 64)) name.push(part);
  throw osError(-pid, Buffer.concat(name).toString(), 'in the forkserver, which goes on');
}

/** Why a server has ended, when it could say so: it does on its end of the socketpair. @internal */
export function readLastWord(socket: number): OSError | undefined {
  const word = Buffer.from(readWord(socket));
  if (word.length <= SIZE) return undefined;
  const name = word.toString('latin1', SIZE);
  return osError(-Number(word.readBigInt64LE()), name, 'in the forkserver, which has ended');
}

/** That a request was left unread (ECONNRESET) is said once, before the rest. */
function readWord(socket: number): Uint8Array {
  try {
    return readSome(socket, 64);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ECONNRESET') throw error;
    return readSome(socket, 64);
  }
}

/** Writes one number; a client that has vanished, or cannot be told, is no reason to end. @internal */
export function writeSigned(fd: number, value: number): void {
  writeNumber(fd, value, '');
}

/** Writes why there is no child; anything but an OSError is one of the server itself. @internal */
export function writeFailure(fd: number, error: unknown): void {
  if (error instanceof OSError) writeNumber(fd, -error.errno, error.syscall ?? 'fork');
}

function writeNumber(fd: number, value: number, text: string): void {
  const bytes = Buffer.alloc(SIZE + text.length);
  bytes.writeBigInt64LE(BigInt(value));
  bytes.write(text, SIZE, 'latin1');
  try {
    writeAll(fd, bytes);
  } catch (error) {
    if (!(error instanceof OSError)) throw error;
  }
}
