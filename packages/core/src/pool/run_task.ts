/**
 * A task, from its function to its results: `mapstar` and `starmapstar` of multiprocessing/pool.py.
 */
import { types } from 'node:util';
import { SystemExit } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { CALL } from './port.ts';

/** What becomes of a task: a value, an error, or of many calls the values, and pairs of place and error. @internal */
export type RunResult =
  | { readonly value: unknown }
  | { readonly error: unknown }
  | {
      readonly values: readonly unknown[];
      readonly errors: readonly (readonly [number, unknown])[];
    };

/** @internal */
export function isThenable<T>(value: T | Promise<T>): value is Promise<T> {
  if (typeof value !== 'object' || value === null) return false;
  return types.isPromise(value) || typeof (value as { then?: unknown }).then === 'function';
}

/** Runs a task. @returns a promise while it goes on @internal */
export function runTask(
  fn: AnyFunction,
  kind: number,
  items: readonly unknown[],
): RunResult | Promise<RunResult> {
  if (kind === CALL.APPLY) return once(() => (fn as (...args: unknown[]) => unknown)(...items));
  const call =
    kind === CALL.MAP
      ? (item: unknown) => (fn as (item: unknown) => unknown)(item)
      : (item: unknown) => (fn as (...args: unknown[]) => unknown)(...(item as unknown[]));
  if (items.length === 1) return once(() => call(items[0]));
  return each(call, items, 0, { values: [], errors: [] });
}

function once(call: () => unknown): RunResult | Promise<RunResult> {
  try {
    const value = call();
    if (!isThenable(value)) return { value };
    return (value as Promise<unknown>).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
  } catch (error) {
    return { error };
  }
}

interface Many {
  readonly values: unknown[];
  readonly errors: [number, unknown][];
}

/** All of them, whatever one of them throws; but that the process is to end ends it. */
function each(
  call: (item: unknown) => unknown,
  items: readonly unknown[],
  from: number,
  done: Many,
): RunResult | Promise<RunResult> {
  const { values, errors } = done;
  for (let i = from; i < items.length; i++) {
    const result = once(() => call(items[i]));
    if (isThenable(result)) {
      return result.then((settled) => {
        const exit = note(settled, i);
        return exit ?? each(call, items, i + 1, done);
      });
    }
    const exit = note(result, i);
    if (exit !== undefined) return exit;
  }
  return done;

  function note(result: RunResult, i: number): RunResult | undefined {
    values[i] = 'value' in result ? result.value : undefined;
    if (!('error' in result)) return undefined;
    if (result.error instanceof SystemExit) return result;
    errors.push([i, result.error]);
    return undefined;
  }
}
