/**
 * The proxies of what clients wait at: `AcquirerProxy`, `ConditionProxy`, `EventProxy`, `BarrierProxy` of multiprocessing/managers.py, and
 * that of a queue. Deviations: D-144.
 */
import { now } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';
import { nameExports } from '../base/names.ts';
import {
  defineMethods,
  named,
  type ProxyArguments,
  type ProxyClass,
  type Twins,
} from './make_proxy.ts';
import { BaseProxy } from './proxy.ts';

/** Python's None is what is left out. */
function withTimeout(first: readonly unknown[], timeout: number | undefined): readonly unknown[] {
  checkTimeout(timeout);
  return timeout === undefined ? first : [...first, timeout];
}

/** A lock that was acquired, for `using`. */
export interface Guard {
  [Symbol.dispose](): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A proxy of a lock or semaphore; Python's `managers.AcquirerProxy`. */
export class AcquirerProxy extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['acquire', 'release', 'locked'];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['acquire']);

  /**
   * Takes it; Python's `acquire`.
   * @param blocking whether to wait @param timeout seconds; for ever, without
   * @returns whether it was got
   */
  async acquire(blocking = true, timeout?: number): Promise<boolean> {
    return (await this._callmethod('acquire', withTimeout([blocking], timeout))) as boolean;
  }

  /** The blocking twin of `acquire`. */
  acquireSync(blocking = true, timeout?: number): boolean {
    return this._callmethodSync('acquire', withTimeout([blocking], timeout)) as boolean;
  }

  /** Gives it back. @throws RuntimeError when it was not taken */
  async release(): Promise<void> {
    await this._callmethod('release');
  }

  /** The blocking twin of `release`. */
  releaseSync(): void {
    this._callmethodSync('release');
  }

  /** Whether somebody has it (3.14). */
  async locked(): Promise<boolean> {
    return (await this._callmethod('locked')) as boolean;
  }

  /** The blocking twin of `locked`. */
  lockedSync(): boolean {
    return this._callmethodSync('locked') as boolean;
  }

  /** Takes it until the end of a block: `await using _ = await lock.guard()`. */
  async guard(): Promise<Guard> {
    await this.acquire();
    return this.#guard();
  }

  /** The blocking twin: `using _ = lock.guardSync()`. */
  guardSync(): Guard {
    this.acquireSync();
    return this.#guard();
  }

  #guard(): Guard {
    return {
      [Symbol.dispose]: () => this.releaseSync(),
      [Symbol.asyncDispose]: () => this.release(),
    };
  }
}

/** A proxy of a condition; Python's `managers.ConditionProxy`. */
export class ConditionProxy extends AcquirerProxy {
  static override readonly _exposed_: readonly string[] = [
    'acquire',
    'release',
    'locked',
    'wait',
    'notify',
    'notify_all',
  ];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['acquire', 'wait']);

  /** Waits for a notification. @param timeout seconds @returns whether there was one @throws RuntimeError without the lock */
  async wait(timeout?: number): Promise<boolean> {
    return (await this._callmethod('wait', withTimeout([], timeout))) as boolean;
  }

  /** The blocking twin of `wait`. */
  waitSync(timeout?: number): boolean {
    return this._callmethodSync('wait', withTimeout([], timeout)) as boolean;
  }

  /** Wakes some who wait. @throws RuntimeError without the lock */
  async notify(n = 1): Promise<void> {
    await this._callmethod('notify', [n]);
  }

  /** The blocking twin of `notify`. */
  notifySync(n = 1): void {
    this._callmethodSync('notify', [n]);
  }

  /** Wakes all who wait. */
  async notifyAll(): Promise<void> {
    await this._callmethod('notify_all');
  }

  /** The blocking twin of `notifyAll`. */
  notifyAllSync(): void {
    this._callmethodSync('notify_all');
  }

  /** Waits until something is true, which is asked here. @param timeout seconds @returns what it was at last */
  async waitFor<T>(predicate: () => T | Promise<T>, timeout?: number): Promise<T> {
    const left = leftOf(timeout);
    let result = await predicate();
    while (!result) {
      const seconds = left();
      if (seconds !== undefined && seconds <= 0) break;
      await this.wait(seconds);
      result = await predicate();
    }
    return result;
  }

  /** The blocking twin of `waitFor`. */
  waitForSync<T>(predicate: () => T, timeout?: number): T {
    const left = leftOf(timeout);
    let result = predicate();
    while (!result) {
      const seconds = left();
      if (seconds !== undefined && seconds <= 0) break;
      this.waitSync(seconds);
      result = predicate();
    }
    return result;
  }
}

function leftOf(timeout: number | undefined): () => number | undefined {
  checkTimeout(timeout);
  if (timeout === undefined) return () => undefined;
  const deadline = now() + timeout * 1000;
  return () => (deadline - now()) / 1000;
}

/** The methods of a shared event, as they block. */
export interface EventMethods {
  clear(): void;
  isSet(): boolean;
  set(): void;
  /** @param timeout seconds @returns whether it is set */
  wait(timeout?: number): boolean;
}

class AnyEvent extends BaseProxy {
  static override readonly _exposed_: readonly string[] = ['is_set', 'set', 'clear', 'wait'];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['wait']);
}

defineMethods(AnyEvent, AnyEvent._exposed_);

/** A proxy of an event; Python's `managers.EventProxy`. */
export type EventProxy = AnyEvent & Twins<EventMethods>;
export const EventProxy = named('EventProxy', AnyEvent) as unknown as ProxyClass<EventProxy>;

/** The methods of a shared barrier, as they block. */
export interface BarrierMethods {
  /** Has all who wait, and all who come, fail. */
  abort(): void;
  reset(): void;
  /** @param timeout seconds @returns the caller's place @throws BrokenBarrierError */
  wait(timeout?: number): number;
}

class AnyBarrier extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    '__getattribute__',
    'wait',
    'abort',
    'reset',
  ];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['wait']);

  /** How many have to come. Blocks for an answer, as the two others. */
  get parties(): number {
    return this._callmethodSync('__getattribute__', ['parties']) as number;
  }

  /** How many wait. */
  get nWaiting(): number {
    return this._callmethodSync('__getattribute__', ['n_waiting']) as number;
  }

  /** Whether it is broken. */
  get broken(): boolean {
    return this._callmethodSync('__getattribute__', ['broken']) as boolean;
  }
}

defineMethods(AnyBarrier, ['wait', 'abort', 'reset']);

/** A proxy of a barrier; Python's `managers.BarrierProxy`. */
export type BarrierProxy = AnyBarrier & Twins<BarrierMethods>;
export const BarrierProxy = named(
  'BarrierProxy',
  AnyBarrier,
) as unknown as ProxyClass<BarrierProxy>;

/** The methods of a shared queue, as they block; the proxy has them as promises, and with `Sync` behind their names like this. */
export interface QueueMethods<T> {
  empty(): boolean;
  full(): boolean;
  /** @param timeout seconds @throws Empty, ShutDown */
  get(block?: boolean, timeout?: number): T;
  /** @throws Empty */
  getNowait(): T;
  /** Waits until each item was said to be done. */
  join(): void;
  /** @param timeout seconds @throws Full, ShutDown */
  put(item: T, block?: boolean, timeout?: number): void;
  /** @throws Full */
  putNowait(item: T): void;
  qsize(): number;
  shutdown(immediate?: boolean): void;
  /** @throws ValueError when it is called too often */
  taskDone(): void;
}

class AnyQueue<T> extends BaseProxy {
  static override readonly _exposed_: readonly string[] = [
    'empty',
    'full',
    'get',
    'get_nowait',
    'join',
    'put',
    'put_nowait',
    'qsize',
    'shutdown',
    'task_done',
  ];
  static override readonly _mayBlock: ReadonlySet<string> = new Set(['get', 'put', 'join']);
  declare protected readonly _item: T;
}

defineMethods(AnyQueue, AnyQueue._exposed_);

/** A proxy of a queue. CPython has an `AutoProxy` there. */
export type QueueProxy<T = unknown> = AnyQueue<T> & Twins<QueueMethods<T>>;

/** @internal */
export interface QueueProxyClass {
  new <T = unknown>(...args: ProxyArguments): QueueProxy<T>;
  readonly prototype: QueueProxy;
  readonly _exposed_: readonly string[];
}
export const QueueProxy = named('QueueProxy', AnyQueue) as unknown as QueueProxyClass;

nameExports(import.meta.url, {
  AcquirerProxy,
  ConditionProxy,
  EventProxy: EventProxy as never,
  BarrierProxy: BarrierProxy as never,
  QueueProxy: QueueProxy as never,
});
