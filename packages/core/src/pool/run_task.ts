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
  const run = fn as (...args: unknown[]) => unknown;
  if (kind === CALL.APPLY) return once(() => run(...items));
  const call = kind === CALL.MAP ? run : (item: unknown) => run(...(item as unknown[]));
  if (items.length === 1) return once(() => call(items[0]));
  return each(call, items, { values: new Array(items.length), errors: [] });
}

function once(call: () => unknown): RunResult | Promise<RunResult> {
  try {
    const value = call();
    return isThenable(value) ? awaited(value) : { value };
  } catch (error) {
    return { error };
  }
}

async function awaited(value: Promise<unknown>): Promise<RunResult> {
  try {
    return { value: await value };
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
  done: Many,
): RunResult | Promise<RunResult> {
  const { values, errors } = done;
  for (let i = 0; i < items.length; i++) {
    let value: unknown;
    try {
      value = call(items[i]);
    } catch (error) {
      if (error instanceof SystemExit) return { error };
      errors.push([i, error]);
    }
    if (typeof value === 'object' && isThenable(value))
      return eachLater(call, items, i, value, done);
    values[i] = value;
  }
  return done;
}

async function eachLater(
  call: (item: unknown) => unknown,
  items: readonly unknown[],
  from: number,
  first: Promise<unknown>,
  { values, errors }: Many,
): Promise<RunResult> {
  let value: unknown = first;
  for (let i = from; i < items.length; i++) {
    try {
      values[i] = await (i === from ? value : call(items[i]));
    } catch (error) {
      if (error instanceof SystemExit) return { error };
      errors.push([i, error]);
      values[i] = undefined;
    }
    value = undefined;
  }
  return { values, errors };
}
