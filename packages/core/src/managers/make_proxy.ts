/**
 * Counterpart of `MakeProxyType` and `AutoProxy` in multiprocessing/managers.py: classes of proxies, of the names of methods.
 * Deviations: D-144.
 */
import { nameExports } from '../base/names.ts';
import { authkeyOf, linkTo } from './links.ts';
import { camelCase } from './methods.ts';
import { BaseProxy, makers } from './proxy.ts';
import type { ProxyOptions, Serializer } from './proxy_type.ts';
import { noteRecipe, typeMakers } from './sent_types.ts';
import type { Token } from './token.ts';

/** A method and its blocking twin, for each of an interface of blocking ones. */
export type Twins<M> = {
  [K in keyof M]: M[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never;
} & {
  [K in keyof M as K extends string ? `${K}Sync` : never]: M[K] extends (
    ...args: infer A
  ) => infer R
    ? (...args: A) => Awaited<R>
    : never;
};

/** What an `AutoProxy` of objects of a class is like: each method, and its blocking twin. */
export type Proxied<T> = BaseProxy &
  Twins<{ [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: T[K] }>;

/** The methods of a manager that make objects: `declare Maths: Creator<typeof Maths>`. */
// biome-ignore lint/suspicious/noExplicitAny: what a class takes is its own matter
export type Creator<C extends (new (...args: any[]) => unknown) | ((...args: any[]) => unknown)> =
  C extends new (
    ...args: infer A
  ) => infer T
    ? (...args: A) => Promise<Proxied<T>>
    : C extends (...args: infer A) => infer R
      ? (...args: A) => Promise<Proxied<Awaited<R>>>
      : never;

/** Python's special methods, by the names that they have here. @internal */
export const SPECIAL_NAMES: Readonly<Record<string, string>> = {
  __getitem__: 'getItem',
  __setitem__: 'setItem',
  __delitem__: 'delItem',
  __contains__: 'contains',
  __len__: 'len',
  __iter__: 'iter',
  __next__: 'next',
  __call__: 'call',
  __getattribute__: 'getAttr',
  __setattr__: 'setAttr',
  __delattr__: 'delAttr',
  __str__: 'str',
  __repr__: 'repr',
};

/** `__or__` → `or`, `get_nowait` → `getNowait`. @internal */
export function nameHere(name: string): string {
  const special = Object.hasOwn(SPECIAL_NAMES, name) ? SPECIAL_NAMES[name] : undefined;
  if (special !== undefined) return special;
  return camelCase(/^__.+__$/.test(name) ? name.slice(2, -2) : name);
}

/**
 * Gives a class of proxies the methods of these names on the wire, and their blocking twins. What it has already is left as it is; and
 * it gets no `then`, which `await` would call: that one is for `_callmethod`.
 * @internal
 */
export function defineMethods(proxies: { prototype: object }, exposed: readonly string[]): void {
  for (const name of exposed) {
    const here = nameHere(name);
    // biome-ignore lint/suspicious/noExplicitAny: a method of whatever arguments
    const define = (as: string, value: (this: BaseProxy, ...args: any[]) => unknown) => {
      if (as in proxies.prototype || as === 'then') return;
      Object.defineProperty(value, 'name', { value: as });
      Object.defineProperty(proxies.prototype, as, { value, writable: true, configurable: true });
    };
    define(here, function (...args) {
      return this._callmethod(name, args);
    });
    define(`${here}Sync`, function (...args) {
      return this._callmethodSync(name, args);
    });
  }
}

/** What proxies are made with. */
export type ProxyArguments = [token: Token, serializer: Serializer, options?: ProxyOptions];

/** Gives a class the name under which it is known. @internal */
export function named<C extends object>(name: string, proxies: C): C {
  return Object.defineProperty(proxies, 'name', { value: name });
}

/** A class of proxies as `MakeProxyType` makes them. */
export type MadeProxyType<M = object> = (new (
  token: Token,
  serializer: Serializer,
  options?: ProxyOptions,
) => BaseProxy & Twins<M>) & {
  readonly _exposed_: readonly string[];
};

/** A class of proxies without type parameters. @internal */
export interface ProxyClass<P> {
  new (...args: ProxyArguments): P;
  readonly prototype: P;
  readonly _exposed_: readonly string[];
}

/** What never waits at the manager for long. @internal */
export const NEVER_BLOCKS: ReadonlySet<string> = new Set();

const made = new Map<string, MadeProxyType>();

/**
 * Makes a class of proxies whose methods have these names, those of Python's special methods as `getItem`, `len` and the like; Python's
 * `managers.MakeProxyType`.
 * @param name what its proxies call themselves
 * @param exposed the methods, by their names at the manager; each has a blocking twin
 */
export function MakeProxyType<M = object>(
  name: string,
  exposed: readonly string[],
): MadeProxyType<M> {
  const key = JSON.stringify([name, ...exposed]);
  let type = made.get(key);
  if (type === undefined) {
    class ProxyType extends BaseProxy {
      static override readonly _exposed_ = [...exposed];
      static readonly _typeName = name;
    }
    Object.defineProperty(ProxyType, 'name', { value: name });
    defineMethods(ProxyType, exposed);
    noteRecipe(ProxyType, name, ProxyType._exposed_);
    type = ProxyType as unknown as MadeProxyType;
    made.set(key, type);
  }
  return type as unknown as MadeProxyType<M>;
}

/**
 * Makes a proxy that has the methods which its object has; Python's `managers.AutoProxy`.
 * @param options exposed: those methods, which the manager is asked for, without
 */
export function AutoProxy(
  token: Token,
  serializer: Serializer,
  options: ProxyOptions = {},
): BaseProxy {
  const authkey = options.authkey ?? options.manager?._authkey ?? authkeyOf(token.address);
  const call = { ident: null, method: 'get_methods', args: [token] };
  const exposed =
    options.exposed ?? (linkTo(token.address, authkey, serializer).callSync(call) as string[]);
  const type = MakeProxyType(`AutoProxy[${token.typeid}]`, exposed);
  Object.defineProperty(type, '_isAuto', { value: true, configurable: true });
  return new type(token, serializer, { ...options, authkey, exposed });
}

makers.auto = AutoProxy;
typeMakers.make = MakeProxyType;
nameExports(import.meta.url, { AutoProxy });
