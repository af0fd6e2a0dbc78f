/**
 * Counterpart of `BaseManager` in multiprocessing/managers.py. Deviations: D-139, D-148, D-149.
 */
import { inspect } from 'node:util';
import { checkMayStart } from '../base/bootstrapping.ts';
import { AssertionError, EOFError, ProcessError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { currentProcess } from '../base/process_table.ts';
import { type Address, arbitraryAddress } from '../connection/addresses.ts';
import { type Connection, Pipe } from '../connection/connection.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import type { Reduced } from '../pickle/reduction.ts';
import { type AuthenticationString, toAuthkey } from '../process/authkey.ts';
import type { BaseProcess } from '../process/process.ts';
import { Finalize } from '../util/finalize.ts';
import { info } from '../util/logging.ts';
import { ended } from './errors.ts';
import type { Link } from './link.ts';
import { linkTo, noteDigests, noteProcess } from './links.ts';
import { AutoProxy } from './make_proxy.ts';
import { finalizeManager, forget, type Started } from './manager_end.ts';
import {
  checkManagerOptions,
  defaultContext,
  type ManagerContext,
  type ManagerOptions,
  type StartOptions,
} from './manager_options.ts';
import { type BaseProxy, makeProxy } from './proxy.ts';
import type { ProxyManager, ProxyTypes, Serializer } from './proxy_type.ts';
import { type Callable, type RegisterOptions, type Registry, registerIn } from './registry.ts';
import { runServer, type ServerOrder, type ServerReport } from './run_server.ts';
import { sentRegistry } from './sent_types.ts';
import { Server, type ServerLimits } from './server.ts';
import { State, Token, where } from './token.ts';

/** A process that holds objects for others, or the way to one; Python's `managers.BaseManager`. */
export class BaseManager implements ProxyManager {
  /** The types that managers of this class can make. @internal */
  static _registry: Registry = new Map();
  /** @internal */
  static readonly _Server: ServerOrder['Server'] = Server;

  /** No part of what is shown or copied of a manager. */
  readonly #authkey: AuthenticationString;
  /** @internal */ readonly _state = new State();
  readonly #serializer: Serializer;
  readonly #timeout: number;
  readonly #ctx: ManagerContext | undefined;
  readonly #limits: ServerLimits;
  #address: Address | undefined;
  /** The path of a socket that nobody has named. */
  #chosen: string | undefined;
  #process: BaseProcess | undefined;
  #finalizer: Finalize<[Started]> | undefined;

  /** @throws TypeError, ValueError */
  constructor(options: ManagerOptions = {}) {
    checkManagerOptions(options, new.target.name);
    const { serializer = 'node', shutdownTimeout = 1, ctx } = options;
    this.#address = options.address;
    this.#authkey = toAuthkey(options.authkey ?? currentProcess().authkey);
    this.#serializer = serializer;
    this.#timeout = shutdownTimeout;
    this.#ctx = ctx as ManagerContext | undefined;
    const { maxMessageBytes, authTimeout, digests } = options;
    this.#limits = { maxMessageBytes, authTimeout, digests };
  }

  //
  // The server
  //

  /** @internal */
  get _authkey(): AuthenticationString {
    return this.#authkey;
  }

  /** Where it serves; undefined before that is known. */
  get address(): Address | undefined {
    return this.#address;
  }

  /** A server of these types for this process: `await manager.getServer().serveForever()`. @throws ProcessError once it is started */
  getServer(): Server {
    this.#checkInitial();
    const { _Server, _registry } = this.constructor as typeof BaseManager;
    return new _Server(_registry, this.#address, this._authkey, this.#serializer, this.#limits);
  }

  /**
   * Connects to a manager that another program has started.
   * @throws OSError ECONNREFUSED, ENOENT among others; AuthenticationError
   */
  async connect(): Promise<this> {
    await this.#connectLink().call({ ident: null, method: 'dummy', args: [] });
    this._state.value = State.STARTED;
    return this;
  }

  /** The blocking twin of `connect`. */
  connectSync(): this {
    this.#connectLink().callSync({ ident: null, method: 'dummy', args: [] });
    this._state.value = State.STARTED;
    return this;
  }

  #connectLink(): Link {
    if (this.#address === undefined) throw new ValueError('address: connect() needs one');
    noteDigests(this.#address, this.#limits.digests);
    return linkTo(this.#address, this._authkey, this.#serializer);
  }

  /**
   * Starts the manager's process.
   * @throws ProcessError when it was started before; RuntimeError from a main module without guard; PicklingError for a registered
   *   function that is not exported; what its initializer or the address makes it throw
   */
  async start(options: StartOptions = {}): Promise<this> {
    const { process, reader, writer } = this.#prepare(options, false);
    try {
      await process.start();
      writer.close();
      this.#served(process, (await reader.recv()) as ServerReport);
    } catch (error) {
      if (process._popen !== undefined) await process.join();
      throw this.#notServed(process, error);
    } finally {
      writer.close();
      reader.close();
    }
    return this;
  }

  /** The blocking twin of `start`. */
  startSync(options: StartOptions = {}): this {
    const { process, reader, writer } = this.#prepare(options, true);
    try {
      process.startSync();
      writer.close();
      this.#served(process, reader.recvSync() as ServerReport);
    } catch (error) {
      if (process._popen !== undefined) process.joinSync();
      throw this.#notServed(process, error);
    } finally {
      writer.close();
      reader.close();
    }
    return this;
  }

  #prepare({ initializer, initargs = [] }: StartOptions, sync: boolean) {
    this.#checkInitial();
    checkMayStart();
    if (initializer !== undefined && typeof initializer !== 'function')
      throw typeError('initializer must be a callable');
    const ctx = this.#ctx ?? defaultContext();
    const [reader, writer] = Pipe(false);
    const { _Server, _registry } = this.constructor as typeof BaseManager;
    const order: ServerOrder = {
      Server: _Server,
      registry: sentRegistry(_registry),
      address: this.#address ?? this.#chosenAddress(),
      authkey: this._authkey,
      serializer: this.#serializer,
      limits: this.#limits,
      initializer,
      initargs,
    };
    const args: [ServerOrder, Connection] = [order, writer];
    const process = new ctx.Process({ target: runServer, args } as never) as BaseProcess & {
      _emulates?: boolean;
    };
    process.name = `${this.constructor.name}-${process._identity.join(':')}`;
    // A child that is forked while its parent blocks has no event loop.
    if (sync && ctx._name === 'fork') process._emulates = true;
    return { process, reader, writer };
  }

  /** In this process's own folder: who is killed leaves nothing in one of its own. */
  #chosenAddress(): Address {
    this.#chosen = arbitraryAddress('AF_UNIX') as string;
    return this.#chosen;
  }

  #served(process: BaseProcess, report: ServerReport): void {
    if ('error' in report) throw report.error;
    const { address } = report;
    this.#address = address;
    this.#process = process;
    this._state.value = State.STARTED;
    noteProcess(address, process);
    noteDigests(address, this.#limits.digests);
    const [authkey, serializer] = [this._authkey, this.#serializer];
    const link = () => linkTo(address, authkey, serializer);
    const { _state: state } = this;
    const started = { process, address, chosen: this.#chosen, link, state, timeout: this.#timeout };
    this.#finalizer = new Finalize(this, finalizeManager, { args: [started], exitpriority: 0 });
  }

  /** What a process has ended of before it said that it serves. */
  #notServed(process: BaseProcess, error: unknown): unknown {
    if (!(error instanceof EOFError)) return error;
    const how = `exit code ${process.exitcode}, before it served`;
    return ended(where(this.#address ?? process.name), how, error);
  }

  #checkInitial(): void {
    const { value } = this._state;
    if (value === State.STARTED) throw new ProcessError('Already started server');
    if (value === State.SHUTDOWN) throw new ProcessError('Manager has shut down');
  }

  /** The manager's process, once this object has started it. @internal */
  get _process(): BaseProcess | undefined {
    return this.#process;
  }

  /** @internal */
  get _isShutDown(): boolean {
    return this._state.value === State.SHUTDOWN;
  }

  /**
   * Ends the manager's process: asks it to, and terminates or kills it if it does not. A second call does nothing.
   * @throws ProcessError when this object has not started it
   */
  async shutdown(): Promise<void> {
    const finalizer = this.#toShutDown();
    if (!finalizer?.stillActive()) return;
    finalizer.cancel();
    const process = this.#process as BaseProcess;
    const link = linkTo(this.#address as Address, this._authkey, this.#serializer);
    if (process.isAlive()) {
      info('sending shutdown message to manager');
      await link.shutDown(this.#timeout);
      for (const harder of [() => {}, () => process.terminate(), () => process.kill()]) {
        harder();
        await process.join(this.#timeout);
        if (!process.isAlive()) break;
        info('manager still alive');
      }
      await process.join();
    }
    this.#ended();
  }

  /** The blocking twin of `shutdown`. */
  shutdownSync(): void {
    const finalizer = this.#toShutDown();
    if (finalizer?.stillActive()) finalizer.call();
  }

  /** Whether this process has started it: a forked child of it has the object, too. */
  get #hasStarted(): boolean {
    return this.#finalizer !== undefined && this.#process?._parentPid === process.pid;
  }

  #toShutDown(): Finalize<[Started]> | undefined {
    if (this.#hasStarted) return this.#finalizer;
    if (this._isShutDown) return undefined;
    throw new ProcessError(
      'only who has started a manager can shut it down: this process has not, by this object',
    );
  }

  #ended(): void {
    this._state.value = State.SHUTDOWN;
    forget(this.#address as Address, this.#chosen);
  }

  /** Waits until the manager's process has ended, if this object has started it. @param timeout seconds */
  async join(timeout?: number): Promise<void> {
    await this.#process?.join(timeout);
  }

  /** The blocking twin of `join`. */
  joinSync(timeout?: number): void {
    this.#process?.joinSync(timeout);
  }

  //
  // Objects
  //

  /** @internal */
  _link(): Link {
    if (this._state.value === State.INITIAL) throw new AssertionError('server not yet started');
    const address = this.#address as Address;
    if (this._isShutDown) throw ended(where(address), 'it was shut down');
    return linkTo(address, this._authkey, this.#serializer);
  }

  #creation(typeid: string, args: readonly unknown[], kwds: object | undefined) {
    return { ident: null, method: 'create', args: [typeid, ...args], kwds };
  }

  /** Makes an object, and a proxy of it. @throws what the registered callable throws; AssertionError, EOFError, OSError */
  async _create(typeid: string, args: readonly unknown[] = [], kwds?: object): Promise<BaseProxy> {
    const link = this._link();
    return this.#proxyOf(typeid, await link.call(this.#creation(typeid, args, kwds)));
  }

  /** The blocking twin of `_create`. */
  _createSync(typeid: string, args: readonly unknown[] = [], kwds?: object): BaseProxy {
    return this.#proxyOf(typeid, this._link().callSync(this.#creation(typeid, args, kwds)));
  }

  #proxyOf(typeid: string, created: unknown): BaseProxy {
    const [id, exposed] = created as [string, string[]];
    const { _registry } = this.constructor as typeof BaseManager;
    const type = _registry.get(typeid)?.proxytype ?? AutoProxy;
    const token = new Token(typeid, this.#address as Address, id);
    // The manager counts a reference with the object.
    return makeProxy(type, token, this.#serializer, { manager: this, exposed, incref: false });
  }

  /** As what results of a type's methods are shared, and results of theirs. @internal */
  _proxyTypes(typeid: string): ProxyTypes {
    const { _registry } = this.constructor as typeof BaseManager;
    const types: Record<string, ProxyTypes[string]> = {};
    const add = (of: string) => {
      for (const result of Object.values(_registry.get(of)?.methodToTypeid ?? {})) {
        if (Object.hasOwn(types, result)) continue;
        types[result] = _registry.get(result)?.proxytype ?? null;
        add(result);
      }
    };
    add(typeid);
    return types;
  }

  /** The objects that proxies refer to, with how many do; Python's `_debug_info`. */
  async debugInfo(): Promise<string> {
    return (await this._link().call({ ident: null, method: 'debug_info', args: [] })) as string;
  }

  /** The blocking twin of `debugInfo`. */
  debugInfoSync(): string {
    return this._link().callSync({ ident: null, method: 'debug_info', args: [] }) as string;
  }

  /** How many objects proxies refer to; Python's `_number_of_objects`. */
  async numberOfObjects(): Promise<number> {
    const call = { ident: null, method: 'number_of_objects', args: [] };
    return (await this._link().call(call)) as number;
  }

  /** The blocking twin of `numberOfObjects`. */
  numberOfObjectsSync(): number {
    return this._link().callSync({ ident: null, method: 'number_of_objects', args: [] }) as number;
  }

  /**
   * Registers a type; Python's `BaseManager.register`. Managers of this class have a method of that name then, and one with `Sync` behind
   * it, which make an object and return a proxy of it.
   * @param typeid its name
   * @param callable a function or class that makes the object, exported: it is called in the manager's process. For who only connects it
   *   may be left out
   * @throws TypeError, AssertionError, ValueError for a name that managers have already
   */
  static register(typeid: string, callable?: Callable, options: RegisterOptions = {}): void {
    // biome-ignore lint/complexity/noThisInStatic: a class derived from this one has types of its own
    registerIn(this, BaseManager, typeid, callable, options);
  }

  /** `await using`: shuts it down, if this object has started it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasStarted) await this.shutdown();
  }

  /** `using`: the same, and blocks. */
  [Symbol.dispose](): void {
    if (this.#hasStarted) this.shutdownSync();
  }

  /** A child that is launched gets one that is connected. @throws TypeError at any other time; AssertionError before it is started */
  [reduceSymbol](): Reduced {
    this._link();
    const { _authkey: authkey } = this;
    const options = { address: this.#address, authkey, serializer: this.#serializer };
    return [rebuildManager, [this.constructor, options]];
  }

  toString(): string {
    const state = ['initial', 'started', 'shut down'][this._state.value];
    const at = this.#address === undefined ? '' : ` address=${inspect(this.#address)}`;
    return `<${this.constructor.name}${at} ${state}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** @internal */
export function rebuildManager(
  cls: new (options: ManagerOptions) => BaseManager,
  options: ManagerOptions,
): BaseManager {
  const manager = new cls(options);
  manager._state.value = State.STARTED;
  return manager;
}

nameExports(import.meta.url, { rebuildManager });
