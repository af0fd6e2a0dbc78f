/**
 * `wait` and `as_completed` of concurrent/futures/_base.py.
 */
import { checkTimeout } from '@multiprocessing/core/base/arguments';
import { RuntimeError, TimeoutError, ValueError } from '@multiprocessing/core/base/errors';
import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';
import type { Future } from './future.ts';

export const FIRST_COMPLETED = 'FIRST_COMPLETED';
export const FIRST_EXCEPTION = 'FIRST_EXCEPTION';
export const ALL_COMPLETED = 'ALL_COMPLETED';

/** What `wait` returns when. */
export type ReturnWhen = typeof FIRST_COMPLETED | typeof FIRST_EXCEPTION | typeof ALL_COMPLETED;

/** Options of `wait`. */
export interface WaitOptions {
  /** Seconds; undefined waits for ever. */
  timeout?: number | undefined;
  /** ALL_COMPLETED, without. */
  returnWhen?: ReturnWhen | undefined;
}

/** What is done, and what is not. */
export interface DoneAndNotDone<T> {
  readonly done: Set<Future<T>>;
  readonly notDone: Set<Future<T>>;
}

/** Milliseconds for which one executor is waited for, where several are. */
const SLICE = 5;
/** The longest timeout of a Node timer, milliseconds. */
const LONGEST = 0x7fffffff;

class Waiter<T> {
  readonly futures: ReadonlySet<Future<T>>;
  readonly #returnWhen: ReturnWhen;
  #left: number;
  #failed = false;

  constructor(futures: Iterable<Future<T>>, { timeout, returnWhen = ALL_COMPLETED }: WaitOptions) {
    checkTimeout(timeout);
    if (![FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED].includes(returnWhen))
      throw new ValueError(`Invalid return condition: ${String(returnWhen)}`);
    this.futures = new Set(futures);
    this.#returnWhen = returnWhen;
    this.#left = this.futures.size;
  }

  /** Calls back at each of them. */
  listen(tell: () => void): void {
    for (const future of this.futures) {
      future.addDoneCallback(() => {
        this.#left--;
        if (!future.cancelled() && future.exceptionSync() !== undefined) this.#failed = true;
        tell();
      });
    }
  }

  isOver(): boolean {
    if (this.#left === 0) return true;
    if (this.#returnWhen === FIRST_COMPLETED) return this.#left < this.futures.size;
    return this.#returnWhen === FIRST_EXCEPTION && this.#failed;
  }

  result(): DoneAndNotDone<T> {
    const all = [...this.futures];
    return {
      done: new Set(all.filter((future) => future.done())),
      notDone: new Set(all.filter((future) => !future.done())),
    };
  }
}

/**
 * Waits for futures; Python's `concurrent.futures.wait`.
 * @returns those that are done, and those that are not
 * @throws ValueError, TypeError for options that cannot be
 */
export async function wait<T>(
  futures: Iterable<Future<T>>,
  options: WaitOptions = {},
): Promise<DoneAndNotDone<T>> {
  const waiter = new Waiter(futures, options);
  await new Promise<void>((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const look = () => {
      if (!waiter.isOver()) return;
      clearTimeout(timer);
      resolve();
    };
    waiter.listen(look);
    look();
    const { timeout } = options;
    if (!waiter.isOver() && timeout !== undefined)
      timer = setTimeout(resolve, Math.max(0, Math.min(timeout * 1000, LONGEST)));
  });
  return waiter.result();
}

/** The blocking twin of `wait`: sleeps in the kernel. @throws RuntimeError for futures that no executor has */
export function waitSync<T>(
  futures: Iterable<Future<T>>,
  options: WaitOptions = {},
): DoneAndNotDone<T> {
  const waiter = new Waiter(futures, options);
  waiter.listen(() => {});
  const { timeout } = options;
  const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
  blockUntil(waiter.futures, () => waiter.isOver(), deadline);
  return waiter.result();
}

/** @returns whether it is so */
function blockUntil<T>(
  futures: Iterable<Future<T>>,
  done: () => boolean,
  deadline: number,
): boolean {
  while (!done()) {
    const hosts = [...futures].flatMap(({ _host }) => _host ?? []);
    if (hosts.length === 0)
      throw new RuntimeError(
        'nobody could set these futures while the thread is blocked: await them',
      );
    // Those of one executor share what they wait for; several are looked after in turn.
    const kinds = new Set(hosts.map((host) => host.waitSync));
    for (const host of kinds.size > 1 ? hosts : hosts.slice(0, 1)) {
      const until = kinds.size > 1 ? Math.min(deadline, now() + SLICE) : deadline;
      if (host.waitSync(done, until)) return true;
    }
    if (deadline <= now()) return false;
  }
  return true;
}

/** A future as `for await` gives it. The type has no `then`, or TypeScript would take its result for what the loop gives. */
export type CompletedFuture<T> = Omit<Future<T>, 'then'>;

/** Futures as they become done: for `for await`, and for a blocking `for`. */
export interface Completed<T> extends AsyncIterable<CompletedFuture<T>>, Iterable<Future<T>> {}

/**
 * Gives futures as they become done, those first that are; Python's `concurrent.futures.as_completed`.
 * @param timeout seconds from this call; the iteration throws a TimeoutError then
 */
export function asCompleted<T>(futures: Iterable<Future<T>>, timeout?: number): Completed<T> {
  checkTimeout(timeout);
  const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
  const all = new Set(futures);
  const late = () => {
    const left = [...all].filter((future) => !future.done()).length;
    return new TimeoutError(`${left} (of ${all.size}) futures unfinished`);
  };
  return {
    [Symbol.asyncIterator]: () => completedOf(all, deadline, late),
    *[Symbol.iterator]() {
      const left = new Set(all);
      while (left.size > 0) {
        const isDone = () => [...left].some((future) => future.done());
        if (!blockUntil(left, isDone, deadline)) throw late();
        for (const future of [...left]) {
          if (!future.done()) continue;
          left.delete(future);
          yield future;
        }
      }
    },
  };
}

/** No generator: that would await each future which it yields. */
function completedOf<T>(
  all: ReadonlySet<Future<T>>,
  deadline: number,
  late: () => Error,
): AsyncIterableIterator<Future<T>> {
  const ready: Future<T>[] = [];
  let tell = () => {};
  let given = 0;
  for (const future of all) {
    future.addDoneCallback(() => {
      ready.push(future);
      tell();
    });
  }
  const oneIsReady = () =>
    new Promise<void>((resolve) => {
      const left = deadline - now();
      const timer = left < LONGEST ? setTimeout(resolve, Math.max(0, left)) : undefined;
      tell = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const iterator: AsyncIterableIterator<Future<T>> = {
    async next() {
      if (given === all.size) return { done: true, value: undefined };
      if (ready.length === 0) await oneIsReady();
      const value = ready.shift();
      if (value === undefined) throw late();
      given++;
      return { done: false, value };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
