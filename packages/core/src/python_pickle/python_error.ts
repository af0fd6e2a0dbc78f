/**
 * The exceptions of Python that this library has no class of its own for.
 */
import { nameExports } from '../base/names.ts';
import { repr, str } from './repr.ts';

/** An exception of Python that has no counterpart here; `name` is the name of its class, such as `ZeroDivisionError`. */
export class PythonError extends Error {
  override name = 'PythonError';
  readonly code: string = 'ERR_MP_PYTHON';
  /** The arguments of the exception, as in Python. */
  readonly args: readonly unknown[];

  constructor(...args: unknown[]) {
    super(messageOf(args));
    this.args = args;
  }
}

/** There is no such key; Python's `KeyError`, whose argument is the key. */
export class KeyError extends PythonError {
  override name = 'KeyError';
  override readonly code = 'ERR_MP_KEY';

  constructor(...args: unknown[]) {
    super(...args);
    if (args.length === 1) this.message = repr(args[0]);
  }
}

/** There is no such attribute or method; Python's `AttributeError`. */
export class AttributeError extends PythonError {
  override name = 'AttributeError';
  override readonly code = 'ERR_MP_ATTRIBUTE';
}

/** Python's `str(exception)`. */
export function messageOf(args: readonly unknown[]): string {
  if (args.length === 0) return '';
  if (args.length === 1) return str(args[0]);
  return `(${repr(args).slice(1, -1)})`;
}

nameExports(import.meta.url, { PythonError, KeyError, AttributeError });
