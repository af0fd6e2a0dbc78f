/**
 * What goes wrong in a pool, and in an executor: the exceptions of multiprocessing/pool.py and concurrent/futures.
 */
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { ProcessError, RuntimeError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';

/** Which task an error is about. */
export interface TaskInfo {
  /** The name of its function; '(anonymous)' without. */
  readonly function: string;
  /** The place of its first item in the iterable of `map` and its kin; 0 for `apply`. */
  readonly index: number;
  /** What the function was called with; of `map`, the items. */
  readonly args: readonly unknown[];
}

/** A worker ended while it had the task in hand; its answer is lost. No counterpart in Python, whose Pool waits for ever. */
export class WorkerLostError extends ProcessError {
  override name = 'WorkerLostError';
  override readonly code = 'ERR_MP_WORKER_LOST';
  /** Of the worker. */
  readonly pid: number | undefined;
  /** As `Process.exitcode`: minus the number of the signal that ended it. */
  readonly exitcode: number | undefined;
  /** The name of that signal. */
  readonly signal: string | undefined;
  /** The task, if it had one. */
  readonly task: TaskInfo | undefined;

  constructor(
    message: string,
    {
      pid,
      exitcode,
      task,
      cause,
    }: { pid?: number; exitcode?: number; task?: TaskInfo; cause?: unknown } = {},
  ) {
    super(message, ...(cause === undefined ? [] : [{ cause }]));
    this.pid = pid;
    this.exitcode = exitcode;
    this.signal = signalName(exitcode);
    this.task = task;
  }
}

/** Of two names for one signal (SIGABRT, SIGIOT) the first. */
const signals = new Map<number, string>(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [-number, name]),
);

function signalName(exitcode: number | undefined): string | undefined {
  return exitcode === undefined ? undefined : signals.get(exitcode);
}

/** How a worker has ended, in words. @internal */
export function endInWords(exitcode: number | undefined): string {
  if (exitcode === undefined) return 'was lost';
  if (exitcode >= 0) return `ended with exit code ${exitcode}`;
  const hint = exitcode === -9 ? ' (as the kernel does when memory runs out)' : '';
  return `was ended by ${signalName(exitcode) ?? `signal ${-exitcode}`}${hint}`;
}

/** The result of a task cannot be sent; Python's `multiprocessing.pool.MaybeEncodingError`. */
export class MaybeEncodingError extends ProcessError {
  override name = 'MaybeEncodingError';
  override readonly code = 'ERR_MP_MAYBE_ENCODING';
  /** Why, in words. */
  readonly exc: string;
  /** The result, in words. */
  readonly value: string;

  constructor(exc: unknown, value: unknown) {
    const [why, what] = [wordsOf(exc), wordsOf(value)];
    super(`Error sending result: '${what}'. Reason: '${why}'`);
    this.exc = why;
    this.value = what;
  }
}

const LONGEST = 1000;

function wordsOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const text = value instanceof Error ? `${value.name}: ${value.message}` : inspect(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
}

/** Where an error was thrown in the worker, as its text; Python's `multiprocessing.pool.RemoteTraceback`. */
export class RemoteTraceback extends Error {
  override name = 'RemoteTraceback';
  /** The stack in the worker. */
  readonly tb: string;

  constructor(tb: string) {
    super(`\n"""\n${tb}\n"""`);
    this.tb = tb;
    Object.defineProperty(this, 'stack', { value: String(this), configurable: true });
  }
}

/** What a worker has thrown: without a cause of its own it has the worker's stack for one. @internal */
export function withTraceback(error: unknown): unknown {
  if (!(error instanceof Error) || error.cause !== undefined || 'cause' in error) return error;
  if (typeof error.stack !== 'string' || !Object.isExtensible(error)) return error;
  Object.defineProperty(error, 'cause', {
    value: new RemoteTraceback(error.stack),
    writable: true,
    configurable: true,
    enumerable: false,
  });
  return error;
}

/** A task was cancelled, or its pool was terminated; Python's `concurrent.futures.CancelledError`. */
export class CancelledError extends Error {
  override name = 'CancelledError';
  readonly code = 'ERR_MP_CANCELLED';
}

/** An executor or pool can do nothing any more; Python's `concurrent.futures.BrokenExecutor`. */
export class BrokenExecutor extends RuntimeError {
  override name = 'BrokenExecutor';
  override readonly code: string = 'ERR_MP_BROKEN_EXECUTOR';
}

/** Its processes end unasked for, or cannot be started; Python's `concurrent.futures.process.BrokenProcessPool`. */
export class BrokenProcessPool extends BrokenExecutor {
  override name = 'BrokenProcessPool';
  override readonly code = 'ERR_MP_BROKEN_PROCESS_POOL';
}

nameExports(import.meta.url, {
  WorkerLostError,
  MaybeEncodingError,
  RemoteTraceback,
  CancelledError,
  BrokenExecutor,
  BrokenProcessPool,
});
