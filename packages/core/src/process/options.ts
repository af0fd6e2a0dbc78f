/**
 * What `new Process(...)` takes, with its types.
 */
import { inspect } from 'node:util';
import { checkOptions } from '../base/arguments.ts';
import { typeError } from '../base/errors.ts';

/** A function to run in a child. */
export type Target = (...args: never[]) => unknown;

type Init<A extends readonly unknown[]> = A extends readonly [...infer I, infer _Last] ? I : A;

/** What kwargs may be: the last argument, if that is an object. */
type Last<A extends readonly unknown[]> = A extends readonly [
  ...infer _Init,
  infer L extends object,
]
  ? L
  : object;

/** Arguments for a target: a tuple of what it takes, or all but the last with kwargs as the last. */
type Arguments<T extends Target> =
  | (Parameters<T> extends []
      ? { args?: readonly [] | undefined; kwargs?: Record<string, never> | undefined }
      : [] extends Parameters<T>
        ? { args?: Readonly<Parameters<T>> | undefined; kwargs?: Record<string, never> | undefined }
        : { args: Readonly<Parameters<T>>; kwargs?: Record<string, never> | undefined })
  | ([] extends Init<Parameters<T>>
      ? { args?: Readonly<Init<Parameters<T>>> | undefined; kwargs: Last<Parameters<T>> }
      : { args: Readonly<Init<Parameters<T>>>; kwargs: Last<Parameters<T>> });

/** What `new Process(...)` takes. */
export type ProcessOptions<T extends Target = () => unknown> = {
  /** Runs in the child; what it returns or resolves to is dropped. Nothing runs without one. */
  target?: T | undefined;
  /** The default is `Process-1`, `Process-1:2` ...: class name and identity. */
  name?: string | undefined;
  /** A daemon is terminated when its parent ends; the default is the creating process's own. */
  daemon?: boolean | undefined;
} & Arguments<T>;

const OPTIONS = ['target', 'name', 'args', 'kwargs', 'daemon'];

/** @throws TypeError that names the option @internal */
export function checkProcessOptions(options: Record<string, unknown>): void {
  checkOptions(options, OPTIONS, 'Process');
  const { target, args, kwargs, name, daemon } = options;
  const wrong = (option: string, wanted: string, value: unknown) =>
    typeError(`Process: ${option} must be ${wanted}, not ${inspect(value)}`);
  if (target !== undefined && typeof target !== 'function')
    throw wrong('target', 'a function', target);
  if (args !== undefined && !Array.isArray(args)) throw wrong('args', 'an array', args);
  if (kwargs !== undefined && (kwargs === null || typeof kwargs !== 'object')) {
    throw wrong('kwargs', 'an object', kwargs);
  }
  if (name !== undefined && typeof name !== 'string') throw wrong('name', 'a string', name);
  if (daemon !== undefined && typeof daemon !== 'boolean')
    throw wrong('daemon', 'a boolean', daemon);
}
