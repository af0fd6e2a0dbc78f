/**
 * The first half of multiprocessing/synchronize.py: SemLock and what derives from it.
 * Deviations: D-040, D-041, D-042, D-043, D-044.
 */
import { inspect } from 'node:util';
import { inWorker, isOwnThread, tidOf } from '@multiprocessing/posix';
import { checkBlock, checkTimeout } from '../base/arguments.ts';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { currentProcess } from '../base/process_table.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import { checkShareable, type SharingContext } from '../process/sharing.ts';
import {
  LOCK,
  NativeSemLock,
  RECURSIVE,
  SEM_VALUE_MAX,
  SEMAPHORE,
  type SemLockState,
} from './semlock.ts';

/** A timeout in seconds as waits take it: a number of at least 0. @throws TypeError, ValueError @internal */
export function limit(timeout: number | undefined): number {
  checkTimeout(timeout);
  return timeout === undefined ? Infinity : Math.max(0, timeout);
}

/** The name of the calling thread in a repr, as in CPython. */
function myName(): string {
  const { name } = currentProcess();
  if (!inWorker) return name;
  // Asked for late: it costs a spawned child 1.3 ms to load.
  return `${name}|Thread-${process.getBuiltinModule('node:worker_threads').threadId}`;
}

/** What a warning calls an object of a class. */
function nameIn(className: string): string {
  return `${/^([AEIOU]|RLock)/.test(className) ? 'an' : 'a'} ${className}`;
}

/** Tells a lock how warnings and errors call it. */
function named(semlock: NativeSemLock, className: string): NativeSemLock {
  semlock.name = nameIn(className);
  semlock.what = className;
  return semlock;
}

/** The base of locks and semaphores; Python's `multiprocessing.synchronize.SemLock`. */
export class SemLock {
  /** @internal */ _semlock: NativeSemLock;
  /** @internal */ _ctx: SharingContext | undefined;

  /** @internal */
  constructor(kind: number, value: number, maxvalue: number, ctx?: SharingContext) {
    this._semlock = named(new NativeSemLock(kind, value, maxvalue), this.constructor.name);
    this._ctx = ctx;
  }

  /**
   * Takes it, waiting without blocking the event loop; Python's `acquire`.
   * @param block false: does not wait, and the timeout does not count
   * @param timeout seconds; undefined waits for ever, negative counts as 0
   * @returns whether it was taken
   * @throws TypeError or ValueError (NaN) for a bad timeout, RuntimeError when its memory is damaged
   */
  async acquire(block = true, timeout?: number): Promise<boolean> {
    checkBlock(block);
    return this._semlock.acquire(block, limit(timeout));
  }

  /** The blocking twin of `acquire`: sleeps in the kernel. */
  acquireSync(block = true, timeout?: number): boolean {
    checkBlock(block);
    return this._semlock.acquireSync(block, timeout === undefined ? Infinity : limit(timeout));
  }

  /**
   * Gives it back; any process may. Python's `release`.
   * @throws ValueError when it is not taken, RuntimeError when its memory is damaged
   */
  release(): void {
    this._semlock.release();
  }

  /** Whether an acquire would have to wait; Python's `locked` (3.14). */
  locked(): boolean {
    return this._semlock.getValue() === 0;
  }

  /** Takes it until the end of the block: `await using _ = await lock.guard()`; Python's `with`. */
  async guard(): Promise<AsyncDisposable & Disposable> {
    await this.acquire();
    return new Guard(this);
  }

  /** The blocking twin of `guard`: `using _ = lock.guardSync()`. */
  guardSync(): Disposable {
    this.acquireSync();
    return new Guard(this);
  }

  [getStateSymbol](): SemLockState {
    checkShareable(this, this._ctx);
    return this._semlock.state;
  }

  [setStateSymbol](state: SemLockState): void {
    this._semlock = named(NativeSemLock.rebuild(state), this.constructor.name);
    this._ctx = undefined;
  }

  /** Who has it, and how often, in the words of CPython. @internal */
  _owner(): { name: string; count: number | string } {
    const lock = this._semlock;
    if (lock.isMine()) return { name: myName(), count: lock.count() };
    const { owner } = lock;
    if (!owner) return { name: 'None', count: 0 };
    const isThread = isOwnThread(tidOf(owner));
    return { name: isThread ? 'SomeOtherThread' : 'SomeOtherProcess', count: 'nonzero' };
  }

  [inspect.custom](): string {
    return String(this);
  }
}

class Guard implements Disposable, AsyncDisposable {
  readonly #lock: SemLock;

  constructor(lock: SemLock) {
    this.#lock = lock;
  }

  [Symbol.dispose](): void {
    this.#lock.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#lock.release();
  }
}

function checkValue(value: unknown): number {
  if (typeof value !== 'number') {
    throw typeError(`value must be a whole number, not ${inspect(value)}`);
  }
  if (!Number.isInteger(value) || value < 0 || value > SEM_VALUE_MAX) {
    throw new ValueError(`value must be a whole number from 0 to ${SEM_VALUE_MAX}, not ${value}`);
  }
  return value;
}

/** Options of what synchronizes; the factories of a context give them. */
export interface SynchronizeOptions {
  /** The context whose processes it is for. */
  ctx?: SharingContext | undefined;
}

/** A counter that `acquire` takes from and `release` adds to; Python's `multiprocessing.Semaphore`. */
export class Semaphore extends SemLock {
  /** @param value what it starts with @throws TypeError, ValueError unless it is a whole number from 0 to 2^31 - 1 */
  constructor(value = 1, { ctx }: SynchronizeOptions = {}) {
    super(SEMAPHORE, checkValue(value), SEM_VALUE_MAX, ctx);
  }

  /** How often it could be acquired now; Python's `get_value`. */
  getValue(): number {
    return this._semlock.getValue();
  }

  override toString(): string {
    return `<${this.constructor.name}(value=${this.getValue()})>`;
  }
}

/** A semaphore that does not count above its first value; Python's `multiprocessing.BoundedSemaphore`. */
export class BoundedSemaphore extends SemLock {
  /** @param value what it starts with, and its limit @throws TypeError, ValueError as Semaphore */
  constructor(value = 1, { ctx }: SynchronizeOptions = {}) {
    super(SEMAPHORE, checkValue(value), value, ctx);
  }

  /** How often it could be acquired now; Python's `get_value`. */
  getValue(): number {
    return this._semlock.getValue();
  }

  override toString(): string {
    return `<${this.constructor.name}(value=${this.getValue()}, maxvalue=${this._semlock.maxvalue})>`;
  }
}

/** A lock that one thread of one process has at a time, and anybody may release; Python's `multiprocessing.Lock`. */
export class Lock extends SemLock {
  constructor({ ctx }: SynchronizeOptions = {}) {
    super(LOCK, 1, 1, ctx);
  }

  override toString(): string {
    return `<${this.constructor.name}(owner=${this._owner().name})>`;
  }
}

/**
 * A lock that its owner can take again, and must release as often; Python's `multiprocessing.RLock`. The owner is a
 * thread: asynchronous functions of one thread do not keep each other out.
 */
export class RLock extends SemLock {
  constructor({ ctx }: SynchronizeOptions = {}) {
    super(RECURSIVE, 1, 1, ctx);
  }

  /** @throws AssertionError unless the calling thread has it */
  override release(): void {
    super.release();
  }

  override toString(): string {
    const { name, count } = this._owner();
    return `<${this.constructor.name}(${name}, ${count})>`;
  }
}

nameExports(import.meta.url, { BoundedSemaphore, Lock, RLock, Semaphore });
