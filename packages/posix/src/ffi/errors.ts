/**
 * Errors of the kernel layer: the counterparts of Python's OSError and its subclasses.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

let errnoNames: Map<number, string> | undefined;

/** The name of an error number. Of two (EAGAIN and EWOULDBLOCK) the first is the one that Node and Python use. */
function nameOfErrno(errno: number): string | undefined {
  errnoNames ??= new Map(
    Object.entries(constants.errno)
      .reverse()
      .map(([name, value]) => [value, name]),
  );
  return errnoNames.get(errno);
}

/**
 * A system call failed; Python's `OSError`.
 *
 * `errno` is the positive error number, `code` its name (`'EBADF'`), `syscall` the call's name,
 * as in Node's own system errors.
 */
export class OSError extends Error {
  override name = 'OSError';
  readonly errno: number;
  readonly code: string;
  readonly syscall: string | undefined;

  /**
   * @param errno the error number, positive as in Python
   * @param message what failed and what to do about it
   * @param syscall the name of the call that failed
   */
  constructor(errno: number, message: string, syscall?: string) {
    super(message);
    this.errno = errno;
    this.code = nameOfErrno(errno) ?? `E${errno}`;
    this.syscall = syscall;
  }
}

/** The other end of a pipe or socket is gone (`EPIPE`); Python's `BrokenPipeError`. */
export class BrokenPipeError extends OSError {
  override name = 'BrokenPipeError';
}

/** There is no such child process (`ECHILD`); Python's `ChildProcessError`. */
export class ChildProcessError extends OSError {
  override name = 'ChildProcessError';
}

/** There is no such process (`ESRCH`); Python's `ProcessLookupError`. */
export class ProcessLookupError extends OSError {
  override name = 'ProcessLookupError';
}

const subclasses = new Map<number, typeof OSError>([
  [constants.errno.EPIPE, BrokenPipeError],
  [constants.errno.ECHILD, ChildProcessError],
  [constants.errno.ESRCH, ProcessLookupError],
]);

/** Makes the OSError (or the subclass that Python would raise) for a failed call. @internal */
export function osError(errno: number, syscall: string, detail?: string): OSError {
  const ErrorClass = subclasses.get(errno) ?? OSError;
  const code = nameOfErrno(errno) ?? `errno ${errno}`;
  return new ErrorClass(errno, `${syscall}: ${code}${detail ? `, ${detail}` : ''}`, syscall);
}

/**
 * Throws an error of Node's that the kernel has caused as the OSError that it stands for, anything else as it is.
 * @param name of the call, where Node's own name for it will not do
 */
export function rethrow(error: unknown, name?: string): never {
  const { errno, syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof OSError || typeof errno !== 'number') throw error;
  const detail = path ?? getSystemErrorMap().get(errno)?.[1];
  throw osError(-errno, name ?? syscall ?? 'unknown', detail);
}

/** Calls what throws Node's errors. @throws OSError in their place */
export function byNode<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    return rethrow(error);
  }
}

/** This process cannot fork; the message says why and what to do. */
export class ForkUnavailableError extends Error {
  override name = 'ForkUnavailableError';
  readonly code = 'ERR_MP_FORK_UNAVAILABLE';
}
