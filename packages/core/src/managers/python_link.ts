/**
 * To a manager that speaks CPython's wire. It answers one call of a connection after the other: what may wait there goes by connections of
 * its own, and what belongs to a lock by the one that holds it, for there its owner is a thread of the manager, one for each connection.
 * Deviations: D-150.
 */
import { Client, type ClientOptions, ClientSync } from '../connection/client.ts';
import { withTraceback } from '../pool/errors.ts';
import { generation } from '../wait/hub.ts';
import type { Call, LinkOptions } from './calls.ts';
import { Conversation } from './conversation.ts';
import { isGone, RemoteError } from './errors.ts';
import type { Link } from './link.ts';
import { linkMakers, releaseAtExit } from './links.ts';
import { checkNotHere } from './local_server.ts';
import { dumpsRequest, loadsAnswer, pythonClientWire } from './python_wire.ts';

/** How many connections are kept that nobody uses. */
const SPARE = 8;

/** A connection that a lock was acquired by, and how often. */
interface Holder {
  readonly conversation: Conversation;
  count: number;
  isBusy: boolean;
}

/** @internal */
export class PythonLink implements Link {
  readonly #options: LinkOptions;
  readonly #generation = generation();
  #isClosed = false;
  /** For calls that do not wait. */
  #main: Conversation | undefined;
  #spare: Conversation[] = [];
  readonly #all = new Set<Conversation>();
  /** By the objects. */
  readonly #holders = new Map<string, Holder[]>();

  constructor(options: LinkOptions) {
    this.#options = options;
    releaseAtExit();
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#generation === generation();
  }

  //
  // Connections
  //

  #open(): Conversation {
    const closed = () => {
      this.#all.delete(conversation);
      this.#spare = this.#spare.filter((other) => other !== conversation);
      if (this.#main === conversation) this.#main = undefined;
    };
    const options: LinkOptions = {
      ...this.#options,
      closed,
      explain: (error) => this.#options.explain(this.#gone(error)),
      explainSync: (error) => this.#options.explainSync(this.#gone(error)),
    };
    const conversation = new Conversation(options, pythonClientWire);
    this.#all.add(conversation);
    return conversation;
  }

  /** When the manager is gone the connections are of no use by which nobody waits to learn that. */
  #gone(error: unknown): unknown {
    if (isGone(error)) for (const other of [...this.#all]) if (other.isIdle) other.close();
    return error;
  }

  #take(): Conversation {
    return this.#spare.pop() ?? this.#open();
  }

  #giveBack(conversation: Conversation): void {
    if (!conversation.isOpen) return;
    if (this.#spare.length < SPARE) this.#spare.push(conversation);
    else conversation.close();
  }

  /** The connection for a call, and what is to be done behind it. */
  #way(call: Call): { conversation: Conversation; done: (result?: unknown) => void } {
    const { ident, method, mayBlock } = call;
    const holders = this.#holders.get(ident as string)?.filter((h) => h.conversation.isOpen) ?? [];
    const holder = holders.findLast(({ isBusy }) => !isBusy);
    if (holder !== undefined && FOR_HOLDERS.has(method)) return this.#byHolder(call, holder);
    if (!mayBlock) {
      this.#main ??= this.#open();
      return { conversation: this.#main, done: () => {} };
    }
    const conversation = this.#take();
    if (method !== 'acquire') return { conversation, done: () => this.#giveBack(conversation) };
    const done = (result?: unknown) => {
      if (result !== true) this.#giveBack(conversation);
      else this.#hold(ident as string, { conversation, count: 1, isBusy: false });
    };
    return { conversation, done };
  }

  #hold(ident: string, holder: Holder): void {
    this.#holders.set(ident, [...(this.#holders.get(ident) ?? []), holder]);
  }

  #byHolder({ ident, method }: Call, holder: Holder) {
    holder.isBusy = true;
    const done = (result?: unknown) => {
      holder.isBusy = false;
      if (method === 'acquire' && result === true) holder.count++;
      // Of what has failed nothing is known: who released it all the same finds another way.
      if (method === 'release') holder.count--;
      if (holder.count > 0) return;
      const left = this.#holders.get(ident as string)?.filter((other) => other !== holder) ?? [];
      if (left.length > 0) this.#holders.set(ident as string, left);
      else this.#holders.delete(ident as string);
      this.#giveBack(holder.conversation);
    };
    return { conversation: holder.conversation, done };
  }

  //
  // Calls
  //

  async call(call: Call): Promise<unknown> {
    if (call.ident === null) return this.#control(call);
    const { conversation, done } = this.#way(call);
    let result: unknown;
    try {
      result = await conversation.call(call);
    } finally {
      done(result);
    }
    return result;
  }

  callSync(call: Call): unknown {
    if (call.ident === null) return this.#controlSync(call);
    const { conversation, done } = this.#way(call);
    let result: unknown;
    try {
      result = conversation.callSync(call);
    } finally {
      done(result);
    }
    return result;
  }

  get #client(): ClientOptions {
    const { authkey, digests } = this.#options;
    return { authkey, digests, codec: { dumps: (obj) => obj as Uint8Array, loads: loadsAnswer } };
  }

  /** What is asked of the server itself has a connection for each. */
  async #control({ method, args, kwds }: Call): Promise<unknown> {
    const request = dumpsRequest(null, method, args, kwds);
    try {
      using connection = await Client(this.#options.address, this.#client);
      await connection.send(request);
      return resultOf((await connection.recv()) as ReturnType<typeof loadsAnswer>);
    } catch (error) {
      throw await this.#options.explain(this.#gone(error));
    }
  }

  #controlSync({ method, args, kwds }: Call): unknown {
    checkNotHere(this.#options.address);
    const request = dumpsRequest(null, method, args, kwds);
    try {
      using connection = ClientSync(this.#options.address, this.#client);
      connection.sendSync(request);
      return resultOf(connection.recvSync() as ReturnType<typeof loadsAnswer>);
    } catch (error) {
      throw this.#options.explainSync(this.#gone(error));
    }
  }

  look(): void {
    this.#main?.look();
  }

  refer(ident: string, soon: boolean): void {
    const call = { ident: null, method: 'incref', args: [ident] };
    if (soon) this.#control(call).catch(() => {});
    else this.#controlSync(call);
  }

  release(ident: string): void {
    if (!this.isOpen) return;
    this.#control({ ident: null, method: 'decref', args: [ident] }).catch(() => {});
  }

  releaseSync(ident: string): void {
    if (!this.isOpen) return;
    try {
      this.#controlSync({ ident: null, method: 'decref', args: [ident] });
    } catch {
      // The manager has gone before.
    }
  }

  async shutDown(timeout: number): Promise<void> {
    try {
      using connection = await Client(this.#options.address, {
        ...this.#client,
        authTimeout: timeout,
      });
      await connection.send(SHUTDOWN);
      await connection.poll(timeout);
    } catch {
      // It is going to end without.
    }
  }

  shutDownSync(timeout: number): void {
    try {
      using connection = ClientSync(this.#options.address, {
        ...this.#client,
        authTimeout: timeout,
      });
      connection.sendSync(SHUTDOWN);
      connection.pollSync(timeout);
    } catch {
      // It is going to end without.
    }
  }

  close(error?: unknown): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const conversation of [...this.#all]) conversation.close(error);
    this.#options.closed(this);
  }

  leaveToParent(): void {
    if (this.#generation === generation()) return;
    for (const conversation of this.#all) conversation.leaveToParent();
    this.#isClosed = true;
  }
}

const SHUTDOWN = dumpsRequest(null, 'shutdown', [], undefined);

/** They go by the connection that holds the lock. */
const FOR_HOLDERS: ReadonlySet<string> = new Set([
  'acquire',
  'release',
  'wait',
  'notify',
  'notify_all',
]);

/** @throws what the manager says */
function resultOf({ kind, result }: ReturnType<typeof loadsAnswer>): unknown {
  if (kind === '#RETURN') return result;
  throw kind === '#ERROR' ? withTraceback(result) : new RemoteError(String(result));
}

linkMakers.set('pickle', (options) => new PythonLink(options));
