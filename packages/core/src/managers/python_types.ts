/**
 * What CPython's managers and proxies send of themselves, by table: nothing is imported for it. Deviations: D-150.
 */
import { inspect } from 'node:util';
import type { Address } from '../connection/addresses.ts';
import { GlobalName, type PythonType, typesOnTop } from '../python_pickle/python_pickle.ts';
import { Tuple } from '../python_pickle/tuple.ts';
import { RemoteError, ShutDown, StopIteration } from './errors.ts';
import { ListProxy } from './list_proxy.ts';
import { Namespace } from './local_values.ts';
import { AcquirerProxy, BarrierProxy, ConditionProxy, EventProxy } from './lock_proxies.ts';
import { PoolProxy } from './pool_proxies.ts';
import { BaseProxy, rebuildProxy } from './proxy.ts';
import type { ProxyType } from './proxy_type.ts';
import { DictProxy } from './table_proxies.ts';
import { Token } from './token.ts';
import { ArrayProxy, IteratorProxy, NamespaceProxy, ValueProxy } from './value_proxies.ts';

const MODULE = 'multiprocessing.managers';

/** The classes of proxies that both sides have. All others are `AutoProxy` there. */
const shared: readonly [name: string, type: ProxyType][] = Object.entries({
  ListProxy,
  DictProxy,
  AcquirerProxy,
  ConditionProxy,
  EventProxy,
  BarrierProxy,
  NamespaceProxy,
  ValueProxy,
  ArrayProxy,
  IteratorProxy,
  PoolProxy,
});

const byName = new Map<string, ProxyType | null>([
  ...shared.map(([name, type]) => [`${MODULE}.${name}`, type] as const),
  [`${MODULE}.AutoProxy`, null],
]);
const names = new Map<unknown, string>(shared.map(([name, type]) => [type, `${MODULE}.${name}`]));

/** From Python's address: an abstract one is bytes there. */
function addressOf(address: unknown): Address {
  if (address instanceof Uint8Array) return Buffer.from(address).toString('latin1');
  if (Array.isArray(address)) return [String(address[0]), Number(address[1])];
  return String(address);
}

function toPython(address: Address): unknown {
  if (typeof address !== 'string') return Tuple.from(address);
  return address.startsWith('\0') ? Buffer.from(address, 'latin1') : address;
}

const token: PythonType<Token> = {
  names: `${MODULE}.Token`,
  cls: Token,
  build: (args) => (args.length === 0 ? new Token('', '', '') : undefined),
  setState(obj, state) {
    if (!Array.isArray(state) || state.length !== 3) return;
    const [typeid, address, id] = state;
    Object.assign(obj, { typeid: String(typeid), address: addressOf(address), id: String(id) });
  },
  reduce: ({ typeid, address, id }) => ({
    args: [],
    newobj: true,
    state: Tuple.of(typeid, toPython(address), id),
  }),
};

interface PythonProxy {
  readonly exposed?: readonly unknown[];
  readonly authkey?: unknown;
}

const proxy: PythonType<BaseProxy> = {
  names: `${MODULE}.RebuildProxy`,
  takesNames: true,
  effects: true,
  cls: BaseProxy,
  derived: true,
  hashable: false,
  build([maker, of, serializer, kwds]) {
    if (!(maker instanceof GlobalName) || !byName.has(maker.name)) return undefined;
    if (!(of instanceof Token) || serializer !== 'pickle') return undefined;
    const { exposed, authkey } = (kwds ?? {}) as PythonProxy;
    return rebuildProxy(byName.get(maker.name) ?? null, of, 'pickle', {
      ...(exposed === undefined ? {} : { exposed: exposed.map(String) }),
      ...(authkey instanceof Uint8Array && authkey.length > 0 ? { authkey } : {}),
    });
  },
  reduce(obj) {
    const name = names.get(obj.constructor);
    const { _exposed_ } = obj.constructor as typeof BaseProxy;
    const exposed = Tuple.from(obj._exposed ?? _exposed_ ?? []);
    const { typeid, address, id } = obj._token;
    const args = [
      new GlobalName(name ?? `${MODULE}.AutoProxy`),
      new Token(typeid, address, id),
      'pickle',
      name === undefined ? { exposed } : {},
    ];
    return { args };
  },
};

const namespace: PythonType<Namespace> = {
  names: `${MODULE}.Namespace`,
  cls: Namespace,
  build: (args) => (args.length === 0 ? new Namespace() : undefined),
  setState(obj, state) {
    if (typeof state !== 'object' || state === null) return;
    for (const [name, value] of state instanceof Map ? state : Object.entries(state)) {
      const all = { value, writable: true, enumerable: true, configurable: true };
      Object.defineProperty(obj, String(name), all);
    }
  },
  reduce: (obj) => ({ args: [], newobj: true, state: { ...obj } }),
};

const remoteError: PythonType<RemoteError> = {
  names: `${MODULE}.RemoteError`,
  cls: RemoteError,
  build: (args) => new RemoteError(args.map(String).join(' ')),
  reduce: (error) => ({ args: [error.message] }),
};

const stopIteration: PythonType<StopIteration> = {
  names: 'builtins.StopIteration',
  cls: StopIteration,
  build: ([value]) => new StopIteration(value ?? undefined),
  setState: () => {},
  reduce: ({ value }) => ({ args: value === undefined ? [] : [value] }),
};

const shutDown: PythonType<ShutDown> = {
  names: 'queue.ShutDown',
  cls: ShutDown,
  build: () => new ShutDown('the queue is shut down'),
  setState: () => {},
  reduce: () => ({ args: [] }),
};

/** What messages between managers and proxies may name. @internal */
export const managerTypes = typesOnTop([
  token,
  proxy,
  namespace,
  remoteError,
  stopIteration,
  shutDown,
  ...[...byName.keys()].map((name): PythonType => ({ names: name })),
]);

/** What is raised in Python must be an exception. @internal */
export function asException(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown : new Error(`a method has thrown ${inspect(thrown)}`);
}
