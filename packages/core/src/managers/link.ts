/**
 * What all proxies of one manager in this process have in common: the connection to it. Calls go out in their order, and each gets its
 * answer as it comes: those that wait there for something hold up nobody. A blocking call writes and reads the socket itself, and
 * hands out on the way what others wait for. Deviations: D-141, D-143.
 */

import { constants } from 'node:buffer';
import { close, closeRaw, dup, now } from '@multiprocessing/posix';
import { SpinHope } from '../base/spin.ts';
import type { Address } from '../connection/addresses.ts';
import { Client, ClientSync } from '../connection/client.ts';
import type { Connection } from '../connection/connection.ts';
import { withTraceback } from '../pool/errors.ts';
import { generation } from '../wait/hub.ts';
import { behindThis } from '../wait/loop_turns.ts';
import { Channel } from './channel.ts';
import { isGone, RemoteError } from './errors.ts';
import { answerOf, type Kind, loadsMessage, requestBody, serialHead } from './node_wire.ts';

/** A call of an object's method, or of the server itself. @internal */
export interface Call {
  /** null for the server itself. */
  readonly ident: string | null;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly kwds?: object | undefined;
  /** Whether it may wait there for something. */
  readonly mayBlock?: boolean | undefined;
  /** Makes a proxy of a result that is shared. It keeps the caller's proxy alive. */
  readonly shared?: ((result: unknown) => unknown) | undefined;
}

/** How this process speaks with a manager. @internal */
export interface Link {
  readonly isOpen: boolean;
  call(call: Call): Promise<unknown>;
  callSync(call: Call): unknown;
  /** Counts a reference of a proxy that has come from another process. */
  refer(ident: string, soon: boolean): void;
  /** Gives one back. */
  release(ident: string): void;
  /** Gives one back at the end of the process. */
  releaseSync(ident: string): void;
  /** Tells the manager to end, and waits for no answer. It throws nothing. */
  shutDown(): Promise<void>;
  shutDownSync(): void;
  /** Closes it. Calls under way fail. */
  close(error?: unknown): void;
  /** In a forked child: it is the parent's. Does nothing in the process that made it. */
  leaveToParent(): void;
}

/** How a link is made, and what it says when it ends. @internal */
export interface LinkOptions {
  readonly address: Address;
  readonly authkey: Uint8Array;
  /** What the manager is told about this process. */
  readonly name: string;
  /** What a call is told that has found the manager gone. */
  explain(error: unknown): Promise<unknown>;
  explainSync(error: unknown): unknown;
  closed(link: Link): void;
}

interface Pending {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** As each look asks the kernel, there are fewer. */
const RARELY = 5;
/** After so many milliseconds without a call it is looked whether the manager is still there. */
const IDLE = 100;
const LAST_SERIAL = 0xffffffff;

let writing: Link | undefined;

/** Whether what is pickled now goes to that manager, behind which nothing of this process can overtake it. @internal */
export function goesTo(link: Link | undefined): boolean {
  return writing !== undefined && writing === link;
}

/** @internal */
export class NodeLink implements Link {
  readonly #options: LinkOptions;
  readonly #generation = generation();
  #fd = -1;
  #channel: Channel | undefined;
  #connecting: Promise<void> | undefined;
  #isClosed = false;
  #serial = 0;
  readonly #pending = new Map<number, Pending>();
  /** Requests that wait for the connection. */
  #backlog: [number, Uint8Array][] = [];
  #isFlushing = false;
  #isWriting = false;
  #isListening = false;
  #lastUse = 0;
  readonly #hope = new SpinHope();

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#generation === generation();
  }

  //
  // Connecting
  //

  #attach(connection: Connection): void {
    const fd = dup(connection.fileno());
    connection.close();
    if (this.#channel !== undefined || this.#isClosed) {
      close(fd);
      return;
    }
    this.#fd = fd;
    this.#channel = new Channel(fd, constants.MAX_LENGTH);
    this.#lastUse = now();
    const hello = requestBody(null, 'accept_connection', [this.#options.name], undefined);
    this.#channel.add(serialHead(0), hello);
    for (const [serial, body] of this.#backlog) this.#channel.add(serialHead(serial), body);
    this.#backlog = [];
  }

  #connectSync(): Channel {
    if (this.#channel !== undefined) return this.#channel;
    const { address, authkey } = this.#options;
    try {
      this.#attach(ClientSync(address, { authkey }));
    } catch (error) {
      const why = this.#options.explainSync(error);
      this.close(why);
      throw why;
    }
    return this.#channel as unknown as Channel;
  }

  #connect(): void {
    if (this.#channel === undefined) this.#connecting ??= this.#connectNow();
  }

  async #connectNow(): Promise<void> {
    const { address, authkey } = this.#options;
    try {
      const connection = await Client(address, { authkey });
      if (this.#generation !== generation()) return;
      this.#attach(connection);
      this.#flush();
      this.#listen();
    } catch (error) {
      if (this.#channel === undefined) this.close(await this.#options.explain(error));
    }
  }

  //
  // Calls
  //

  #next(): number {
    do this.#serial = this.#serial === LAST_SERIAL ? 1 : this.#serial + 1;
    while (this.#pending.has(this.#serial));
    return this.#serial;
  }

  #bodyOf({ ident, method, args, kwds }: Call): Uint8Array {
    writing = this;
    try {
      return requestBody(ident, method, args, kwds);
    } finally {
      writing = undefined;
    }
  }

  #send(serial: number, body: Uint8Array): void {
    if (this.#channel === undefined) this.#backlog.push([serial, body]);
    else this.#channel.add(serialHead(serial), body);
  }

  call(call: Call): Promise<unknown> {
    const body = this.#bodyOf(call);
    return new Promise((resolve, reject) => {
      const serial = this.#next();
      this.#pending.set(serial, { call, resolve, reject });
      this.#send(serial, body);
      if (this.#channel === undefined) this.#connect();
      else {
        this.#flushSoon();
        this.#listen();
      }
    });
  }

  callSync(call: Call): unknown {
    const body = this.#bodyOf(call);
    const channel = this.#connectSync();
    const serial = this.#next();
    let outcome: { value: unknown } | { error: unknown } | undefined;
    this.#pending.set(serial, {
      call,
      resolve: (value) => {
        outcome = { value };
      },
      reject: (error) => {
        outcome = { error };
      },
    });
    this.#send(serial, body);
    try {
      if (this.#isWriting) channel.cancelWritable();
      this.#isWriting = false;
      channel.flush(true);
      while (outcome === undefined) {
        const message = channel.next();
        if (message !== undefined) this.#take(message, serial);
        else if (!channel.fill() && !this.#hope.spin(() => channel.fill(), RARELY))
          channel.waitReadable();
      }
    } catch (error) {
      const why = isGone(error) ? this.#options.explainSync(error) : error;
      this.close(why);
      throw why;
    }
    this.#lastUse = now();
    this.#rest();
    if ('error' in outcome) throw outcome.error;
    return (outcome as { value: unknown }).value;
  }

  /** Finds out whether the manager has gone while nobody called. @internal */
  look(): void {
    if (this.#channel === undefined || this.#pending.size > 0 || now() - this.#lastUse < IDLE)
      return;
    try {
      this.#channel.fill();
      this.#lastUse = now();
    } catch {
      this.close();
    }
  }

  refer(ident: string, soon: boolean): void {
    this.#send(0, requestBody(null, 'incref', [ident], undefined));
    try {
      if (!soon) this.#connectSync();
      if (this.#channel === undefined) this.#connect();
      else this.#flush();
    } catch {
      // Whoever calls a method is told.
    }
  }

  release(ident: string): void {
    if (!this.isOpen) return;
    this.#send(0, requestBody(null, 'decref', [ident], undefined));
    if (this.#channel !== undefined) this.#flushSoon();
  }

  /** The end of the connection says it all. */
  releaseSync(): void {}

  async shutDown(): Promise<void> {
    try {
      this.#connect();
      await this.#connecting;
      this.shutDownSync();
    } catch {
      // It is going to end without.
    }
  }

  shutDownSync(): void {
    try {
      this.#connectSync();
      this.#send(0, requestBody(null, 'shutdown', [], undefined));
      this.#flush();
    } catch {
      // It is going to end without.
    }
  }

  //
  // Answers
  //

  #take(message: Buffer, blocking?: number): void {
    const { serial, kind, body } = answerOf(message);
    const pending = this.#pending.get(serial);
    if (pending === undefined) return;
    this.#pending.delete(serial);
    this.#lastUse = 0;
    try {
      const loaded = body.length === 0 ? undefined : loadsMessage(body, serial === blocking);
      if (!(loaded instanceof Promise)) settle(pending, kind, loaded);
      else loaded.then((result) => settle(pending, kind, result), pending.reject);
    } catch (error) {
      pending.reject(error);
    }
  }

  #listen(): void {
    if (this.#isListening || this.#isClosed || this.#pending.size === 0) return;
    this.#isListening = true;
    this.#channel?.whenReadable(this.#onReadable);
  }

  /** An idle connection keeps no event loop alive. */
  #rest(): void {
    if (!this.#isListening || this.#pending.size > 0) return;
    this.#isListening = false;
    this.#channel?.cancelReadable();
  }

  #onReadable = (): void => {
    this.#isListening = false;
    const channel = this.#channel;
    if (channel === undefined) return;
    try {
      do {
        for (let m = channel.next(); m !== undefined; m = channel.next()) this.#take(m);
      } while (this.#pending.size > 0 && channel.fill());
      this.#lastUse = now();
      this.#listen();
    } catch (error) {
      void this.#lost(error);
    }
  };

  async #lost(error: unknown): Promise<void> {
    if (this.#isClosed) return;
    const pending = this.#shut();
    const why = isGone(error) ? await this.#options.explain(error) : error;
    for (const { reject } of pending) reject(why);
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    behindThis(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const channel = this.#channel;
    if (channel === undefined || this.#isWriting || this.#isClosed) return;
    try {
      if (channel.flush(false)) return;
      this.#isWriting = true;
      channel.whenWritable((error) => {
        this.#isWriting = false;
        if (error === undefined) this.#flush();
        else void this.#lost(error);
      });
    } catch (error) {
      void this.#lost(error);
    }
  }

  //
  // The end
  //

  close(error?: unknown): void {
    if (this.#isClosed) return;
    const why = error ?? new RemoteError('the connection to the manager was closed');
    for (const { reject } of this.#shut()) reject(why);
  }

  /** @returns what waits */
  #shut(): Pending[] {
    this.#isClosed = true;
    this.#channel?.close();
    if (this.#fd >= 0) close(this.#fd);
    this.#channel = undefined;
    this.#fd = -1;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#backlog = [];
    this.#options.closed(this);
    return pending;
  }

  leaveToParent(): void {
    if (this.#generation === generation()) return;
    this.#isClosed = true;
    if (this.#fd >= 0) closeRaw(this.#fd);
    this.#fd = -1;
    this.#channel = undefined;
  }
}

/** @throws nothing @internal */
function settle({ call, resolve, reject }: Pending, kind: Kind, result: unknown): void {
  try {
    if (kind === '#RETURN') resolve(result);
    else if (kind === '#PROXY') resolve(call.shared === undefined ? result : call.shared(result));
    else if (kind === '#ERROR') reject(withTraceback(result));
    else reject(new RemoteError(String(result)));
  } catch (error) {
    reject(error);
  }
}
