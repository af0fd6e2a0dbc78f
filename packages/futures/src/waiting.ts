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
  readonly #forget: (() => void)[] = [];

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
      const forget = future._whenDone(() => {
        this.#left--;
        if (!future.cancelled() && future.exceptionSync() !== undefined) this.#failed = true;
        tell();
      });
      this.#forget.push(forget);
    }
  }

  isOver(): boolean {
    if (this.#left === 0) return true;
    if (this.#returnWhen === FIRST_COMPLETED) return this.#left < this.futures.size;
    return this.#returnWhen === FIRST_EXCEPTION && this.#failed;
  }

  result(): DoneAndNotDone<T> {
    for (const forget of this.#forget) forget();
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
    if (hosts.length === 0 && deadline <= now()) return false;
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

/**
 * A future that is done. TypeScript takes what `for await` gives for awaited, which it is not: so its `then` is none there, and
 * `result()` is what has the result.
 */
// biome-ignore lint/suspicious/noExplicitAny: a `then` of this type is none for TypeScript
export type CompletedFuture<T> = Future<T> & { readonly then: any };

/** Futures as they become done: for `for await`, and for a blocking `for`. */
export interface Completed<T>
  extends AsyncIterableIterator<CompletedFuture<T>>,
    Iterable<Future<T>> {}

/**
 * Gives futures as they become done, those first that are; Python's `concurrent.futures.as_completed`.
 * @param timeout seconds from this call; the iteration throws a TimeoutError then
 */
export function asCompleted<T>(futures: Iterable<Future<T>>, timeout?: number): Completed<T> {
  checkTimeout(timeout);
  return new Completions(futures, timeout === undefined ? Infinity : now() + timeout * 1000);
}

/** No generator: that would await each future which it yields. What it has given it does not hold. */
class Completions<T> implements Completed<T> {
  readonly #total: number;
  readonly #deadline: number;
  /** Those that are not done, with what takes the callback back. */
  readonly #left = new Map<Future<T>, () => void>();
  readonly #ready: CompletedFuture<T>[] = [];
  #tell = () => {};

  constructor(futures: Iterable<Future<T>>, deadline: number) {
    const all = new Set(futures);
    this.#total = all.size;
    this.#deadline = deadline;
    for (const future of all) {
      const forget = future._whenDone(this.#done);
      if (!future.done()) this.#left.set(future, forget);
    }
  }

  readonly #done = (future: Future<T>): void => {
    this.#left.delete(future);
    this.#ready.push(future);
    this.#tell();
  };

  async next(): Promise<IteratorResult<CompletedFuture<T>>> {
    if (this.#ready.length === 0 && this.#left.size > 0) await this.#oneIsReady();
    return this.#give();
  }

  #oneIsReady(): Promise<void> {
    return new Promise((resolve) => {
      const left = this.#deadline - now();
      const timer = left < LONGEST ? setTimeout(resolve, Math.max(0, left)) : undefined;
      this.#tell = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #give(): IteratorResult<CompletedFuture<T>> {
    const value = this.#ready.shift();
    if (value !== undefined) return { done: false, value };
    const { size } = this.#left;
    this.#forget();
    if (size > 0) throw new TimeoutError(`${size} (of ${this.#total}) futures unfinished`);
    return { done: true, value: undefined };
  }

  #forget(): void {
    for (const forget of this.#left.values()) forget();
    this.#left.clear();
  }

  async return(): Promise<IteratorResult<CompletedFuture<T>>> {
    this.#forget();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Blocking. */
  *[Symbol.iterator](): Generator<Future<T>, void> {
    const isReady = () => this.#ready.length > 0;
    try {
      for (;;) {
        if (!isReady() && this.#left.size > 0)
          blockUntil([...this.#left.keys()], isReady, this.#deadline);
        const { done, value } = this.#give();
        if (done) return;
        yield value;
      }
    } finally {
      this.#forget();
    }
  }
}
