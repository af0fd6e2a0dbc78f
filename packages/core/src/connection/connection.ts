/**
 * Counterpart of multiprocessing/connection.py: Connection and Pipe. Its `wait` is in base/wait_fds.ts.
 * Deviations: D-069, D-070, D-071, D-072, D-073.
 *
 *     addresses.ts         what an address is, and its family
 *     authentication.ts    deliverChallenge, answerChallenge
 *     challenges.ts        what is sent and signed for that
 *     client.ts            Client
 *     codec.ts             how objects become bytes
 *     family.ts            of which user a process of the family can be
 *     fd_fetcher.ts        who fetches an fd of another process
 *     frames.ts            messages in a byte stream
 *     handshake.ts         authentication of a new connection, with a time limit
 *     listener.ts          Listener
 *     pending_receives.ts  receives in the order of their calls
 *     pending_sends.ts     sends in the order of their calls
 *     reception.ts         the proofs of those who come to a listener
 *     resource_sharer.ts   resource_sharer.py: fds that other processes fetch
 *     socket_listener.ts   SocketListener
 */
import { inspect, types } from 'node:util';
import { close, Stream, StreamWatch, streamPair } from '@multiprocessing/posix';
import { checkOptions, checkTimeout } from '../base/arguments.ts';
import { BufferTooShort, OSError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { DupFd } from '../fds/dup_fd.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import type { Reduced } from '../pickle/reduction.ts';
import { generation } from '../wait/hub.ts';
import { type Codec, type CodecOption, type CodecOptions, codecOf, resolveCodec } from './codec.ts';
import { BadMessageLength, type Wish } from './frames.ts';
import { PendingReceives } from './pending_receives.ts';
import { PendingSends } from './pending_sends.ts';

const EBADF = 9;

/** Memory that messages are sent from and received into. */
export type Bytes = ArrayBufferView | ArrayBufferLike;

/** Options of a Connection. */
export interface ConnectionOptions extends CodecOptions {
  readable?: boolean;
  writable?: boolean;
}

/** Options of a Pipe. */
export type PipeOptions = CodecOptions;

/** The open fd of a connection, and what waits for it. It does not know the Connection, which may be collected. */
class Handle {
  readonly fd: number;
  readonly receives: PendingReceives;
  readonly sends: PendingSends;
  readonly generation = generation();
  #watch: StreamWatch | undefined;

  constructor(stream: Stream) {
    this.fd = stream.fd;
    const watch = () => {
      this.#watch ??= StreamWatch(this.fd);
      return this.#watch;
    };
    this.receives = new PendingReceives(stream, watch);
    this.sends = new PendingSends(stream, watch);
  }

  close(): void {
    this.#watch?.close();
    close(this.fd);
    if (this.generation !== generation()) return; // what waits is the parent's
    const error = new OSError(EBADF, 'handle is closed');
    this.receives.fail(error);
    this.sends.fail(error);
  }
}

const collected = new FinalizationRegistry<Handle>((handle) => handle.close());

function closedError(): OSError {
  return new OSError(EBADF, 'handle is closed');
}

/**
 * One end of a pipe or socket that whole messages go through; Python's `multiprocessing.connection.Connection`.
 *
 * Messages go out in the order of the calls of `send`, and the calls of `recv` are served in their order, the blocking
 * and the asynchronous ones together. As in Python, objects that a stranger sends are not to be received with the
 * default codec: it imports the modules and calls the constructors that the message names.
 */
export class Connection {
  #handle: Handle | undefined;
  #readable: boolean;
  readonly #writable: boolean;
  readonly #codec: Codec;
  readonly #codecOption: CodecOption | undefined;

  /**
   * @param handle an open fd of a pipe or stream socket, which the connection closes from now on
   * @param options readable, writable, codec, allowedModules
   * @throws TypeError or ValueError for what is no fd, OSError EBADF for one that is not open
   */
  constructor(handle: number, options: ConnectionOptions = {}) {
    const { readable = true, writable = true } = options;
    if (typeof handle !== 'number' || !Number.isInteger(handle)) {
      throw typeError(`handle must be an fd, not ${inspect(handle)}`);
    }
    if (handle < 0) throw new ValueError(`invalid handle: ${handle}`);
    if (!readable && !writable) {
      throw new ValueError('at least one of readable and writable must be true');
    }
    this.#codecOption = codecOf(options);
    this.#codec = resolveCodec(this.#codecOption);
    this.#readable = readable;
    this.#writable = writable;
    this.#handle = new Handle(new Stream(handle));
    collected.register(this, this.#handle, this);
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#handle === undefined;
  }

  /** Whether it can receive. */
  get readable(): boolean {
    return this.#readable;
  }

  /** Whether it can send. */
  get writable(): boolean {
    return this.#writable;
  }

  /** The fd. @throws OSError when it is closed */
  fileno(): number {
    if (this.#handle === undefined) throw closedError();
    return this.#handle.fd;
  }

  /** Closes it. What waits for it ends with an OSError; a second time does nothing. */
  close(): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#handle = undefined;
    collected.unregister(this);
    handle.close();
  }

  //
  // Sending
  //

  /**
   * Sends an object; Python's `send`.
   * @throws PicklingError, OSError, BrokenPipeError when nobody can receive any more
   */
  async send(obj: unknown): Promise<void> {
    const { sends } = this.#writableHandle();
    return sends.send(this, this.#codec.dumps(obj));
  }

  /** The blocking twin of `send`. */
  sendSync(obj: unknown): void {
    const { sends } = this.#writableHandle();
    sends.sendSync(this.#codec.dumps(obj));
  }

  /**
   * Sends bytes as one message; Python's `send_bytes`. More than 16 KiB are not copied: they must not change until the
   * promise is settled.
   * @param bytes a view, an ArrayBuffer or a SharedArrayBuffer
   * @param offset where to begin, in bytes
   * @param size how many bytes; the rest, without
   * @throws TypeError, ValueError, OSError, BrokenPipeError
   */
  async sendBytes(bytes: Bytes, offset = 0, size?: number): Promise<void> {
    const { sends } = this.#writableHandle();
    return sends.send(this, partOf(bytes, offset, size));
  }

  /** The blocking twin of `sendBytes`. */
  sendBytesSync(bytes: Bytes, offset = 0, size?: number): void {
    const { sends } = this.#writableHandle();
    sends.sendSync(partOf(bytes, offset, size));
  }

  //
  // Receiving
  //

  /**
   * Receives an object; Python's `recv`.
   * @throws EOFError when the other end is closed, UnpicklingError, OSError
   */
  async recv(): Promise<unknown> {
    return this.#codec.loads(await this.#receive({}));
  }

  /** The blocking twin of `recv`. */
  recvSync(): unknown {
    const bytes = this.#receiveSync({});
    const codec = this.#codec;
    return codec.loadsSync === undefined ? codec.loads(bytes) : codec.loadsSync(bytes);
  }

  /**
   * Receives one message; Python's `recv_bytes`.
   * @param maxlength the longest that is accepted, in bytes
   * @throws EOFError when the other end is closed, OSError; also for a longer message, after which nothing can be received
   */
  async recvBytes(maxlength?: number): Promise<Uint8Array> {
    return this.#receive(wishFor(maxlength));
  }

  /** The blocking twin of `recvBytes`. */
  recvBytesSync(maxlength?: number): Uint8Array {
    return this.#receiveSync(wishFor(maxlength));
  }

  /**
   * Receives one message into memory; Python's `recv_bytes_into`.
   * @param buffer a view, an ArrayBuffer or a SharedArrayBuffer
   * @param offset where the message goes, in bytes
   * @returns its length in bytes
   * @throws BufferTooShort, with the message, when it does not fit; EOFError, OSError, TypeError, ValueError
   */
  async recvBytesInto(buffer: Bytes, offset = 0): Promise<number> {
    const into = targetIn(buffer, offset);
    return lengthIn(into, await this.#receive({ into }));
  }

  /** The blocking twin of `recvBytesInto`. */
  recvBytesIntoSync(buffer: Bytes, offset = 0): number {
    const into = targetIn(buffer, offset);
    return lengthIn(into, this.#receiveSync({ into }));
  }

  /**
   * Whether there is something to receive; Python's `poll`. It takes nothing; at the end of file it is true.
   * @param timeout seconds to wait for it; undefined waits for ever, 0 and less do not wait
   * @throws OSError
   */
  async poll(timeout?: number | undefined): Promise<boolean>;
  async poll(...args: [timeout?: number]): Promise<boolean> {
    const { receives } = this.#readableHandle();
    return receives.look(this, pollTimeout(args));
  }

  /** The blocking twin of `poll`. */
  pollSync(timeout?: number | undefined): boolean;
  pollSync(...args: [timeout?: number]): boolean {
    const { receives } = this.#readableHandle();
    return receives.lookSync(pollTimeout(args));
  }

  #receive(wish: Wish): Uint8Array | Promise<Uint8Array> {
    const { receives } = this.#readableHandle();
    try {
      const received = receives.receive(this, wish);
      if (received instanceof Uint8Array) return received;
      return received.catch((error: unknown) => {
        throw this.#noteBadLength(error);
      });
    } catch (error) {
      throw this.#noteBadLength(error);
    }
  }

  #receiveSync(wish: Wish): Uint8Array {
    const { receives } = this.#readableHandle();
    try {
      return receives.receiveSync(wish);
    } catch (error) {
      throw this.#noteBadLength(error);
    }
  }

  /** After a length that cannot be right there is no telling where the next message begins. */
  #noteBadLength(error: unknown): unknown {
    if (error instanceof BadMessageLength) {
      if (this.#writable) this.#readable = false;
      else this.close();
    }
    return error;
  }

  #readableHandle(): Handle {
    const handle = this.#openHandle();
    if (!this.#readable) throw new OSError(EBADF, 'connection is write-only');
    return handle;
  }

  #writableHandle(): Handle {
    const handle = this.#openHandle();
    if (!this.#writable) throw new OSError(EBADF, 'connection is read-only');
    return handle;
  }

  #openHandle(): Handle {
    const handle = this.#handle;
    if (handle === undefined) throw closedError();
    if (handle.generation === generation()) return handle;
    // In a forked child: what waits is the parent's.
    collected.unregister(this);
    this.#handle = new Handle(new Stream(handle.fd));
    collected.register(this, this.#handle, this);
    return this.#handle;
  }

  [reduceSymbol](): Reduced {
    const options = { readable: this.readable, writable: this.writable, codec: this.#codecOption };
    return [rebuildConnection, [new DupFd(this.fileno()), options]];
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  toString(): string {
    return `<${this.constructor.name} ${this.closed ? 'closed' : `handle=${this.fileno()}`}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** Makes the connection again in another process; Python's `rebuild_connection`. @internal */
export function rebuildConnection(fd: DupFd, options: ConnectionOptions): Connection {
  return new Connection(fd.detach(), options);
}

/**
 * Makes two connected connections; Python's `Pipe`.
 * @param duplex whether both can send and receive; otherwise the first one receives and the second one sends
 * @param options of both connections: codec, allowedModules
 * @throws OSError
 */
export function Pipe(duplex = true, options: PipeOptions = {}): [Connection, Connection] {
  checkOptions(options, ['codec', 'allowedModules'], 'Pipe');
  const codec = codecOf(options);
  resolveCodec(codec);
  const [a, b] = streamPair(duplex);
  return [
    new Connection(a, { writable: duplex, codec }),
    new Connection(b, { readable: duplex, codec }),
  ];
}

//
// Arguments
//

function bytesOf(bytes: Bytes, name: string): Uint8Array {
  if (types.isUint8Array(bytes)) return bytes;
  if (ArrayBuffer.isView(bytes)) {
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  if (types.isAnyArrayBuffer(bytes)) {
    return new Uint8Array(bytes);
  }
  throw typeError(
    `${name} must be a typed array, a DataView or an ArrayBuffer, not ${inspect(bytes)}`,
  );
}

function checkInteger(value: unknown, name: string): void {
  if (!Number.isInteger(value))
    throw typeError(`${name} must be a whole number, not ${inspect(value)}`);
  if ((value as number) < 0) throw new ValueError(`${name}: ${value} is negative`);
}

function partOf(bytes: Bytes, offset: number, size: number | undefined): Uint8Array {
  const all = bytesOf(bytes, 'bytes');
  if (offset === 0 && size === undefined) return all;
  checkInteger(offset, 'offset');
  if (offset > all.length) {
    throw new ValueError(`offset: ${offset} is more than the ${all.length} bytes there are`);
  }
  if (size === undefined) return all.subarray(offset);
  checkInteger(size, 'size');
  if (offset + size > all.length) {
    throw new ValueError(
      `size: ${offset} + ${size} is more than the ${all.length} bytes there are`,
    );
  }
  return all.subarray(offset, offset + size);
}

function wishFor(maxlength: number | undefined): Wish {
  if (maxlength !== undefined) checkInteger(maxlength, 'maxlength');
  return { maxlength };
}

function targetIn(buffer: Bytes, offset: number): Uint8Array {
  const all = bytesOf(buffer, 'buffer');
  checkInteger(offset, 'offset');
  if (offset > all.length) {
    throw new ValueError(`offset: ${offset} is more than the ${all.length} bytes of the buffer`);
  }
  return all.subarray(offset);
}

function lengthIn(into: Uint8Array, message: Uint8Array): number {
  if (message.length > into.length) throw new BufferTooShort(message);
  return message.length;
}

/** Without an argument it does not wait; an undefined one is Python's None. */
function pollTimeout(args: readonly [timeout?: number]): number | undefined {
  if (args.length === 0) return 0;
  checkTimeout(args[0]);
  return args[0];
}

nameExports(import.meta.url, { Connection, rebuildConnection });
