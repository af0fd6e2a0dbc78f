/**
 * Counterpart of `Listener` in multiprocessing/connection.py. Deviations: D-081, D-083, D-085, D-086.
 */
import { inspect } from 'node:util';
import { close } from '@multiprocessing/posix';
import { checkOptions, checkTimeout } from '../base/arguments.ts';
import { typeError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { moreFds } from '../base/wait_fds.ts';
import { DupFd } from '../fds/dup_fd.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { toAuthkey } from '../process/authkey.ts';
import {
  _validateFamily,
  type Address,
  addressType,
  arbitraryAddress,
  checkAddress,
  defaultFamily,
  type Family,
} from './addresses.ts';
import { listenerHandshake } from './authentication.ts';
import { checkDigests } from './challenges.ts';
import { type CodecOption, type CodecOptions, codecOf, resolveCodec } from './codec.ts';
import { Connection } from './connection.ts';
import { Reception } from './reception.ts';
import { SocketListener } from './socket_listener.ts';

/** How long a client may take to prove that it holds the key, in seconds. */
const AUTH_TIMEOUT = 20;

/** Options of a Listener. */
export interface ListenerOptions extends CodecOptions {
  /** Follows from the address. */
  family?: Family | undefined;
  /** How many connections may wait to be accepted. */
  backlog?: number | undefined;
  /** Clients have to prove that they hold it; undefined lets everybody in. */
  authkey?: Uint8Array | undefined;
  /** How long a client may take for that proof, in seconds, 20 without; Infinity waits for ever. */
  authTimeout?: number | undefined;
  /** The digests that the proof may use, see `AnswerOptions`. */
  digests?: readonly string[] | undefined;
}

const OPTIONS = [
  'family',
  'backlog',
  'authkey',
  'codec',
  'allowedModules',
  'authTimeout',
  'digests',
];

/** What a Listener is made of when it comes from another process. */
interface ListenerState {
  readonly fd: DupFd;
  readonly options: Pick<ListenerOptions, 'authkey' | 'codec' | 'authTimeout' | 'digests'>;
}

/**
 * Waits for connections at an address; Python's `connection.Listener`.
 *
 * It can be given to processes in their `args`: all of them accept then, and each connection goes to one. The path of a
 * Unix socket is removed by the process that made it, when it closes the listener or ends.
 */
export class Listener {
  readonly #socket: SocketListener;
  readonly #options: ListenerState['options'];
  /** Without a key there is none. */
  readonly #reception: Reception | undefined;
  #closed = false;

  /**
   * @param address `[host, port]` (port 0 is any free one), a path or `'\0name'`; without it a path in a directory of
   *   this program's own. A host's name is looked up meanwhile
   * @throws ValueError, TypeError for a bad argument
   * @throws OSError EADDRINUSE, ENOTFOUND, ENAMETOOLONG among others
   * @throws NotImplementedError on other systems than Linux
   */
  constructor(address?: Address, options: ListenerOptions = {}) {
    checkOptions(options, OPTIONS, 'Listener');
    const { family, backlog = 1, authTimeout = AUTH_TIMEOUT, digests } = options;
    const codec = codecOf(options);
    const authkey = options.authkey === undefined ? undefined : toAuthkey(options.authkey);
    checkTimeout(authTimeout);
    checkDigests(digests);
    resolveCodec(codec);
    if (!Number.isInteger(backlog)) {
      throw typeError(`backlog must be a whole number, not ${inspect(backlog)}`);
    }
    const adopted = (options as { [adopt]?: SocketListener })[adopt];
    this.#socket = adopted ?? bind(address, family, Math.min(Math.max(backlog, 0), 0x7fffffff));
    this.#options = { authkey, codec, authTimeout, digests };
    if (authkey !== undefined) {
      const handshake = () => listenerHandshake(authkey, { digests });
      this.#reception = new Reception(this.#socket, handshake, authTimeout);
    }
  }

  /** Where it listens, with the port that it has got. */
  get address(): Address {
    return this.#socket.address;
  }

  /** Where the client is that was accepted last: '' for a Unix socket without a name; undefined before the first. */
  get lastAccepted(): Address | undefined {
    return this.#socket.lastAccepted;
  }

  /** The socket's fd, for `wait`. @throws OSError when it is closed */
  fileno(): number {
    return this.#socket.fd;
  }

  /** Those whose proof is under way: `wait` finds the listener ready when one of them has said something. @internal */
  get [moreFds](): readonly number[] {
    return this.#reception?.fds ?? [];
  }

  /**
   * Waits for a connection; Python's `Listener.accept`. After an error, other than that it is closed, it can be called
   * again. Several calls may wait: each gets a connection, and none waits for the proof of another's.
   * @throws AuthenticationError when the client does not hold the key, TimeoutError when it does not prove it in time
   * @throws OSError 'listener is closed', also when that happens meanwhile
   * @throws EOFError, OSError when the client has gone away during the proof
   */
  async accept(): Promise<Connection> {
    const reception = this.#reception;
    const fd =
      reception === undefined ? (await this.#socket.accept()).fd : await reception.accept();
    return adoptConnection(fd, this.#options.codec);
  }

  /** The blocking twin of `accept`. */
  acceptSync(): Connection {
    const fd = this.#reception?.acceptSync() ?? this.#socket.acceptSync().fd;
    return adoptConnection(fd, this.#options.codec);
  }

  /** Stops listening; what waits in `accept` is rejected. A second call does nothing. */
  close(): void {
    this.#closed = true;
    this.#reception?.close();
    this.#socket.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** How it is pickled: its fd goes over, and the key with it. @throws TypeError for one with a key unless a child is being launched */
  [reduceSymbol](): [typeof rebuildListener, [ListenerState]] {
    const fd = new DupFd(this.#socket.fd);
    return [rebuildListener, [{ fd, options: this.#options }]];
  }

  toString(): string {
    const where = this.#closed ? 'closed' : `address=${inspect(this.address)}`;
    return `<${this.constructor.name} ${where}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

const adopt = Symbol('adopt');

/** @internal */
export function rebuildListener({ fd, options }: ListenerState): Listener {
  const socket = SocketListener.adopt(fd.detach());
  return new Listener(undefined, { ...options, [adopt]: socket } as ListenerOptions);
}

nameExports(import.meta.url, { Listener, rebuildListener });

function bind(
  given: Address | undefined,
  family: string | undefined,
  backlog: number,
): SocketListener {
  const type = family ?? (given ? addressType(given) : defaultFamily);
  _validateFamily(type);
  const address = given || arbitraryAddress(type);
  return SocketListener.bind(address, checkAddress(address, type), backlog);
}

/** A connection over a socket, which is closed if there can be none. @internal */
export function adoptConnection(fd: number, codec: CodecOption | undefined): Connection {
  try {
    return new Connection(fd, { codec });
  } catch (error) {
    close(fd);
    throw error;
  }
}
