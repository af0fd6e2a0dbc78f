/**
 * The half of a queue that puts: from the buffer to the channel. Python's `Queue._feed`, which is a thread there.
 */

import { clearTimeout, now, setTimeout } from '@multiprocessing/posix';
import { damaged, Full } from '../base/errors.ts';
import type { Pickled } from '../pickle/message.ts';
import { Finalize } from '../util/finalize.ts';
import { generation } from '../wait/hub.ts';
import type { QueueChannel } from './channel.ts';
import { deadlineOf, secondsTo, whenHad } from './reader.ts';

interface Entry {
  readonly item: Pickled;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** When it gives up, as now() tells the time. */
  readonly deadline: number;
  timer: NodeJS.Timeout | undefined;
}

/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST = 0x7fffffff;

/** @internal */
export class Feeder {
  readonly #channel: QueueChannel;
  /** Items that may be in the queue at the same time; Infinity without limit. */
  readonly #maxsize: number;
  #buffer: Entry[] = [];
  #feeding = false;
  /** A forked child has a feeder of its own: what waits here is its parent's. */
  readonly #generation = generation();
  #joinCancelled = false;
  #atExit: Finalize | undefined;
  #whenEmpty: (() => void)[] = [];

  constructor(channel: QueueChannel, maxsize: number) {
    this.#channel = channel;
    this.#maxsize = maxsize > 0 ? maxsize : Infinity;
  }

  get isEmpty(): boolean {
    return this.#buffer.length === 0;
  }

  isFull(): boolean {
    return this.#maxsize !== Infinity && this.#channel.size >= this.#maxsize;
  }

  /** @param timeout seconds, 0 does not wait @returns false when there was no slot in time @throws OSError ENOMEM */
  putSync(item: Pickled, timeout: number): boolean {
    const deadline = deadlineOf(timeout);
    // What was put before goes first.
    if (this.#buffer.length > 0 && !this.#flush(deadline)) return false;
    while (!this.#putOne(item, true, deadline)) {
      if (deadline <= now() || !this.#waitForRoom(deadline)) return false;
    }
    return true;
  }

  /**
   * @param wait whether to sleep while another process puts something
   * @param deadline of that sleep; 0: the other is through in a moment, and is waited for
   * @returns false when it did not go in
   */
  #putOne(item: Pickled, wait: boolean, deadline = Infinity): boolean {
    const channel = this.#channel;
    if (!channel.putLock.acquireSync(wait, secondsTo(deadline))) return false;
    try {
      if (this.isFull()) {
        if (channel.size > this.#maxsize) throw damaged('Queue');
        return false;
      }
      channel.put(item);
    } finally {
      channel.putLock.release();
    }
    channel.items.notify();
    return true;
  }

  #waitForRoom(deadline: number): boolean {
    return this.#channel.room.waitSync(() => !this.isFull(), deadline);
  }

  /** Feeds the whole buffer. @param deadline as now() tells the time @returns false when the time was over first */
  #flush(deadline: number): boolean {
    for (;;) {
      if (!this.#channel.putLock.acquireSync(true, secondsTo(deadline))) return false;
      this.#feedAndRelease();
      if (this.#buffer.length === 0) return true;
      if (deadline === 0 || !this.#waitForRoom(deadline)) return false;
    }
  }

  /** Puts an item if it need not wait for anything. @returns whether it did @throws OSError ENOMEM */
  putNow(item: Pickled): boolean {
    return this.#buffer.length === 0 && this.#putOne(item, false);
  }

  /** When `putNow` did not. @param timeout seconds, more than 0 @throws Full, OSError ENOMEM */
  put(item: Pickled, timeout: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadline = deadlineOf(timeout);
      const entry: Entry = { item: keep(item), resolve, reject, deadline, timer: undefined };
      if (timeout * 1000 <= LONGEST) {
        entry.timer = setTimeout(() => this.#giveUp(entry), timeout * 1000);
      }
      this.#buffer.push(entry);
      if (!this.#joinCancelled) {
        this.#atExit ??= new Finalize(null, () => this.joinSync(), { exitpriority: -5 });
      }
      if (!this.#feeding) void this.#feed();
    });
  }

  #giveUp(entry: Entry): void {
    const index = this.#buffer.indexOf(entry);
    if (index < 0) return;
    this.#buffer.splice(index, 1);
    this.#drained();
    entry.reject(full());
  }

  async #feed(): Promise<void> {
    this.#feeding = true;
    try {
      await this.#feedAll();
    } catch (error) {
      this.#feeding = false;
      for (const { timer, reject } of this.#buffer.splice(0)) {
        clearTimeout(timer);
        reject(error);
      }
      this.#drained();
    }
  }

  /** Until the buffer is empty: what is put after that begins anew. @throws OSError, RuntimeError */
  async #feedAll(): Promise<void> {
    while (this.#generation === generation() && this.#buffer.length > 0) {
      if (this.isFull()) {
        await this.#channel.room.wait(() => !this.isFull() || this.#buffer.length === 0, Infinity);
        continue;
      }
      const { putLock } = this.#channel;
      await whenHad(putLock, this.#lastDeadline(), undefined, () => this.#feedAndRelease());
    }
    this.#feeding = false; // in this very moment
  }

  /** When all that waits now has given up. */
  #lastDeadline(): number {
    let last = 0;
    for (const { deadline } of this.#buffer) {
      last = Math.max(last, deadline);
      if (last === Infinity) break;
    }
    return last;
  }

  /** Puts as much of the buffer as there is room for. */
  #feedAndRelease(): void {
    const channel = this.#channel;
    let count = 0;
    while (this.#buffer.length > 0 && !this.isFull()) {
      const { item, resolve, reject, timer } = this.#buffer.shift() as Entry;
      clearTimeout(timer);
      try {
        channel.put(item);
        count++;
        resolve();
      } catch (error) {
        reject(error);
      }
    }
    channel.putLock.release();
    if (count > 0) channel.items.notify(count);
    this.#drained();
  }

  #drained(): void {
    if (this.#buffer.length > 0) return;
    this.#atExit?.cancel();
    this.#atExit = undefined;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  /** Waits until the buffer is empty. @param timeout seconds @returns false when the time was over first */
  async join(timeout = Infinity): Promise<boolean> {
    if (this.#buffer.length === 0) return true;
    const empty = new Promise<true>((resolve) => this.#whenEmpty.push(() => resolve(true)));
    if (timeout * 1000 > LONGEST) return empty;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, timeout * 1000, false);
    });
    const joined = await Promise.race([empty, late]);
    clearTimeout(timer);
    return joined;
  }

  /**
   * The same where no timer fires, those of waiting puts neither: an item whose time is over is given up here.
   * @param deadline as now() tells the time
   */
  joinSync(deadline = Infinity): boolean {
    while (this.#buffer.length > 0) {
      const next = Math.min(deadline, ...this.#buffer.map((entry) => entry.deadline));
      if (this.#flush(next)) return true;
      const time = now();
      for (const entry of this.#buffer.filter((waiting) => waiting.deadline <= time)) {
        clearTimeout(entry.timer);
        this.#giveUp(entry);
      }
      if (deadline <= time) return false;
    }
    return true;
  }

  /** What waits does not keep the process from its end. */
  cancelJoin(): void {
    this.#joinCancelled = true;
    this.#atExit?.cancel();
    this.#atExit = undefined;
    this.#channel.room.unref();
  }
}

/** The large arrays of an item that has to wait are copied: later they may have changed. */
function keep(item: Pickled): Pickled {
  return { ...item, beside: item.beside.map((bytes) => Uint8Array.from(bytes)) };
}

/** @internal */
export function full(): Full {
  return new Full('there is no room in the queue');
}
