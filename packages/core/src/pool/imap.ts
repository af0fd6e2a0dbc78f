/**
 * `IMapIterator` and `IMapUnorderedIterator` of multiprocessing/pool.py: results one by one, of items that are taken from their
 * iterable when there is room for them.
 */
import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';
import { TimeoutError } from '../base/errors.ts';
import type { Engine } from './engine.ts';
import { CancelledError } from './errors.ts';
import { Job, type JobOptions } from './jobs.ts';
import type { Errors, Task } from './tasks.ts';

/** Items ahead of who takes the results, where nobody says how many. @internal */
export const DEFAULT_BUFFER = 4096;

/** The longest timeout of a Node timer, in seconds. */
const LONGEST = 2 ** 31 / 1000 - 1;

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** @internal */
export interface ImapOptions extends JobOptions {
  readonly chunksize: number;
  /** Items taken from the iterable whose results nobody has taken yet, at most. */
  readonly buffersize: number | undefined;
  readonly ordered: boolean;
}

/** @internal */
export class ImapJob extends Job {
  readonly #iterator: Iterator<unknown> | AsyncIterator<unknown>;
  readonly #isAsync: boolean;
  readonly #chunksize: number;
  readonly #buffersize: number | undefined;
  readonly #ordered: boolean;
  /** Items taken from the iterable. */
  #taken = 0;
  /** Results that were handed out. */
  #given = 0;
  #chunk: unknown[] = [];
  #isPulling = false;
  /** The iterable has ended, or thrown: that is its last result. */
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  /** Results by their places, or as they came. */
  readonly #results = new Map<number, Outcome>();
  #nextPlace = 0;
  #arrived = 0;
  /** When an asynchronous iterable that was stopped has ended. */
  returned: Promise<void> | undefined;
  /** Who waits for a result. */
  readonly #waiting = new Set<() => void>();

  constructor(
    engine: Engine,
    options: ImapOptions,
    iterable: Iterable<unknown> | AsyncIterable<unknown>,
  ) {
    super(engine, options);
    this.#chunksize = options.chunksize;
    this.#buffersize = options.buffersize;
    this.#ordered = options.ordered;
    this.#isAsync = Symbol.asyncIterator in iterable;
    this.#iterator = this.#isAsync
      ? (iterable as AsyncIterable<unknown>)[Symbol.asyncIterator]()
      : (iterable as Iterable<unknown>)[Symbol.iterator]();
  }

  protected override get total(): number | undefined {
    return this.#ended ? this.#taken : undefined;
  }

  override get isOver(): boolean {
    return this.#ended && this.#chunk.length === 0;
  }

  get #limit(): number {
    if (this.#buffersize !== undefined) return this.#buffersize;
    // Nobody may be there any more to take them: who waits for the pool's end waits for all.
    return this.engine.isClosed ? Infinity : Math.max(DEFAULT_BUFFER, this.#chunksize * 16);
  }

  override next(): Task | undefined {
    while (!this.#ended && this.#chunk.length < this.#chunksize) {
      if (this.#taken - this.#given >= this.#limit) {
        if (this.#chunk.length === 0 || this.open.size > 0) return undefined;
        break; // less than a chunk is all that may be ahead
      }
      if (this.#isAsync) {
        this.#pull();
        return undefined;
      }
      this.#takeOne();
    }
    if (this.#chunk.length === 0) return undefined;
    const items = this.#chunk;
    this.#chunk = [];
    return this.task(items, this.#taken - items.length);
  }

  #takeOne(): void {
    try {
      this.#took((this.#iterator as Iterator<unknown>).next());
    } catch (error) {
      this.#end({ error });
    }
  }

  #took({ done, value }: IteratorResult<unknown>): void {
    if (done) {
      this.#end();
      return;
    }
    this.#chunk.push(value);
    this.#taken++;
  }

  #end(failure?: { readonly error: unknown }): void {
    this.#ended = true;
    this.#failure = failure;
    this.#maybeFinish();
    this.#tell();
  }

  /** Asks an asynchronous iterable for its next item. */
  #pull(): void {
    if (this.#isPulling) return;
    this.#isPulling = true;
    (this.#iterator as AsyncIterator<unknown>)
      .next()
      .then(
        (result) => {
          if (!this.#ended) this.#took(result);
        },
        (error: unknown) => {
          if (!this.#ended) this.#end({ error });
        },
      )
      .finally(() => {
        this.#isPulling = false;
        this.engine.schedule();
      });
  }

  protected override settled(
    index: number,
    count: number,
    values: readonly unknown[],
    errors: Errors,
  ): void {
    const failed = new Map(errors);
    const all = values.length === 0 && errors.length > 0;
    for (let i = 0; i < count; i++) {
      const error = all ? (errors[0] as readonly [number, unknown])[1] : failed.get(i);
      const outcome: Outcome = all || failed.has(i) ? { error } : { value: values[i] };
      this.#results.set(this.#ordered ? index + i : this.#arrived, outcome);
      this.#arrived++;
    }
    this.#maybeFinish();
    this.#tell();
  }

  #maybeFinish(): void {
    if (this.isOver && this.open.size === 0) this.finish();
  }

  #tell(): void {
    for (const tell of [...this.#waiting]) tell();
  }

  protected override afterStop(): void {
    if (!this.#ended) this.#endIterator();
    const waiting = this.#chunk.splice(0);
    if (waiting.length > 0)
      this.settled(this.#taken - waiting.length, waiting.length, [], [[0, this.stopped?.error]]);
    if (!this.#ended) this.#end(this.stopped);
  }

  #endIterator(): void {
    try {
      const returned: unknown = this.#iterator.return?.();
      if (this.#isAsync)
        this.returned = Promise.resolve(returned).then(
          () => {},
          () => {}, // who stops it is not interested
        );
    } catch {
      // the same
    }
  }

  /** The next result; 'end' behind the last one; undefined while it is not there. */
  #peek(): Outcome | 'end' | undefined {
    const outcome = this.#results.get(this.#nextPlace);
    if (outcome !== undefined) return outcome;
    if (!this.isOver || this.open.size > 0) return undefined;
    return this.#failure ?? 'end';
  }

  #give(): IteratorResult<unknown> {
    const outcome = this.#peek() as Outcome | 'end';
    if (outcome === 'end') return { done: true, value: undefined };
    if (!this.#results.delete(this.#nextPlace))
      this.#failure = undefined; // thrown once
    else {
      this.#nextPlace++;
      this.#given++;
      this.engine.schedule();
    }
    if ('error' in outcome) throw outcome.error;
    return { done: false, value: outcome.value };
  }

  async take(timeout?: number): Promise<IteratorResult<unknown>> {
    checkTimeout(timeout);
    if (this.#peek() === undefined) {
      await new Promise<void>((resolve) => {
        let timer: NodeJS.Timeout | undefined;
        const tell = () => {
          if (this.#peek() === undefined) return;
          end();
        };
        const end = () => {
          clearTimeout(timer);
          this.#waiting.delete(tell);
          resolve();
        };
        this.#waiting.add(tell);
        if (timeout !== undefined && timeout < LONGEST)
          timer = setTimeout(end, Math.max(0, timeout * 1000));
      });
    }
    if (this.#peek() === undefined) throw late(timeout);
    return this.#give();
  }

  takeSync(timeout?: number): IteratorResult<unknown> {
    checkTimeout(timeout);
    const deadline = timeout === undefined ? Infinity : now() + timeout * 1000;
    if (!this.engine.waitSync(() => this.#peek() !== undefined, deadline)) throw late(timeout);
    return this.#give();
  }
}

function late(timeout: number | undefined): TimeoutError {
  return new TimeoutError(`the next result is not there after ${timeout} seconds`);
}

/** The results of `imap`, in the order of the items; Python's `multiprocessing.pool.IMapIterator`. */
export class IMapIterator<T = unknown> implements AsyncIterableIterator<T> {
  readonly #job: ImapJob;
  /** The pool lives as long as somebody may take its results. */
  protected readonly pool: object;

  /** @internal */
  constructor(pool: object, job: ImapJob) {
    this.pool = pool;
    this.#job = job;
  }

  /**
   * Waits for the next result; Python's `next`.
   * @param timeout seconds; undefined waits for ever
   * @throws what the function has thrown for that item, after which there is a next one; TimeoutError when it is not there in time
   */
  async next(timeout?: number): Promise<IteratorResult<T>> {
    return this.#job.take(timeout) as Promise<IteratorResult<T>>;
  }

  /** The blocking twin of `next`: sleeps in the kernel. */
  nextSync(timeout?: number): IteratorResult<T> {
    return this.#job.takeSync(timeout) as IteratorResult<T>;
  }

  /** Who leaves a `for await` early wants no more: items that are not done are cancelled. */
  async return(): Promise<IteratorResult<T>> {
    this.#stop();
    await this.#job.returned;
    return { done: true, value: undefined };
  }

  #stop(): void {
    this.#job.stop(new CancelledError('nobody takes the results any more'));
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The same for `for ... of`, blocking. */
  [Symbol.iterator](): IterableIterator<T> {
    const iterator: IterableIterator<T> = {
      next: () => this.nextSync(),
      return: () => {
        this.#stop();
        return { done: true, value: undefined };
      },
      [Symbol.iterator]: () => iterator,
    };
    return iterator;
  }
}

/** The results of `imapUnordered`, as they come; Python's `multiprocessing.pool.IMapUnorderedIterator`. */
export class IMapUnorderedIterator<T = unknown> extends IMapIterator<T> {}
