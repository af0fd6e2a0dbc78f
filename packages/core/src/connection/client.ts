/**
 * Counterpart of `Client` in multiprocessing/connection.py. Deviations: D-081, D-085, D-087.
 */
import { connectStream, connectStreamSync } from '@multiprocessing/posix';
import { checkOptions, checkTimeout } from '../base/arguments.ts';
import { toAuthkey } from '../process/authkey.ts';
import {
  type Address,
  checkAddress,
  type Family,
  resolveAddress,
  resolveAddressSync,
} from './addresses.ts';
import { clientHandshake } from './authentication.ts';
import { checkDigests } from './challenges.ts';
import { type CodecOptions, codecOf, resolveCodec } from './codec.ts';
import type { Connection } from './connection.ts';
import { authenticate, authenticateSync } from './handshake.ts';
import { adoptConnection } from './listener.ts';

/** How long a listener may take to accept and to prove that it holds the key, in seconds. */
const AUTH_TIMEOUT = 60;

/** Options of a Client. */
export interface ClientOptions extends CodecOptions {
  /** Follows from the address. */
  family?: Family | undefined;
  /** Proved to the listener, which has to prove it, too; undefined for a listener without. */
  authkey?: Uint8Array | undefined;
  /** How long that proof may take, in seconds, until the listener accepts included: 60 without; Infinity waits for ever. */
  authTimeout?: number | undefined;
  /** The digests that the proof may use, see `AnswerOptions`. */
  digests?: readonly string[] | undefined;
}

/**
 * Connects to a listener; Python's `connection.Client`.
 *
 * With the default codec the listener chooses which modules `recv` imports here: connect to those that you trust.
 * @param address of a `Listener`, one of CPython's or of this library's
 * @throws ValueError, TypeError for a bad argument
 * @throws OSError ECONNREFUSED, ENOENT, ENOTFOUND among others
 * @throws AuthenticationError when one of the two does not hold the key, TimeoutError when the proof takes too long
 * @throws EOFError when the listener has hung up
 */
export async function Client(address: Address, options: ClientOptions = {}): Promise<Connection> {
  const { family, handshake, codec, authTimeout } = check(address, options);
  const fd = await connectStream(await resolveAddress(address, family));
  const connection = adoptConnection(fd, codec);
  if (handshake !== undefined) await authenticate(connection, handshake(), authTimeout);
  return connection;
}

/** The blocking twin of `Client`. */
export function ClientSync(address: Address, options: ClientOptions = {}): Connection {
  const { family, handshake, codec, authTimeout } = check(address, options);
  const connection = adoptConnection(connectStreamSync(resolveAddressSync(address, family)), codec);
  if (handshake !== undefined) authenticateSync(connection, handshake(), authTimeout);
  return connection;
}

const OPTIONS = ['family', 'authkey', 'codec', 'allowedModules', 'authTimeout', 'digests'];

function check(address: Address, options: ClientOptions) {
  checkOptions(options, OPTIONS, 'Client');
  const { authTimeout = AUTH_TIMEOUT, digests } = options;
  const codec = codecOf(options);
  const authkey = options.authkey === undefined ? undefined : toAuthkey(options.authkey);
  checkTimeout(authTimeout);
  checkDigests(digests);
  resolveCodec(codec);
  const handshake = authkey && (() => clientHandshake(authkey, { digests }));
  return { family: checkAddress(address, options.family), handshake, codec, authTimeout };
}
