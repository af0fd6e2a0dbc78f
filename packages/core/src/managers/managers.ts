/**
 * Counterpart of multiprocessing/managers.py: a process that holds objects for others.
 *
 *     calls.ts             calls and answers, for a client
 *     caller.ts            who calls a method, and what waits for whom
 *     channel.ts           messages read and written by the buffer
 *     conversation.ts      calls over one connection
 *     errors.ts            RemoteError, KeyError ...
 *     keywords.ts          where Python's keywords go
 *     keys.ts              which keys of a dict are the same
 *     link.ts              this process's way to a manager
 *     links.ts             all of them
 *     list_proxy.ts        ListProxy
 *     local_condition.ts   threading.Condition, Event, Barrier of the manager's clients
 *     local_dict.ts        dict, set
 *     local_list.ts        list
 *     local_locks.ts       threading.Lock, RLock, Semaphore
 *     local_queue.ts       queue.Queue
 *     local_server.ts      the server that is in this process
 *     local_values.ts      Namespace, Value, Array
 *     lock_proxies.ts      the proxies of locks, conditions, events, barriers, queues
 *     make_proxy.ts        MakeProxyType, AutoProxy
 *     manager.ts           BaseManager
 *     manager_end.ts       the end of a manager's process
 *     manager_options.ts   what managers are made and started with
 *     methods.ts           the methods of an object, by their names on the wire
 *     node_wire.ts         requests and answers between processes of this library
 *     pool_proxies.ts      PoolProxy, AsyncResultProxy
 *     table_proxies.ts     DictProxy, SetProxy
 *     proxy.ts             BaseProxy, RebuildProxy
 *     proxy_type.ts        classes of proxies, as the others see them
 *     python_link.ts       the way to a manager that speaks CPython's wire
 *     python_types.ts      what CPython's managers send of themselves
 *     python_wire.ts       CPython's requests and answers
 *     referent.ts          what a proxy stands for
 *     registry.ts          the types that a manager can make
 *     repr.ts              texts as Python's
 *     run_server.ts        what runs in the manager's process
 *     sent_types.ts        classes of proxies on their way
 *     server.ts            Server
 *     server_control.ts    what clients ask of the server itself
 *     server_link.ts       a client's connection at the server
 *     shared_memory_manager.ts  SharedMemoryManager
 *     shared_objects.ts    the objects of a server, and who refers to them
 *     slice.ts             parts of lists
 *     spin_odds.ts         whether an answer is worth a moment
 *     sync_manager.ts      SyncManager
 *     token.ts             Token, State
 *     value_proxies.ts     NamespaceProxy, ValueProxy, ArrayProxy, IteratorProxy
 *     views.ts             proxies that are written as what they stand for
 */

import { enterRoom } from '../base/late_rooms.ts';
import { SyncManager } from './sync_manager.ts';

export { Slice } from '../python_pickle/numbers.ts';

import './python_link.ts';

export { AttributeError, KeyError } from '../python_pickle/python_error.ts';
export { RemoteError, ShutDown, StopIteration } from './errors.ts';
export {
  type ListItems,
  type ListMethods,
  ListProxy,
  type SortOptions,
} from './list_proxy.ts';
export { LocalDict, LocalSet } from './local_dict.ts';
export { LocalList } from './local_list.ts';
export { LocalQueue } from './local_queue.ts';
export { Namespace } from './local_values.ts';
export {
  AcquirerProxy,
  type BarrierMethods,
  BarrierProxy,
  ConditionProxy,
  type EventMethods,
  EventProxy,
  type Guard,
  type QueueMethods,
  QueueProxy,
} from './lock_proxies.ts';
export {
  AutoProxy,
  type Creator,
  type MadeProxyType,
  MakeProxyType,
  type Proxied,
  type ProxyArguments,
  type Twins,
} from './make_proxy.ts';
export { BaseManager } from './manager.ts';
export type {
  ManagerContext,
  ManagerOptions,
  StartOptions,
} from './manager_options.ts';
export {
  type AsyncResultMethods,
  AsyncResultProxy,
  type PoolMethods,
  PoolProxy,
} from './pool_proxies.ts';
export { BaseProxy, rebuildProxy as RebuildProxy } from './proxy.ts';
export type { ProxyOptions, ProxyType, Serializer } from './proxy_type.ts';
export type { Callable, RegisterOptions } from './registry.ts';
export { Server } from './server.ts';
export { SharedMemoryManager, SharedMemoryServer } from './shared_memory_manager.ts';
export { SyncManager } from './sync_manager.ts';
export {
  type DictMethods,
  DictProxy,
  type Items,
  type SetMethods,
  SetProxy,
} from './table_proxies.ts';
export { State, Token } from './token.ts';
export {
  type ArrayMethods,
  ArrayProxy,
  IteratorProxy,
  NamespaceProxy,
  ValueProxy,
} from './value_proxies.ts';
export type { AsyncList, AsyncRecord } from './views.ts';

enterRoom('managers', { SyncManager });
