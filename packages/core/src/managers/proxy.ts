/**
 * Counterpart of `BaseProxy` and `RebuildProxy` in multiprocessing/managers.py. Deviations: D-140, D-143, D-144, D-145.
 */
import { inspect } from 'node:util';
import { setTimeout } from '@multiprocessing/posix';
import { RuntimeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import type { Reduced } from '../pickle/reduction.ts';
import { type AuthenticationString, toAuthkey } from '../process/authkey.ts';
import { getSpawningPopen } from '../process/spawning.ts';
import { isExiting } from '../util/util.ts';
import { ended } from './errors.ts';
import { goesTo, type Link } from './link.ts';
import { authkeyOf, linkTo, noteProxy } from './links.ts';
import {
  countForClient,
  hasLocalServer,
  type LocalServer,
  localServer,
  senderOf,
} from './local_server.ts';
import type {
  ProxyManager,
  ProxyOptions,
  ProxyType,
  ProxyTypes,
  Serializer,
} from './proxy_type.ts';
import { referentSymbol } from './referent.ts';
import { receivedType, receivedTypes, type SentType, sentType, sentTypes } from './sent_types.ts';
import type { Entry } from './shared_objects.ts';
import { Token, where } from './token.ts';

/** What a proxy that was sent is made of. @internal */
export interface ProxyState {
  readonly authkey?: Uint8Array;
  readonly exposed?: readonly string[];
  readonly types?: Readonly<Record<string, SentType>>;
  /** Whether the sender has counted the reference. */
  readonly counted?: boolean;
}

/** A reference at a manager, which somebody has to give back. */
interface Reference {
  readonly link: Link;
  readonly id: string;
  forget: () => void;
}

const collected = new FinalizationRegistry<Reference>((reference) => giveBack(reference));

function giveBack({ link, id, forget }: Reference): void {
  forget();
  link.release(id);
}

/** How long a proxy that was sent is kept, in milliseconds: until then the receiver has counted its own reference. */
const ON_ITS_WAY = 10_000;
const sent = new Set<BaseProxy>();

/**
 * Stands for an object of a manager: each call of a method is a message to it; Python's `managers.BaseProxy`.
 *
 * What is stored in such an object, and what comes out of it, is a copy. Proxies may be stored in others, and given to processes.
 */
export class BaseProxy {
  /** The methods that may be called; Python's `_exposed_`. */
  static readonly _exposed_: readonly string[] | undefined = undefined;
  /** As what their results are shared; Python's `_method_to_typeid_`. */
  static readonly _methodToTypeid_: Readonly<Record<string, string>> | undefined = undefined;
  /** The methods that may wait at the manager for something; all, without. @internal */
  static readonly _mayBlock: ReadonlySet<string> | undefined = undefined;

  /** Which object it is. */
  readonly _token: Token;
  /** @internal */ readonly _serializer: Serializer;
  /** No part of what is shown or copied of a proxy. */
  readonly #authkey: AuthenticationString;
  /** Kept, as long as there is a proxy: its end ends the object. @internal */
  readonly _manager: ProxyManager | undefined;
  /** @internal */ readonly _exposed: readonly string[] | undefined;
  /** @internal */ readonly _types: ProxyTypes;
  /** Where this process is the manager's: the object itself. */
  readonly #own: { readonly server: LocalServer; readonly entry: Entry } | undefined;
  #reference: Reference | undefined;
  #isReleased = false;

  constructor(token: Token, serializer: Serializer, options: ProxyOptions = {}) {
    this._token = token;
    this._serializer = serializer;
    this._manager = options.manager;
    this._exposed = options.exposed;
    this._types = options.types ?? options.manager?._proxyTypes(token.typeid) ?? {};
    const authkey = options.authkey ?? options.manager?._authkey ?? authkeyOf(token.address);
    this.#authkey = toAuthkey(authkey);
    const server = localServer(token);
    if (server !== undefined) {
      const entry = server.find(token.id);
      server.nest(entry);
      this.#own = { server, entry };
      return;
    }
    this.#refer(options.incref ?? true);
  }

  #refer(incref: boolean): void {
    const { address, id } = this._token;
    const link = linkTo(address, this.#authkey, this._serializer);
    if (incref) link.refer(id, hasLocalServer());
    this.#reference = { link, id, forget: noteProxy(this) };
    collected.register(this, this.#reference, this);
  }

  /** @internal */
  [referentSymbol](): Entry | undefined {
    return this.#own?.entry;
  }

  #link(): Link {
    if (this.#isReleased) throw new ValueError('this proxy has given its reference back');
    const link = this.#reference?.link;
    if (link?.isOpen) return link;
    if (this._manager?._isShutDown) throw ended(where(this._token.address), 'it was shut down');
    return linkTo(this._token.address, this.#authkey, this._serializer);
  }

  #call(method: string, args: readonly unknown[], kwds: object | undefined) {
    const blocking = (this.constructor as typeof BaseProxy)._mayBlock;
    const mayBlock = blocking === undefined || blocking.has(method);
    return { ident: this._token.id, method, args, kwds, mayBlock, shared: this.#shared };
  }

  /**
   * Calls a method of the object; Python's `_callmethod`.
   * @param kwds keyword arguments: one last object, unless it is not given
   * @returns a copy of what it returned
   * @throws what the method throws; RemoteError when there is no such method or object, or the result cannot be sent
   * @throws EOFError, OSError ECONNREFUSED when the manager has ended; PicklingError for an argument
   */
  _callmethod(method: string, args: readonly unknown[] = [], kwds?: object): Promise<unknown> {
    try {
      const own = this.#own;
      if (own === undefined) return this.#link().call(this.#call(method, args, kwds));
      return Promise.resolve(own.server.call(own.entry, method, args, kwds));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The blocking twin of `_callmethod`. */
  _callmethodSync(method: string, args: readonly unknown[] = [], kwds?: object): unknown {
    const own = this.#own;
    if (own === undefined) return this.#link().callSync(this.#call(method, args, kwds));
    const result = own.server.call(own.entry, method, args, kwds);
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new RuntimeError(
        `${method} may wait, and would block the manager itself here: await it instead`,
      );
    }
    return result;
  }

  /** A result that is shared. */
  readonly #shared = (result: unknown): BaseProxy => {
    const [exposed, token, proxytype] = result as [string[], Token, SentType | undefined];
    const given =
      this._types[token.typeid] ?? receivedType(proxytype ?? null) ?? sharedTypes.get(token.typeid);
    const type = given ?? makers.auto;
    // The manager may know itself by another address than its clients do.
    const mine = new Token(token.typeid, this._token.address, token.id);
    const options = {
      manager: this._manager,
      authkey: this.#authkey,
      exposed,
      types: this._types,
      incref: false,
    };
    return makeProxy(type, mine, this._serializer, options);
  };

  /** A copy of the object; Python's `_getvalue`. */
  _getvalue(): Promise<unknown> {
    return this._callmethod('#GETVALUE');
  }

  /** The blocking twin of `_getvalue`. */
  _getvalueSync(): unknown {
    return this._callmethodSync('#GETVALUE');
  }

  /** In a forked child: the reference is its parent's, and this process needs one of its own. @internal */
  _afterFork(): void {
    const reference = this.#reference;
    if (reference === undefined || reference.link.isOpen) return;
    collected.unregister(this);
    reference.forget();
    this.#reference = undefined;
    this.#refer(true);
  }

  /** At the end of the process. @internal */
  _releaseSync(): void {
    this.#reference?.link.releaseSync(this._token.id);
  }

  /** Gives the reference back now, in place of when the proxy is collected. It is of no use then. */
  [Symbol.dispose](): void {
    const reference = this.#reference;
    this.#isReleased = this.#own === undefined;
    this.#reference = undefined;
    if (reference === undefined) return;
    collected.unregister(this);
    giveBack(reference);
  }

  /** What it is sent with. @internal */
  [reduceSymbol](): Reduced {
    const own = this.#own;
    const isLaunching = getSpawningPopen() !== undefined;
    const state: { -readonly [K in keyof ProxyState]: ProxyState[K] } = {};
    if (isLaunching) state.authkey = this.#authkey;
    if (Object.keys(this._types).length > 0) state.types = sentTypes(this._types);
    if (own !== undefined && countForClient(own.entry)) state.counted = true;
    else if (own === undefined && !goesTo(this.#reference?.link)) keepForAWhile(this);
    const type = this.constructor as unknown as { _isAuto?: boolean };
    if (type._isAuto || this._exposed !== undefined) state.exposed = this._exposed ?? [];
    const maker = type._isAuto ? null : sentType(this.constructor as unknown as ProxyType);
    const { typeid, address, id } = this._token;
    return [rebuildProxy, [maker, new Token(typeid, address, id), this._serializer, state]];
  }

  /** The object's text, as Python's `str` of a proxy. It blocks for an answer; what fails is said. */
  toString(): string {
    try {
      return String(this._callmethodSync('__repr__'));
    } catch {
      return `${this.#text().slice(0, -1)}; '__str__()' failed>`;
    }
  }

  /** The blocking-free form of `String(proxy)`. @throws as `_callmethod` */
  async text(): Promise<string> {
    return String(await this._callmethod('__repr__'));
  }

  #text(): string {
    const { typeid, id } = this._token;
    const name =
      (this.constructor as unknown as { _typeName?: string })._typeName ?? this.constructor.name;
    return `<${name} object, typeid '${typeid}' at 0x${id}>`;
  }

  /** How it is shown in what contains it. @internal */
  __repr__(): string {
    return this.#text();
  }

  [inspect.custom](): string {
    return this.#text();
  }
}

function keepForAWhile(proxy: BaseProxy): void {
  if (isExiting()) return;
  sent.add(proxy);
  setTimeout(() => sent.delete(proxy), ON_ITS_WAY).unref();
}

/** Types of results that are shared, for proxies that do not know their managers' types. @internal */
export const sharedTypes = new Map<string, ProxyType>();

/** What stands to the right of this file. @internal */
export const makers = {} as { auto: ProxyType };

/** Makes a proxy of a class, or by a function. @internal */
export function makeProxy(
  type: ProxyType,
  token: Token,
  serializer: Serializer,
  options: ProxyOptions,
): BaseProxy {
  const isClass = type === BaseProxy || type.prototype instanceof BaseProxy;
  if (isClass)
    return new (type as new (...args: unknown[]) => BaseProxy)(token, serializer, options);
  return (type as (...args: unknown[]) => BaseProxy)(token, serializer, options);
}

/** Makes a proxy again in another process; Python's `managers.RebuildProxy`. @internal */
export function rebuildProxy(
  type: SentType,
  token: Token,
  serializer: Serializer,
  { counted = false, types, ...options }: ProxyState,
): BaseProxy {
  if (counted) token.address = senderOf(token.address);
  return makeProxy(receivedType(type) ?? makers.auto, token, serializer, {
    ...options,
    types: types && receivedTypes(types),
    incref: !counted,
  });
}

nameExports(import.meta.url, { BaseProxy, rebuildProxy });
