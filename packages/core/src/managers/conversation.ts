/**
 * A connection to a manager, and the calls that go over it: in their order, and each gets its answer as it comes. A blocking call writes
 * and reads the socket itself, and hands out on the way what others wait for. Deviations: D-141.
 */
import { constants } from 'node:buffer';
import {
  clearTimeout,
  close,
  closeRaw,
  dup,
  now,
  POLLIN,
  POLLOUT,
  poll,
  setTimeout,
} from '@multiprocessing/posix';
import { Client, ClientSync } from '../connection/client.ts';
import type { Connection } from '../connection/connection.ts';
import { withTraceback } from '../pool/errors.ts';
import { generation } from '../wait/hub.ts';
import { behindThis, LoopTurns } from '../wait/loop_turns.ts';
import type { Call, ClientWire, LinkOptions, Loaded } from './calls.ts';
import { Channel } from './channel.ts';
import { isGone, RemoteError } from './errors.ts';
import { checkNotHere, readFrom } from './local_server.ts';
import { SpinOdds } from './spin_odds.ts';

interface Pending {
  readonly call: Call;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** After so many milliseconds without a call it is looked whether the manager is still there. */
const IDLE = 100;
/** What has not gone yet is written at once from so many bytes on. */
const MOST_TOGETHER = 1 << 12;
const LAST_SERIAL = 0xffffffff;
/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST_TIMER = 0x7fffffff;

/** @internal */
export class Conversation {
  readonly #options: LinkOptions;
  readonly #wire: ClientWire;
  readonly #generation = generation();
  #fd = -1;
  #channel: Channel | undefined;
  #connecting: Promise<void> | undefined;
  #isClosed = false;
  #serial = 0;
  readonly #pending = new Map<number, Pending>();
  /** Requests that wait for the connection. */
  #backlog: [body: Uint8Array, serial: number][] = [];
  /** Whose answer is the next one, where they have no numbers. */
  #answered = 0;
  #isFlushing = false;
  #isWriting = false;
  #isListening = false;
  #lastUse = 0;
  readonly #hope = new SpinOdds();
  readonly #awaited = new SpinOdds();
  readonly #turns = new LoopTurns();
  readonly #fill = () => this.#channel?.fill() === true;

  constructor(options: LinkOptions, wire: ClientWire) {
    this.#options = options;
    this.#wire = wire;
  }

  get isOpen(): boolean {
    return !this.#isClosed && this.#generation === generation();
  }

  /** Whether nobody waits for an answer. */
  get isIdle(): boolean {
    return this.#pending.size === 0;
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
    const hello = { ident: null, method: 'accept_connection', args: [this.#options.name] };
    this.#channel.add(this.#wire.request(hello), this.#numbered(0));
    for (const [body, serial] of this.#backlog) this.#channel.add(body, serial);
    this.#backlog = [];
  }

  #connectSync(authTimeout?: number): Channel {
    if (this.#channel !== undefined) return this.#channel;
    const { address, authkey, digests } = this.#options;
    try {
      this.#attach(ClientSync(address, { authkey, digests, authTimeout }));
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
    const { address, authkey, digests } = this.#options;
    try {
      const connection = await Client(address, { authkey, digests });
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

  /** What goes before a message. */
  #numbered(serial: number): number {
    return this.#wire.isNumbered ? serial : -1;
  }

  #send(body: Uint8Array, serial: number): void {
    if (this.#channel === undefined) this.#backlog.push([body, this.#numbered(serial)]);
    else this.#channel.add(body, this.#numbered(serial));
  }

  call(call: Call): Promise<unknown> {
    // First: what cannot be sent has no number, for where answers have none the next one would be taken for its.
    const request = this.#wire.request(call);
    const serial = this.#next();
    return new Promise((resolve, reject) => {
      this.#pending.set(serial, { call, resolve, reject });
      this.#send(request, serial);
      if (this.#channel === undefined) this.#connect();
      else {
        // The manager need not wait for all of many.
        if (this.#channel.unsent > MOST_TOGETHER) this.#flush();
        else this.#flushSoon();
        this.#listen();
      }
    });
  }

  callSync(call: Call): unknown {
    checkNotHere(this.#options.address);
    const request = this.#wire.request(call);
    const serial = this.#next();
    const channel = this.#connectSync();
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
    this.#send(request, serial);
    try {
      if (this.#isWriting) channel.cancelWritable();
      this.#isWriting = false;
      this.#sendAll(channel);
      while (outcome === undefined) {
        const message = channel.next();
        if (message !== undefined) this.#take(message, serial);
        else if (!this.#hope.spin(this.#fill)) channel.fill(true);
      }
      // What came along is here, and no event will tell of it.
      this.#takeAll(channel);
    } catch (error) {
      const why = isGone(error) ? this.#options.explainSync(error) : error;
      this.close(why);
      throw why;
    }
    this.#lastUse = now();
    this.#rest();
    this.#listen(); // for those who wait since before there was a connection
    if ('error' in outcome) throw outcome.error;
    return (outcome as { value: unknown }).value;
  }

  /** Reads meanwhile: the manager hears nobody who does not take his answers. */
  #sendAll(channel: Channel): void {
    while (!channel.flush()) {
      poll([channel.fd], undefined, POLLIN | POLLOUT);
      while (channel.fill()) this.#takeAll(channel);
    }
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

  /** Sends what wants no answer, for a numbered wire. @param wait whether to connect now, if it is not; it throws nothing */
  post(call: Call, wait: boolean, authTimeout?: number): void {
    if (!this.isOpen) return;
    try {
      this.#send(this.#wire.request(call), 0);
      if (wait) this.#connectSync(authTimeout);
      if (this.#channel !== undefined) this.#flushSoon();
      else this.#connect();
      if (wait) this.#flush();
    } catch {
      // Whoever calls a method is told.
    }
  }

  /** Connects, if it is not. It throws nothing. @param timeout seconds @returns whether it is connected */
  async connected(timeout: number): Promise<boolean> {
    this.#connect();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, Math.min(timeout * 1000, LONGEST_TIMER));
    });
    await Promise.race([this.#connecting, late]);
    clearTimeout(timer);
    return this.#channel !== undefined;
  }

  //
  // Answers
  //

  #take(message: Buffer, blocking?: number): void {
    const wire = this.#wire;
    const serial = wire.isNumbered ? wire.serialOf(message) : this.#answered++;
    const pending = this.#pending.get(serial);
    if (pending === undefined) return;
    this.#pending.delete(serial);
    try {
      const loaded = readFrom(this.#options.address, () => wire.load(message, serial === blocking));
      if (!(loaded instanceof Promise)) settle(pending, loaded);
      else loaded.then((later) => settle(pending, later), pending.reject);
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
        this.#takeAll(channel);
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
      this.#linger();
    });
  }

  /** The answer to one call that comes within microseconds is not worth a turn of the event loop. */
  #linger(): void {
    if (this.#pending.size !== 1 || this.#isWriting || this.#turns.due()) return;
    try {
      if (this.#channel === undefined || !this.#awaited.spin(this.#fill)) return;
      this.#takeAll(this.#channel);
      this.#rest();
    } catch (error) {
      void this.#lost(error);
    }
  }

  #takeAll(channel: Channel): void {
    for (let m = channel.next(); m !== undefined; m = channel.next()) this.#take(m);
  }

  #flush(): void {
    const channel = this.#channel;
    if (channel === undefined || this.#isWriting || this.#isClosed) return;
    try {
      if (channel.flush()) return;
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
function settle({ call, resolve, reject }: Pending, { kind, result }: Loaded): void {
  try {
    if (kind === '#RETURN') resolve(result);
    else if (kind === '#PROXY') resolve(call.shared === undefined ? result : call.shared(result));
    else if (kind === '#ERROR') reject(withTraceback(result));
    else reject(new RemoteError(String(result)));
  } catch (error) {
    reject(error);
  }
}
