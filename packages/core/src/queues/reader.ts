/**
 * The half of a queue that gets: from the channel to objects.
 */
import { now } from '@multiprocessing/posix';
import { Empty } from '../base/errors.ts';
import { SpinHope } from '../base/spin.ts';
import type { Rules } from '../pickle/permissions.ts';
import { loadsBeside, type Received } from '../pickle/reduction.ts';
import type { NativeSemLock } from '../synchronize/semlock.ts';
import { LoopTurns, nextTurn } from '../wait/loop_turns.ts';
import { BUSY, type QueueChannel } from './channel.ts';

/** Seconds that a call which does not wait for items or room gives another process to get through with its own. */
const MOMENT = 1;
/** Looks of a spin that are left out, while somebody else is about to change the memory. */
const RARELY = 80;

/** What the reader of a queue tells and asks. @internal */
export interface ReaderHooks {
  /** An item is about to count as taken. */
  readonly taking?: (() => void) | undefined;
  /** An item was taken. */
  readonly taken?: (() => void) | undefined;
  /** Nothing has come for half a second: throws when nothing can come any more. */
  readonly quiet: () => void;
  /** Throws when the queue is closed. */
  readonly checkOpen: () => void;
  readonly isClosed: () => boolean;
}

/** Another thread gets something in this very moment. */
const CONTENDED = Symbol('contended');

/** @internal */
export class QueueReader {
  readonly #channel: QueueChannel;
  readonly #hooks: ReaderHooks;
  #unpickling = false;
  readonly #rules: Rules;
  readonly #turns = new LoopTurns();
  readonly #hope = new SpinHope();

  /** @param rules what items may name */
  constructor(channel: QueueChannel, hooks: ReaderHooks, rules: Rules) {
    this.#channel = channel;
    this.#hooks = hooks;
    this.#rules = rules;
  }

  /** @throws Empty, EOFError, UnpicklingError; the item is gone then */
  getSync(block: boolean, timeout: number): unknown {
    const channel = this.#channel;
    const deadline = deadlineOf(block ? timeout : 0);
    for (;;) {
      if (!channel.getLock.acquireSync(true, secondsTo(deadline))) throw empty();
      const taken = this.#takeAndRelease(deadline);
      if (taken !== undefined && typeof taken !== 'symbol') return this.#unpickle(taken, true);
      if (deadline < Infinity && deadline <= now()) throw empty();
      const quiet = deadline === Infinity ? this.#hooks.quiet : undefined;
      if (!channel.items.waitSync(channel.hasItems, deadline, quiet)) throw empty();
    }
  }

  /** The same without blocking the event loop. @returns the item or, when it is not there yet, a promise of it */
  get(block: boolean, timeout: number): unknown {
    const inTurn = !this.#turns.due();
    const taken = inTurn ? this.#tryTake() : undefined;
    if (taken === undefined || typeof taken === 'symbol') {
      return this.#getLater(deadlineOf(block ? timeout : 0), inTurn);
    }
    return this.#unpickle(taken, false);
  }

  async #getLater(deadline: number, inTurn: boolean): Promise<unknown> {
    if (!inTurn) await nextTurn();
    for (;;) {
      let taken = this.#tryTake();
      if (taken === CONTENDED) taken = await this.#takeInTurn(deadline);
      if (taken === CONTENDED) throw empty();
      if (taken === BUSY) {
        if (!(await this.#refillInTurn(deadline))) throw empty();
      } else if (taken !== undefined && typeof taken !== 'symbol') {
        return this.#unpickle(taken, false);
      } else if (!(await this.#waitForItems(deadline))) throw empty();
      this.#hooks.checkOpen();
    }
  }

  #waitForItems(deadline: number): Promise<boolean> | boolean {
    const left = deadline < Infinity ? (deadline - now()) / 1000 : Infinity;
    if (left <= 0) return false;
    const { hasItems, items } = this.#channel;
    if (this.#hope.spin(hasItems, RARELY)) return true;
    return items.wait(() => hasItems() || this.#hooks.isClosed(), left);
  }

  #tryTake(): Received | undefined | symbol {
    if (!this.#channel.getLock.acquireSync(false, 0)) return CONTENDED;
    return this.#takeAndRelease();
  }

  /** @returns CONTENDED when the time was over first */
  #takeInTurn(deadline: number): Promise<Received | undefined | symbol> {
    return whenHad(this.#channel.getLock, deadline, CONTENDED, () => {
      const taken = this.#takeAndRelease();
      // By the time that somebody sees it, the bytes may be others.
      if (taken !== undefined && typeof taken !== 'symbol') this.#channel.keepTaken();
      return taken;
    });
  }

  /** @returns false when the time was over first */
  #refillInTurn(deadline: number): Promise<boolean> {
    return whenHad(this.#channel.putLock, deadline, false, () => {
      this.#refillAndRelease();
      return true;
    });
  }

  #refillAndRelease(): void {
    try {
      this.#channel.refill();
    } finally {
      this.#channel.putLock.release();
    }
  }

  /** @param deadline for a call that blocks, which waits for those who put, too */
  #takeAndRelease(deadline?: number): Received | undefined | symbol {
    const channel = this.#channel;
    if (this.#unpickling) channel.keepTaken();
    let taken: Received | undefined | symbol;
    try {
      taken = channel.take(this.#hooks.taking);
      if (taken === BUSY && deadline !== undefined) {
        if (channel.putLock.acquireSync(true, secondsTo(deadline))) {
          this.#refillAndRelease();
          taken = channel.take(this.#hooks.taking);
        }
      }
    } finally {
      channel.getLock.release();
    }
    if (taken !== undefined && typeof taken !== 'symbol') this.#hooks.taken?.();
    return taken;
  }

  #unpickle(received: Received, sync: boolean): unknown {
    const outer = this.#unpickling;
    this.#unpickling = true;
    try {
      return loadsBeside(received, sync, this.#rules);
    } finally {
      this.#unpickling = outer;
    }
  }
}

function empty(): Empty {
  return new Empty('there was nothing to get from the queue');
}

/** Has something done in the very moment in which a lock is had. @returns `late` when the time was over first @internal */
export function whenHad<T>(
  lock: NativeSemLock,
  deadline: number,
  late: T,
  act: () => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const had = (taken: boolean) => {
      try {
        resolve(taken ? act() : late);
      } catch (error) {
        reject(error);
      }
    };
    lock.acquireThen(secondsTo(deadline), had, reject);
  });
}

/** The seconds until then for which a lock of the queue is waited for. @internal */
export function secondsTo(deadline: number): number {
  if (deadline === Infinity) return Infinity;
  return deadline === 0 ? MOMENT : Math.max(0, (deadline - now()) / 1000);
}

/** When a wait of so many seconds ends, as now() tells the time; 0 for none. @internal */
export function deadlineOf(timeout: number): number {
  if (timeout === Infinity) return Infinity;
  return timeout > 0 ? now() + timeout * 1000 : 0;
}
