/**
 * `SimpleQueue` of multiprocessing/queues.py: a queue without a feeder.
 */
import { osError } from '@multiprocessing/posix';
import { nameExports } from '../base/names.ts';
import { dumpsBeside } from '../pickle/reduction.ts';
import { QueueBase, type QueueOptions } from './base.ts';

/** A queue of the fewest parts; Python's `multiprocessing.SimpleQueue`. */
export class SimpleQueue<T = unknown> extends QueueBase<T> {
  constructor(options: QueueOptions = {}) {
    super(0, options);
  }

  /** @internal */
  override _checkOpen(): void {
    if (this._closed) throw osError(9 /* EBADF */, 'read', 'handle is closed');
  }

  /**
   * Puts an item; Python's `put`. When the promise is fulfilled it is in shared memory, whatever becomes of this process.
   * @throws PicklingError, OSError when the queue is closed
   */
  async put(obj: T): Promise<void> {
    this._checkOpen();
    const item = dumpsBeside(obj);
    if (!this._feeder.putNow(item)) await this._feeder.put(item, Infinity);
  }

  /** The blocking twin of `put`. */
  putSync(obj: T): void {
    this._checkOpen();
    this._feeder.putSync(dumpsBeside(obj), Infinity);
  }

  /**
   * Gets the next item, waiting without blocking the event loop; Python's `get`.
   * @throws OSError when the queue is closed, UnpicklingError for an item that cannot be made again here
   */
  async get(): Promise<T> {
    this._checkOpen();
    return this._reader.get(true, Infinity) as T;
  }

  /**
   * The blocking twin of `get`: sleeps in the kernel.
   * @throws EOFError when nothing can come any more, as `Queue.getSync`
   */
  getSync(): T {
    this._checkOpen();
    return this._reader.getSync(true, Infinity) as T;
  }

  /** Whether nothing is in the queue; Python's `empty`. @throws OSError when it is closed */
  empty(): boolean {
    this._checkOpen();
    return this._channel.size === 0;
  }

  /** Says that this process will not use it any more; Python's `close`. */
  close(): void {
    if (this._closed) return;
    this._closed = true;
    this._release();
  }
}

nameExports(import.meta.url, { SimpleQueue });
