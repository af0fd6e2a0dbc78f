/**
 * The exceptions of multiprocessing/context.py, and the Python built-in exceptions that the API
 * promises by name. Each has a stable `code`. `TypeError` is JavaScript's own, with a code (typeError).
 */
export {
  BrokenPipeError,
  ChildProcessError,
  OSError,
  ProcessLookupError,
} from '@multiprocessing/posix';

/** Base of all errors of this library that are not the kernel's. @internal */
abstract class CodedError extends Error {
  abstract readonly code: string;
}

/** Base of multiprocessing's own errors; Python's `multiprocessing.ProcessError`. */
export class ProcessError extends CodedError {
  override name = 'ProcessError';
  readonly code: string = 'ERR_MP_PROCESS';
}

/** A message is longer than the buffer given for it; `args[0]` holds the whole message. */
export class BufferTooShort extends ProcessError {
  override name = 'BufferTooShort';
  override readonly code = 'ERR_MP_BUFFER_TOO_SHORT';
  readonly args: readonly unknown[];

  constructor(...args: unknown[]) {
    super('the message is longer than the buffer; it is in args[0]');
    this.args = args;
  }
}

/** A wait ran out of time; Python's `multiprocessing.TimeoutError`. */
export class TimeoutError extends ProcessError {
  override name = 'TimeoutError';
  override readonly code = 'ERR_MP_TIMEOUT';
}

/** The other side does not hold the key; Python's `multiprocessing.AuthenticationError`. */
export class AuthenticationError extends ProcessError {
  override name = 'AuthenticationError';
  override readonly code = 'ERR_MP_AUTHENTICATION';
}

/** An argument has the right type and an impossible value; Python's `ValueError`. */
export class ValueError extends CodedError {
  override name = 'ValueError';
  readonly code = 'ERR_MP_VALUE';
}

/** An operation that this state of the program does not allow; Python's `RuntimeError`. */
export class RuntimeError extends CodedError {
  override name = 'RuntimeError';
  readonly code: string = 'ERR_MP_RUNTIME';
}

/** What is found when the words of an object in shared memory cannot be. @param what the object's kind, as `Lock` @internal */
export function damaged(what: string): RuntimeError {
  return new RuntimeError(
    `the memory of this ${what} is damaged: nothing of it can be trusted any more;` +
      ' make a new one and end the processes that use it',
  );
}

/** A feature is not there (yet, or on this platform); Python's `NotImplementedError`. */
export class NotImplementedError extends RuntimeError {
  override name = 'NotImplementedError';
  override readonly code = 'ERR_MP_NOT_IMPLEMENTED';
}

/** A precondition that Python states by `assert` does not hold; Python's `AssertionError`. */
export class AssertionError extends CodedError {
  override name = 'AssertionError';
  readonly code = 'ERR_MP_ASSERTION';
}

/** The stream ended in the middle of something; Python's `EOFError`. */
export class EOFError extends CodedError {
  override name = 'EOFError';
  readonly code = 'ERR_MP_EOF';
}

/** An object cannot be sent to another process; Python's `pickle.PicklingError`. */
export class PicklingError extends CodedError {
  override name = 'PicklingError';
  readonly code = 'ERR_MP_PICKLING';
}

/** Received bytes cannot be turned into an object here; Python's `pickle.UnpicklingError`. */
export class UnpicklingError extends CodedError {
  override name = 'UnpicklingError';
  readonly code = 'ERR_MP_UNPICKLING';
}

/** There was nothing to get (in time); Python's `queue.Empty`. */
export class Empty extends CodedError {
  override name = 'Empty';
  readonly code = 'ERR_MP_EMPTY';
}

/** There was no room to put anything (in time); Python's `queue.Full`. */
export class Full extends CodedError {
  override name = 'Full';
  readonly code = 'ERR_MP_FULL';
}

/** A buffer is still in use; Python's `BufferError`. */
export class BufferError extends CodedError {
  override name = 'BufferError';
  readonly code = 'ERR_MP_BUFFER';
}

/** A barrier was broken while somebody waited at it; Python's `threading.BrokenBarrierError`. */
export class BrokenBarrierError extends RuntimeError {
  override name = 'BrokenBarrierError';
  override readonly code = 'ERR_MP_BROKEN_BARRIER';
}

/**
 * Thrown by a target to end its process; Python's `SystemExit`.
 *
 * `exitcode` is what the process ends with: nothing, null, undefined or false → 0, true → 1, a
 * number → that number, anything else is written to stderr and gives 1.
 */
export class SystemExit extends Error {
  override name = 'SystemExit';
  readonly code = 'ERR_MP_SYSTEM_EXIT';
  readonly exitcode: unknown;

  constructor(exitcode?: unknown) {
    super(`SystemExit: ${String(exitcode)}`);
    this.exitcode = exitcode;
  }
}

/** JavaScript's TypeError with a stable code. @internal */
export function typeError(message: string): TypeError & { code: string } {
  return Object.assign(new TypeError(message), { code: 'ERR_MP_TYPE' });
}

/** Python's IndexError: JavaScript's RangeError with a stable code. @internal */
export function indexError(message: string): RangeError & { code: string } {
  return Object.assign(new RangeError(message), { code: 'ERR_MP_INDEX' });
}

/** Throws an AssertionError unless the condition holds. @internal */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
