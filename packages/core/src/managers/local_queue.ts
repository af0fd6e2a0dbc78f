/**
 * queue.Queue, for the clients of a manager. Deviations: D-142.
 */

import { inspect } from 'node:util';
import { now } from '@multiprocessing/posix';
import { checkBlock } from '../base/arguments.ts';
import { Empty, Full, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { currentCaller, secondsOf, Waits } from './caller.ts';
import { ShutDown } from './errors.ts';

/** Python's `queue.Queue`, in the manager's process: for callables that give everybody the same one. */
export class LocalQueue {
  readonly #maxsize: number;
  /** From `#first` on. */
  #items: unknown[] = [];
  #first = 0;
  readonly #getters = new Waits<true>();
  readonly #putters = new Waits<true>();
  readonly #joiners = new Waits<true>();
  #unfinished = 0;
  #isShutDown = false;

  /** @throws TypeError */
  constructor(maxsize = 0) {
    if (!Number.isInteger(maxsize))
      throw typeError(`maxsize must be a whole number, not ${inspect(maxsize)}`);
    this.#maxsize = maxsize;
  }

  qsize(): number {
    return this.#items.length - this.#first;
  }

  empty(): boolean {
    return this.qsize() === 0;
  }

  full(): boolean {
    return this.#maxsize > 0 && this.qsize() >= this.#maxsize;
  }

  /** @throws Full, ShutDown, ValueError */
  put(item: unknown, block: unknown = true, timeout?: unknown): void | Promise<void> {
    checkBlock(block);
    if (this.#isShutDown) throw new ShutDown('the queue is shut down');
    if (!this.full()) return this.#add(item);
    if (!block) throw new Full('the queue is full');
    return this.#putLater(item, until(timeout));
  }

  async #putLater(item: unknown, left: () => number | undefined): Promise<void> {
    const caller = currentCaller();
    while (this.full()) {
      const woken = await this.#putters.wait(caller, left());
      if (this.#isShutDown) throw new ShutDown('the queue is shut down');
      if (woken === undefined && this.full()) throw new Full('the queue is full');
    }
    this.#add(item);
  }

  #add(item: unknown): void {
    this.#items.push(item);
    this.#unfinished++;
    this.#getters.wake(true);
  }

  /** @throws Empty, ShutDown, ValueError */
  get(block: unknown = true, timeout?: unknown): unknown {
    checkBlock(block);
    if (!this.empty()) return this.#take();
    if (this.#isShutDown) throw new ShutDown('the queue is shut down');
    if (!block) throw new Empty('the queue is empty');
    return this.#getLater(until(timeout));
  }

  async #getLater(left: () => number | undefined): Promise<unknown> {
    const caller = currentCaller();
    while (this.empty()) {
      const woken = await this.#getters.wait(caller, left());
      // Who is gone since it was woken leaves the item to the next.
      if (caller.isGone) {
        this.#getters.wake(true);
        return undefined;
      }
      if (this.empty() && this.#isShutDown) throw new ShutDown('the queue is shut down');
      if (woken === undefined && this.empty()) throw new Empty('the queue is empty');
    }
    return this.#take();
  }

  #take(): unknown {
    const item = this.#items[this.#first];
    this.#items[this.#first++] = undefined;
    if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    this.#putters.wake(true);
    return item;
  }

  /** @throws Full */
  put_nowait(item: unknown): void | Promise<void> {
    return this.put(item, false);
  }

  /** @throws Empty */
  get_nowait(): unknown {
    return this.get(false);
  }

  /** @throws ValueError */
  task_done(): void {
    if (this.#unfinished <= 0) throw new ValueError('task_done() called too many times');
    if (--this.#unfinished === 0) this.#joiners.wakeAll(true);
  }

  async join(): Promise<void> {
    const caller = currentCaller();
    while (this.#unfinished > 0) await this.#joiners.wait(caller, undefined);
  }

  /** Python's `Queue.shutdown` (3.13). */
  shutdown(immediate: unknown = false): void {
    this.#isShutDown = true;
    if (immediate) {
      this.#unfinished = Math.max(this.#unfinished - this.qsize(), 0);
      this.#items = [];
      this.#first = 0;
      if (this.#unfinished === 0) this.#joiners.wakeAll(true);
    }
    this.#getters.wakeAll(true);
    this.#putters.wakeAll(true);
  }

  __repr__(): string {
    return `<queue.Queue maxsize=${this.#maxsize} qsize=${this.qsize()}>`;
  }
}

/** What is left of a timeout. @throws ValueError, TypeError */
function until(timeout: unknown): () => number | undefined {
  if (typeof timeout === 'number' && timeout < 0)
    throw new ValueError("'timeout' must be a non-negative number");
  const seconds = secondsOf(timeout);
  if (seconds === undefined) return () => undefined;
  const deadline = now() + seconds * 1000;
  return () => Math.max(deadline - now(), 0) / 1000;
}

nameExports(import.meta.url, { LocalQueue });
