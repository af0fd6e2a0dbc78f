/**
 * Counterpart of `Server` in multiprocessing/managers.py: holds objects and calls their methods for clients. One event loop serves all
 * of them, where CPython has a thread for each. Deviations: D-139, D-140, D-141.
 */
import { close, closeRaw, setTimeout } from '@multiprocessing/posix';
import { OSError, RuntimeError, ValueError } from '../base/errors.ts';
import {
  _validateFamily,
  type Address,
  addressType,
  arbitraryAddress,
  checkAddress,
  defaultFamily,
} from '../connection/addresses.ts';
import { listenerHandshake } from '../connection/authentication.ts';
import { Reception } from '../connection/reception.ts';
import { SocketListener } from '../connection/socket_listener.ts';
import { Pool } from '../pool/pool.ts';
import { type AuthenticationString, toAuthkey } from '../process/authkey.ts';
import { info } from '../util/logging.ts';
import { registerAfterFork } from '../util/util.ts';
import { calledBy, currentCaller } from './caller.ts';
import { RemoteError } from './errors.ts';
import { withKeywords } from './keywords.ts';
import { forgetManager } from './links.ts';
import { hasLocalServer, type LocalServer, setLocalServer } from './local_server.ts';
import { contentOf, methodOf, publicMethods, textOf } from './methods.ts';
import { nodeWire } from './node_wire.ts';
import type { Serializer } from './proxy_type.ts';
import { make, type Registered, type Registry } from './registry.ts';
import { sentType } from './sent_types.ts';
import { CONTROL, type Controlled } from './server_control.ts';
import {
  type Answer,
  type Handler,
  type Request,
  ServerLink,
  type ServerWire,
} from './server_link.ts';
import { type Entry, type Owner, SharedObjects } from './shared_objects.ts';
import { Token, where } from './token.ts';

/** How many may wait to be let in. */
const BACKLOG = 128;
/** How long a client may take to prove that it holds the key, in seconds. */
const AUTH_TIMEOUT = 20;
/** The longest message of a client, in bytes, unless it is told another one. */
const LONGEST = 1 << 30;
/** So often somebody has asked in a row who is alone. */
const ALONE = 4;
/** How long it waits when the system has no more fds, in milliseconds. */
const PAUSE = 50;

/** Options of a server besides CPython's. @internal */
export interface ServerLimits {
  readonly maxMessageBytes?: number | undefined;
  readonly authTimeout?: number | undefined;
  readonly digests?: readonly string[] | undefined;
}

/** The wires, by the names of their serializers. What reads Python's pickles enters itself. @internal */
export const serverWires = new Map<Serializer, ServerWire>([['node', nodeWire]]);

/** Holds the objects of a manager, and calls their methods for others; Python's `managers.Server`. */
export class Server implements LocalServer, Handler, Controlled {
  readonly registry: Registry;
  readonly #authkey: AuthenticationString;
  readonly #listener: SocketListener;
  readonly #reception: Reception;
  readonly #wire: ServerWire;
  readonly #longest: number;
  readonly #links = new Set<ServerLink>();
  readonly #objects = new SharedObjects(dispose);
  readonly #anybody: Owner = {};
  /** Who asked last, and how often in a row. */
  #lastLink: ServerLink | undefined;
  #inARow = 0;
  #stopped: (() => void) | undefined;
  #isStopped = false;
  /** What clients can ask of it besides. @internal */
  readonly control = new Map(CONTROL);

  /**
   * Begins to listen.
   * @param registry the types that it can make, by name
   * @param address `[host, port]`, a path or `'\0name'`; a path of its own, without
   * @param authkey clients have to prove that they hold it
   * @throws OSError EADDRINUSE among others, ValueError, TypeError
   */
  constructor(
    registry: Registry,
    address: Address | undefined,
    authkey: Uint8Array,
    serializer: Serializer,
    { maxMessageBytes = LONGEST, authTimeout = AUTH_TIMEOUT, digests }: ServerLimits = {},
  ) {
    this.registry = registry;
    const key = toAuthkey(authkey);
    this.#authkey = key;
    const wire = serverWires.get(serializer);
    if (wire === undefined) throw new ValueError(`serializer: '${serializer}' is unknown`);
    this.#wire = wire;
    this.#longest = maxMessageBytes;
    const type = address === undefined ? defaultFamily : addressType(address);
    _validateFamily(type);
    const at = address ?? arbitraryAddress(type);
    this.#listener = SocketListener.bind(at, checkAddress(at, type), BACKLOG);
    this.#reception = new Reception(
      this.#listener,
      () => listenerHandshake(key, { digests }),
      authTimeout,
    );
  }

  /** Where it listens. */
  get address(): Address {
    return this.#listener.address;
  }

  /** @internal */
  get authkey(): AuthenticationString {
    return this.#authkey;
  }

  /**
   * Serves clients until one of them, or `stop`, ends it; Python's `serve_forever`, which ends the process then.
   * @throws RuntimeError when a server runs in this process already
   */
  async serveForever(): Promise<void> {
    if (this.#isStopped || this.#stopped !== undefined)
      throw new RuntimeError('this server has been started before: make a new one');
    if (hasLocalServer())
      throw new RuntimeError(
        'another server runs in this process: start() gives it one of its own',
      );
    setLocalServer(this);
    registerAfterFork(this, (server) => server.#leaveToParent());
    info('manager serving at %j', this.address);
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    void this.#accept();
    await stopped;
  }

  async #accept(): Promise<void> {
    while (!this.#isStopped) {
      try {
        this.#welcome(await this.#reception.accept());
      } catch (error) {
        if (this.#isStopped) return;
        info('manager: a client was not let in: %s', error);
        if (error instanceof OSError && (error.code === 'EMFILE' || error.code === 'ENFILE'))
          await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  #welcome(fd: number): void {
    let link: ServerLink;
    try {
      link = new ServerLink(fd, this.#longest, this.#wire, this);
    } catch (error) {
      close(fd);
      throw error;
    }
    this.#links.add(link);
    link.listen();
  }

  /** Ends: clients get what is under way, and then the end of file. */
  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { address } = this;
    this.#reception.close();
    this.#listener.close();
    for (const link of [...this.#links]) link.finish();
    this.#objects.clear();
    if (this.#stopped !== undefined) setLocalServer(undefined);
    // This process may be a client as well.
    forgetManager(address);
    this.#stopped?.();
  }

  /** In a forked child: clients are not to wait for that when this process ends. */
  #leaveToParent(): void {
    for (const link of this.#links) link.leaveToParent();
    this.#links.clear();
    if (!this.#isStopped) closeRaw(this.#listener.fd);
  }

  //
  // Requests
  //

  /** @internal */
  handle(link: ServerLink, request: Request): Answer | Promise<Answer> {
    try {
      const { ident, method, args, kwds } = request;
      if (ident === null) return this.#ask(link, method, args, kwds ?? {});
      const entry = this.find(ident);
      const result = calledBy(link, () => this.#invoke(entry, method, args, kwds));
      return this.#answer(link, entry, method, result);
    } catch (error) {
      return this.failed(error);
    }
  }

  /** @internal */
  isAlone(link: ServerLink): boolean {
    if (this.#lastLink !== link) {
      this.#lastLink = link;
      this.#inARow = 0;
    }
    return ++this.#inARow > ALONE;
  }

  /** @internal */
  failed(error: unknown): Answer {
    return { kind: '#ERROR', result: error };
  }

  #answer(
    link: ServerLink,
    entry: Entry,
    method: string,
    result: unknown,
  ): Answer | Promise<Answer> {
    const typeid = own(entry.methodToTypeid, method);
    if (!isThenable(result))
      return typeid === undefined ? { kind: '#RETURN', result } : this.#share(link, typeid, result);
    return Promise.resolve(result).then(
      (done) =>
        typeid === undefined
          ? { kind: '#RETURN' as const, result: done }
          : this.#share(link, typeid, done),
      (error) => this.failed(error),
    );
  }

  #ask(link: ServerLink, name: string, args: readonly unknown[], kwds: object) {
    const control = this.control.get(name);
    // CPython's clients ask one thing by a connection.
    if (this.#wire.inOrder && name !== 'accept_connection') link.closes = true;
    if (control === undefined) throw new RemoteError(`${JSON.stringify(name)} unrecognized`);
    const result = calledBy(link, () => control.call(this, link, args, kwds));
    if (!isThenable(result)) return { kind: '#RETURN' as const, result };
    return Promise.resolve(result).then(
      (done) => ({ kind: '#RETURN' as const, result: done }),
      (error) => this.failed(error),
    );
  }

  #invoke(entry: Entry, name: string, args: readonly unknown[], kwds?: object): unknown {
    const obj = entry.obj;
    const method =
      entry.exposed.has(name) && typeof obj === 'object' && obj !== null
        ? methodOf(obj, name)
        : undefined;
    if (method !== undefined)
      return method(...withKeywords((obj as object).constructor, name, args, kwds));
    if (name === '#GETVALUE') return contentOf(obj);
    if (name === '__str__' || name === '__repr__') return textOf(obj);
    if (entry.exposed.has(name))
      throw new RemoteError(
        `method ${JSON.stringify(name)} of ${entry.typeid} object is exposed, but the object has none`,
      );
    throw new RemoteError(
      `method ${JSON.stringify(name)} of ${entry.typeid} object is not in exposed=${JSON.stringify([...entry.exposed])}`,
    );
  }

  /** Shares what a method has returned. */
  #share(link: ServerLink, typeid: string, result: unknown): Answer {
    try {
      const entry = this.#add(typeid, this.#registered(typeid), result);
      this.#objects.refer(entry, this.ownerOf(link));
      const token = new Token(typeid, this.address, entry.id);
      const exposed = [...entry.exposed];
      return { kind: '#PROXY', result: [exposed, token, sentType(entry.proxytype)] };
    } catch (error) {
      return this.failed(error);
    }
  }

  //
  // Objects
  //

  #registered(typeid: unknown): Registered {
    const registered = this.registry.get(typeid as string);
    if (registered !== undefined) return registered;
    throw new RemoteError(
      `the manager has no type ${JSON.stringify(typeid)}: it has ${[...this.registry.keys()].join(', ')}`,
    );
  }

  /** Whom references are of: CPython's clients count by connections that say nothing of them. @internal */
  ownerOf(link: ServerLink): Owner {
    return this.#wire.inOrder ? this.#anybody : link;
  }

  /** @returns the object's name and its methods; the client has a reference then @internal */
  create(link: Owner, [typeid, ...args]: readonly unknown[], kwds: object): unknown {
    const registered = this.#registered(typeid);
    const { callable } = registered;
    const all = withKeywords(callable, 'constructor', args, kwds);
    if (callable === undefined && all.length !== 1)
      throw new ValueError('Without callable, must have one non-keyword argument');
    const made = callable === undefined ? all[0] : make(callable, all);
    const done = (obj: unknown) => {
      const entry = this.#add(typeid as string, registered, obj);
      this.#objects.refer(entry, link);
      return [entry.id, [...entry.exposed]];
    };
    return isThenable(made) ? Promise.resolve(made).then(done) : done(made);
  }

  #add(typeid: string, registered: Registered, obj: unknown): Entry {
    const { methodToTypeid, proxytype } = registered;
    const exposed = new Set(registered.exposed ?? publicMethods(obj));
    for (const name of Object.keys(methodToTypeid ?? {})) exposed.add(name);
    return this.#objects.add({ typeid, obj, exposed, methodToTypeid, proxytype });
  }

  /** One reference more of a client. @throws RemoteError @internal */
  incref(owner: Owner, ident: unknown): void {
    this.#objects.refer(this.find(ident), owner);
  }

  /** One less. @throws RemoteError, AssertionError @internal */
  decref(owner: Owner, ident: unknown): void {
    this.#objects.release(this.find(ident), owner);
  }

  /** @internal */
  has(ident: string): boolean {
    return this.#objects.has(ident);
  }

  /** @internal */
  find(ident: unknown): Entry {
    return this.#objects.find(ident);
  }

  /** @internal */
  nest(entry: Entry): void {
    this.#objects.nest(entry);
  }

  /** @internal */
  refer(entry: Entry, owner: Owner): void {
    this.#objects.refer(entry, owner);
  }

  /** @internal */
  release(entry: Entry, owner: Owner): void {
    this.#objects.release(entry, owner);
  }

  /** @internal */
  call(entry: Entry, method: string, args: readonly unknown[], kwds?: object): unknown {
    return calledBy(currentCaller(), () => this.#invoke(entry, method, args, kwds));
  }

  /** @internal */
  left(link: ServerLink): void {
    this.#links.delete(link);
    if (this.#lastLink === link) this.#lastLink = undefined;
    this.#objects.releaseAll(link);
  }

  /** The objects that clients have, and how many references each; Python's `debug_info`. */
  debugInfo(): string {
    return this.#objects.info();
  }

  /** How many objects clients have; Python's `number_of_objects`. */
  numberOfObjects(): number {
    return this.#objects.size;
  }

  toString(): string {
    return `<Server at ${where(this.address)}>`;
  }
}

function own(
  names: Readonly<Record<string, string>> | undefined,
  name: string,
): string | undefined {
  return names !== undefined && Object.hasOwn(names, name) ? names[name] : undefined;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** The processes of a pool that nobody has any more end. */
function dispose(obj: unknown): void {
  if (obj instanceof Pool) obj.terminate();
}
