/**
 * `Executor` of concurrent/futures/_base.py: what all executors have.
 */
import { inspect } from 'node:util';
import { NotImplementedError, typeError } from '@multiprocessing/core/base/errors';
import type { Future } from './future.ts';

// biome-ignore lint/suspicious/noExplicitAny: what a function takes is checked where it is called
export type Fn = (...args: any[]) => unknown;

/** Options of `Executor.map`. */
export interface MapOptions {
  /** Seconds from the call in which all results have to be there. */
  timeout?: number | undefined;
  /** Items that go to a worker at once; 1, without. */
  chunksize?: number | undefined;
  /** Items that are taken from the iterables before their results are wanted, at most; all, without (3.14). */
  buffersize?: number | undefined;
}

/** Options of `Executor.shutdown`. */
export interface ShutdownOptions {
  /** Whether to wait for what is pending; true, without. */
  wait?: boolean | undefined;
  /** Whether what is not begun is cancelled; false, without. */
  cancelFutures?: boolean | undefined;
}

/** Results in the order of the items: for `for await`, and for a blocking `for`. */
export interface Results<R> extends AsyncIterableIterator<R>, Iterable<R> {}

/** What calls functions elsewhere; Python's `concurrent.futures.Executor`. */
export abstract class Executor {
  /** Has a function called; Python's `submit`. @throws RuntimeError after `shutdown` */
  submit<F extends Fn>(_fn: F, ..._args: Parameters<F>): Future<Awaited<ReturnType<F>>> {
    throw new NotImplementedError('submit() is of the executors that derive from this class');
  }

  /**
   * Has a function called with an item of each iterable, until the shortest ends; Python's `map`.
   * @param rest the iterables, and behind them options
   */
  map<R>(_fn: (...args: never[]) => R, ..._rest: unknown[]): Results<Awaited<R>> {
    throw new NotImplementedError('map() is of the executors that derive from this class');
  }

  /** Takes no more calls, and waits for those that are pending; Python's `shutdown`. */
  async shutdown(_options: ShutdownOptions = {}): Promise<void> {}

  /** The blocking twin of `shutdown`. */
  shutdownSync(_options: ShutdownOptions = {}): void {}

  /** `await using executor = ...`: `shutdown()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  /** `using executor = ...`: `shutdownSync()`. */
  [Symbol.dispose](): void {
    this.shutdownSync();
  }
}

/** The iterables of `map`, and its options, which stand behind them. @throws TypeError @internal */
export function splitMapArguments(rest: readonly unknown[]): {
  iterables: readonly (Iterable<unknown> | AsyncIterable<unknown>)[];
  options: MapOptions;
} {
  const isIterable = (value: unknown) =>
    value !== null &&
    value !== undefined &&
    (Symbol.iterator in Object(value) || Symbol.asyncIterator in Object(value));
  const last = rest.at(-1);
  const hasOptions = typeof last === 'object' && last !== null && !isIterable(last);
  const iterables = hasOptions ? rest.slice(0, -1) : rest;
  for (const value of iterables) {
    if (!isIterable(value)) throw typeError(`map() takes iterables, not ${inspect(value)}`);
  }
  return {
    iterables: iterables as Iterable<unknown>[],
    options: hasOptions ? (last as MapOptions) : {},
  };
}

/** An item of each, until the shortest ends; Python's `zip`. @internal */
export function zip(
  iterables: readonly (Iterable<unknown> | AsyncIterable<unknown>)[],
): Iterable<unknown[]> | AsyncIterable<unknown[]> {
  return iterables.some((iterable) => Symbol.asyncIterator in Object(iterable))
    ? zipAsync(iterables)
    : zipSync(iterables as readonly Iterable<unknown>[]);
}

function* zipSync(iterables: readonly Iterable<unknown>[]): Generator<unknown[]> {
  const iterators = iterables.map((iterable) => iterable[Symbol.iterator]());
  try {
    while (iterators.length > 0) {
      const items: unknown[] = [];
      for (const iterator of iterators) {
        const { done, value } = iterator.next();
        if (done) return;
        items.push(value);
      }
      yield items;
    }
  } finally {
    for (const iterator of iterators) iterator.return?.();
  }
}

async function* zipAsync(
  iterables: readonly (Iterable<unknown> | AsyncIterable<unknown>)[],
): AsyncGenerator<unknown[]> {
  const iterators = iterables.map((iterable) =>
    Symbol.asyncIterator in Object(iterable)
      ? (iterable as AsyncIterable<unknown>)[Symbol.asyncIterator]()
      : (iterable as Iterable<unknown>)[Symbol.iterator](),
  );
  try {
    for (;;) {
      const results = await Promise.all(iterators.map((iterator) => iterator.next()));
      if (results.some(({ done }) => done)) return;
      yield results.map(({ value }) => value);
    }
  } finally {
    // What one throws at its end is nobody's item.
    await Promise.allSettled(iterators.map(async (iterator) => iterator.return?.()));
  }
}
