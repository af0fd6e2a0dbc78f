/**
 * What the parts of a manager have to know of proxies, and of the classes of them.
 */
import type { Token } from './token.ts';

/** How calls become bytes: `'node'` carries all that pickling here carries, `'pickle'` is CPython's wire. */
export type Serializer = 'node' | 'pickle';

/** A class of proxies, or a function that makes them, as `AutoProxy`. */
export type ProxyType =
  | ((token: Token, serializer: Serializer, options?: ProxyOptions) => object)
  | (new (
      token: Token,
      serializer: Serializer,
      options?: ProxyOptions,
    ) => object);

/** The types that results of methods are shared as, by name; null is `AutoProxy`. @internal */
export type ProxyTypes = Readonly<Record<string, ProxyType | null>>;

/** A manager, as its proxies see it. @internal */
export interface ProxyManager {
  readonly _authkey: Uint8Array;
  readonly _isShutDown: boolean;
  _proxyTypes(typeid: string): ProxyTypes;
}

/** What proxies are made with. */
export interface ProxyOptions {
  /** The manager that made the object, here. */
  manager?: ProxyManager | undefined;
  /** Of the manager; this process's own, without. */
  authkey?: Uint8Array | undefined;
  /** The methods that the object has, as far as they are known. */
  exposed?: readonly string[] | undefined;
  /** Whether the manager has to be told of one reference more; it is, without. */
  incref?: boolean | undefined;
  /** @internal */
  types?: ProxyTypes | undefined;
}
