/**
 * Counterpart of `SyncManager` in multiprocessing/managers.py: the types that need no registration.
 */

import { nameExports } from '../base/names.ts';
import type { PoolOptions } from '../pool/pool.ts';
import { Pool } from '../pool/pool.ts';
import { ListProxy } from './list_proxy.ts';
import { LocalBarrier, LocalCondition, LocalEvent } from './local_condition.ts';
import { LocalDict, LocalSet } from './local_dict.ts';
import { LocalList } from './local_list.ts';
import { LocalBoundedSemaphore, LocalLock, LocalRLock, LocalSemaphore } from './local_locks.ts';
import { LocalQueue } from './local_queue.ts';
import { LocalArray, LocalValue, Namespace } from './local_values.ts';
import {
  AcquirerProxy,
  BarrierProxy,
  ConditionProxy,
  EventProxy,
  QueueProxy,
} from './lock_proxies.ts';
import { BaseManager } from './manager.ts';
import { AsyncResultProxy, PoolProxy } from './pool_proxies.ts';
import { DictProxy, type Items, SetProxy } from './table_proxies.ts';
import { ArrayProxy, IteratorProxy, NamespaceProxy, ValueProxy } from './value_proxies.ts';

/** A manager of the usual types; Python's `managers.SyncManager`. `mp.Manager()` starts one. */
export class SyncManager extends BaseManager {
  /** A dict. @param items a Map, pairs, or an object */
  declare dict: <K = string, V = unknown>(items?: Items<K, V>) => Promise<DictProxy<K, V>>;
  /** The blocking twin of `dict`. */
  declare dictSync: <K = string, V = unknown>(items?: Items<K, V>) => DictProxy<K, V>;
  /** A list. */
  declare list: <T = unknown>(items?: Iterable<T>) => Promise<ListProxy<T>>;
  /** The blocking twin of `list`. */
  declare listSync: <T = unknown>(items?: Iterable<T>) => ListProxy<T>;
  /** A set (3.14). */
  declare set: <T = unknown>(items?: Iterable<T>) => Promise<SetProxy<T>>;
  /** The blocking twin of `set`. */
  declare setSync: <T = unknown>(items?: Iterable<T>) => SetProxy<T>;
  /** One value. @param typecode is noted and means nothing, as in Python */
  declare Value: <T = unknown>(typecode: string, value: T) => Promise<ValueProxy<T>>;
  /** The blocking twin of `Value`. */
  declare ValueSync: <T = unknown>(typecode: string, value: T) => ValueProxy<T>;
  /** An array of numbers of one C type. @throws ValueError, TypeError for what is none */
  declare Array: <T extends number | bigint = number>(
    typecode: string,
    items: Iterable<NoInfer<T>>,
  ) => Promise<ArrayProxy<T>>;
  /** The blocking twin of `Array`. */
  declare ArraySync: <T extends number | bigint = number>(
    typecode: string,
    items: Iterable<NoInfer<T>>,
  ) => ArrayProxy<T>;
  /** A queue. @param maxsize items at the same time; 0: any number */
  declare Queue: <T = unknown>(maxsize?: number) => Promise<QueueProxy<T>>;
  /** The blocking twin of `Queue`. */
  declare QueueSync: <T = unknown>(maxsize?: number) => QueueProxy<T>;
  /** The same as `Queue`, which has `taskDone` and `join`. */
  declare JoinableQueue: <T = unknown>(maxsize?: number) => Promise<QueueProxy<T>>;
  /** The blocking twin of `JoinableQueue`. */
  declare JoinableQueueSync: <T = unknown>(maxsize?: number) => QueueProxy<T>;
  declare Lock: () => Promise<AcquirerProxy>;
  /** The blocking twin of `Lock`. */
  declare LockSync: () => AcquirerProxy;
  /** A lock that its owner, a process, can take again. */
  declare RLock: () => Promise<AcquirerProxy>;
  /** The blocking twin of `RLock`. */
  declare RLockSync: () => AcquirerProxy;
  declare Semaphore: (value?: number) => Promise<AcquirerProxy>;
  /** The blocking twin of `Semaphore`. */
  declare SemaphoreSync: (value?: number) => AcquirerProxy;
  declare BoundedSemaphore: (value?: number) => Promise<AcquirerProxy>;
  /** The blocking twin of `BoundedSemaphore`. */
  declare BoundedSemaphoreSync: (value?: number) => AcquirerProxy;
  /** @param lock a Lock or RLock of this manager; a new RLock, without */
  declare Condition: (lock?: AcquirerProxy) => Promise<ConditionProxy>;
  /** The blocking twin of `Condition`. */
  declare ConditionSync: (lock?: AcquirerProxy) => ConditionProxy;
  declare Event: () => Promise<EventProxy>;
  /** The blocking twin of `Event`. */
  declare EventSync: () => EventProxy;
  /** @param action is called at the manager, and must be exported @param timeout seconds for each wait */
  declare Barrier: (
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number,
  ) => Promise<BarrierProxy>;
  /** The blocking twin of `Barrier`. */
  declare BarrierSync: (
    parties: number,
    action?: (() => unknown) | null,
    timeout?: number,
  ) => BarrierProxy;
  /** Processes of the manager that run functions. */
  declare Pool: (processes?: number, options?: PoolOptions) => Promise<PoolProxy>;
  /** The blocking twin of `Pool`. */
  declare PoolSync: (processes?: number, options?: PoolOptions) => PoolProxy;

  /** An object with attributes. @param attributes what it begins with */
  async Namespace<T extends object = Record<string, unknown>>(
    attributes: Partial<T> = {},
  ): Promise<NamespaceProxy<T>> {
    return (await this._create('Namespace', [], attributes)) as NamespaceProxy<T>;
  }

  /** The blocking twin of `Namespace`. */
  NamespaceSync<T extends object = Record<string, unknown>>(
    attributes: Partial<T> = {},
  ): NamespaceProxy<T> {
    return this._createSync('Namespace', [], attributes) as NamespaceProxy<T>;
  }
}

const made = (proxytype: unknown) => ({ proxytype: proxytype as typeof AcquirerProxy });

SyncManager.register('Queue', LocalQueue, made(QueueProxy));
SyncManager.register('JoinableQueue', LocalQueue, made(QueueProxy));
SyncManager.register('Event', LocalEvent, made(EventProxy));
SyncManager.register('Lock', LocalLock, made(AcquirerProxy));
SyncManager.register('RLock', LocalRLock, made(AcquirerProxy));
SyncManager.register('Semaphore', LocalSemaphore, made(AcquirerProxy));
SyncManager.register('BoundedSemaphore', LocalBoundedSemaphore, made(AcquirerProxy));
SyncManager.register('Condition', LocalCondition, made(ConditionProxy));
SyncManager.register('Barrier', LocalBarrier, made(BarrierProxy));
SyncManager.register('Pool', Pool, made(PoolProxy));
SyncManager.register('list', LocalList, made(ListProxy));
SyncManager.register('dict', LocalDict, made(DictProxy));
SyncManager.register('set', LocalSet, made(SetProxy));
SyncManager.register('Value', LocalValue, made(ValueProxy));
SyncManager.register('Array', LocalArray, made(ArrayProxy));
SyncManager.register('Namespace', Namespace, { ...made(NamespaceProxy), createMethod: false });
// What the methods of other types return.
SyncManager.register('Iterator', undefined, { ...made(IteratorProxy), createMethod: false });
SyncManager.register('AsyncResult', undefined, { ...made(AsyncResultProxy), createMethod: false });

nameExports(import.meta.url, { SyncManager });
