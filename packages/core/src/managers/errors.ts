/**
 * What goes wrong with a manager and its proxies: `RemoteError` of multiprocessing/managers.py, and those of Python's built-in
 * exceptions that its objects throw and JavaScript has not.
 */
import { EOFError, OSError, ProcessError, RuntimeError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';

/** What a manager has to say of a call that it could not make, or whose result it could not send; Python's `managers.RemoteError`. */
export class RemoteError extends ProcessError {
  override name = 'RemoteError';
  override readonly code = 'ERR_MP_REMOTE';
}

/** An iterator has nothing more; Python's `StopIteration`. */
export class StopIteration extends RuntimeError {
  override name = 'StopIteration';
  override readonly code = 'ERR_MP_STOP_ITERATION';
  /** What the iterator returned. */
  readonly value: unknown;

  constructor(value?: unknown) {
    super('the iterator has nothing more');
    this.value = value;
  }
}

/** A queue is shut down; Python's `queue.ShutDown`. */
export class ShutDown extends RuntimeError {
  override name = 'ShutDown';
  override readonly code = 'ERR_MP_SHUT_DOWN';
}

/** The error of a call whose manager is not there any more. @param how it ended, if that is known @internal */
export function ended(where: string, how: string | undefined, cause?: unknown): EOFError {
  const what = how ?? 'it has closed the connection';
  return new EOFError(
    `the manager at ${where} has ended: ${what}`,
    ...(cause === undefined ? [] : [{ cause }]),
  );
}

/** Whether the other end is gone, in any of the ways in which one learns it. @internal */
export function isGone(error: unknown): boolean {
  if (error instanceof EOFError) return true;
  return error instanceof OSError && GONE.has(error.code ?? '');
}

const GONE = new Set(['EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ENOENT', 'ECONNABORTED']);

nameExports(import.meta.url, { RemoteError, StopIteration, ShutDown });
