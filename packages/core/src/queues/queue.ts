/**
 * `Queue` of multiprocessing/queues.py. Deviations: D-088, D-089, D-090, D-091, D-093.
 */

import { inspect } from 'node:util';
import { osError, writeStderr } from '@multiprocessing/posix';
import { checkBlock } from '../base/arguments.ts';
import { assert, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import type { Pickled } from '../pickle/message.ts';
import { dumpsBeside } from '../pickle/reduction.ts';
import { limit } from '../synchronize/locks.ts';
import { debug } from '../util/logging.ts';
import { QueueBase, type QueueOptions } from './base.ts';
import { full } from './feeder.ts';

/** How long a call may wait, in seconds. */
function patience(block: boolean, timeout: number | undefined): number {
  checkBlock(block);
  const limited = limit(timeout);
  return block ? limited : 0;
}

/** A queue that any number of processes put to and get from; Python's `multiprocessing.Queue`. */
export class Queue<T = unknown> extends QueueBase<T> {
  /** Whether this process has put anything. @internal */
  _used!: boolean;

  /**
   * @param maxsize how many items may be in it at the same time; 0 and less: any number
   * @throws TypeError unless it is a whole number
   */
  constructor(maxsize = 0, options: QueueOptions = {}) {
    if (!Number.isInteger(maxsize)) {
      throw typeError(`maxsize must be a whole number, not ${inspect(maxsize)}`);
    }
    super(maxsize, options);
  }

  /** @internal */
  override _reset(): void {
    this._used = false;
    super._reset();
  }

  /** @internal */
  override _checkOpen(): void {
    if (this._closed) throw new ValueError(`Queue ${this} is closed`);
  }

  /**
   * Puts an item; Python's `put`. It is pickled at once. When the promise is fulfilled it is in shared memory,
   * whatever becomes of this process. An item that cannot be pickled goes to `_onQueueFeederError`.
   * @param block false: does not wait for a slot
   * @param timeout seconds to wait for a slot, if there is a `maxsize`; undefined waits for ever
   * @throws Full, ValueError when the queue is closed, TypeError or ValueError (NaN) for a bad timeout
   */
  async put(obj: T, block = true, timeout?: number): Promise<void> {
    const seconds = patience(block, timeout);
    const item = this._pickle(obj);
    if (item === undefined || this._feeder.putNow(item)) return;
    if (seconds > 0) await this._feeder.put(item, seconds);
    else if (!this._feeder.putSync(item, 0)) throw full();
  }

  /** The blocking twin of `put`: sleeps in the kernel. */
  putSync(obj: T, block = true, timeout?: number): void {
    const seconds = patience(block, timeout);
    const item = this._pickle(obj);
    if (item !== undefined && !this._feeder.putSync(item, seconds)) throw full();
  }

  private _pickle(obj: T): Pickled | undefined {
    this._checkOpen();
    this._used = true;
    try {
      return dumpsBeside(obj);
    } catch (error) {
      this._onQueueFeederError(error, obj);
      return undefined;
    }
  }

  /**
   * Gets the next item, waiting without blocking the event loop; Python's `get`.
   * @param block false: does not wait
   * @param timeout seconds; undefined waits for ever
   * @throws Empty when there is nothing (in time), ValueError when the queue is closed, UnpicklingError for an item that
   *   cannot be made again here (it is gone then), TypeError or ValueError (NaN) for a bad timeout
   */
  async get(block = true, timeout?: number): Promise<T> {
    this._checkOpen();
    return this._reader.get(block, patience(block, timeout)) as T;
  }

  /**
   * The blocking twin of `get`: sleeps in the kernel.
   * @throws EOFError without a timeout, when nothing can come any more: the queue is empty, this thread is blocked, and no
   *   other process or thread that has the queue lives
   */
  getSync(block = true, timeout?: number): T {
    this._checkOpen();
    return this._reader.getSync(block, patience(block, timeout)) as T;
  }

  /** Puts an item if there is room; Python's `put_nowait`. @throws Full, ValueError when the queue is closed */
  putNowait(obj: T): void {
    this.putSync(obj, false);
  }

  /** Gets an item if there is one; Python's `get_nowait`. @throws Empty, ValueError when the queue is closed */
  getNowait(): T {
    return this.getSync(false);
  }

  /** How many items are in the queue; Python's `qsize`. */
  qsize(): number {
    return this._channel.checkedSize;
  }

  /** Whether nothing is in the queue; Python's `empty`. @throws OSError once it was used and closed */
  empty(): boolean {
    if (this._closed && this._used) throw osError(9 /* EBADF */, 'poll', 'handle is closed');
    return this._channel.size === 0;
  }

  /** Whether a put would have to wait; Python's `full`. */
  full(): boolean {
    return this._feeder.isFull();
  }

  /** Says that this process will not use it any more; what it has put still goes out. Python's `close`. */
  close(): void {
    if (this._closed) return;
    this._closed = true;
    this._release();
  }

  /**
   * Waits until all that this process has put is in the channel; Python's `join_thread`.
   * @throws AssertionError before `close`
   */
  async joinThread(): Promise<void> {
    this._checkClosed();
    await this._feeder.join();
  }

  /** The blocking twin of `joinThread`. */
  joinThreadSync(): void {
    this._checkClosed();
    this._feeder.joinSync();
  }

  private _checkClosed(): void {
    debug('Queue.joinThread()');
    assert(this._closed, `Queue ${this} not closed`);
  }

  /** Lets the process end, though what still waits for a slot is lost then; Python's `cancel_join_thread`. */
  cancelJoinThread(): void {
    debug('Queue.cancelJoinThread()');
    this._feeder.cancelJoin();
  }

  /** Is told of an item that cannot be pickled; to be overridden. Prints it. Python's `_on_queue_feeder_error`. */
  _onQueueFeederError(error: unknown, _obj: unknown): void {
    writeStderr(`${inspect(error)}\n`);
  }
}

nameExports(import.meta.url, { Queue });
