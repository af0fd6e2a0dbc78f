/**
 * Counterpart of "Authentication stuff" in multiprocessing/connection.py: each side proves that it holds the key without
 * showing it. The bytes on the wire are CPython's, those of 3.12 and later and those of 3.11 and before.
 * Deviations: D-084.
 */
import { inspect } from 'node:util';
import { urandom } from '@multiprocessing/posix';
import { AuthenticationError, ValueError } from '../base/errors.ts';

const CHALLENGE = Buffer.from('#CHALLENGE#');
const WELCOME = Buffer.from('#WELCOME#');
const FAILURE = Buffer.from('#FAILURE#');

/** Random bytes of a challenge. With the digest's name in front it is longer than one of Python 3.11. */
const MESSAGE_LENGTH = 40;

/** The longest message that is accepted of somebody who has not proved anything. @internal */
export const MAX_HANDSHAKE_MESSAGE = 256;

/** The digests that a side may ask for. */
const DIGESTS: readonly string[] = ['md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384'];
const LONGEST_DIGEST_NAME = Math.max(...DIGESTS.map(({ length }) => length));

/** Python up to 3.11 sends challenges of 20 bytes and answers of 16, HMAC-MD5 without a name. */
const LEGACY_CHALLENGE = 20;
const LEGACY_LENGTHS: readonly number[] = [LEGACY_CHALLENGE, 16];

/** What messages go through: a `Connection`, or anything that has these two. */
export interface MessageChannel {
  sendBytes(bytes: Uint8Array): unknown;
  recvBytes(maxlength: number): Uint8Array | Promise<Uint8Array>;
}

/** What messages go through while the thread blocks. */
export interface MessageChannelSync {
  sendBytesSync(bytes: Uint8Array): unknown;
  recvBytesSync(maxlength: number): Uint8Array;
}

/** Options of `deliverChallenge`. */
export interface ChallengeOptions {
  /** md5, sha256, sha384, sha3_256 or sha3_384. */
  digestName?: string | undefined;
}

/** A handshake without its channel: it yields what is to be sent, or undefined to be given the next message. @internal */
export type Handshake = Generator<Uint8Array | undefined, void, Uint8Array>;

/**
 * Has the other side prove that it holds the key; Python's `connection.deliver_challenge`.
 * @throws AuthenticationError if it does not hold it, ValueError for a key that is no bytes or an unknown digest
 * @throws what the channel throws, EOFError among others
 */
export async function deliverChallenge(
  connection: MessageChannel,
  authkey: Uint8Array,
  options?: ChallengeOptions,
): Promise<void> {
  await drive(delivering(authkey, options), connection);
}

/** The blocking twin of `deliverChallenge`. */
export function deliverChallengeSync(
  connection: MessageChannelSync,
  authkey: Uint8Array,
  options?: ChallengeOptions,
): void {
  driveSync(delivering(authkey, options), connection);
}

/**
 * Proves to the other side that this one holds the key; Python's `connection.answer_challenge`.
 * @throws AuthenticationError if the other side is not convinced or sends no challenge, ValueError for a key that is no bytes
 * @throws what the channel throws, EOFError among others
 */
export async function answerChallenge(
  connection: MessageChannel,
  authkey: Uint8Array,
): Promise<void> {
  await drive(answering(authkey), connection);
}

/** The blocking twin of `answerChallenge`. */
export function answerChallengeSync(connection: MessageChannelSync, authkey: Uint8Array): void {
  driveSync(answering(authkey), connection);
}

/** What a listener does with a connection. @internal */
export function* listenerHandshake(authkey: Uint8Array): Handshake {
  yield* delivering(authkey);
  yield* answering(authkey);
}

/** What a client does. @internal */
export function* clientHandshake(authkey: Uint8Array): Handshake {
  yield* answering(authkey);
  yield* delivering(authkey);
}

/** Does a handshake over a channel. @internal */
export async function drive(handshake: Handshake, channel: MessageChannel): Promise<void> {
  for (let step = handshake.next(); !step.done; ) {
    if (step.value !== undefined) {
      await channel.sendBytes(step.value);
      step = handshake.next();
    } else {
      step = handshake.next(await channel.recvBytes(MAX_HANDSHAKE_MESSAGE));
    }
  }
}

function driveSync(handshake: Handshake, channel: MessageChannelSync): void {
  for (let step = handshake.next(); !step.done; ) {
    if (step.value !== undefined) {
      channel.sendBytesSync(step.value);
      step = handshake.next();
    } else {
      step = handshake.next(channel.recvBytesSync(MAX_HANDSHAKE_MESSAGE));
    }
  }
}

function* delivering(
  authkey: Uint8Array,
  { digestName = 'sha256' }: ChallengeOptions = {},
): Handshake {
  checkKey(authkey);
  if (!DIGESTS.includes(digestName)) {
    throw new ValueError(
      `digestName must be one of ${DIGESTS.join(', ')}, not ${inspect(digestName)}`,
    );
  }
  const challenge = Buffer.concat([Buffer.from(`{${digestName}}`), urandom(MESSAGE_LENGTH)]);
  yield Buffer.concat([CHALLENGE, challenge]);
  const response = yield undefined;
  try {
    _verifyChallenge(authkey, challenge, response);
  } catch (error) {
    yield FAILURE;
    throw error;
  }
  yield WELCOME;
}

function* answering(authkey: Uint8Array): Handshake {
  checkKey(authkey);
  const message = Buffer.from(yield undefined);
  if (!message.subarray(0, CHALLENGE.length).equals(CHALLENGE)) {
    throw new AuthenticationError(`Protocol error, expected challenge: message=${show(message)}`);
  }
  const challenge = message.subarray(CHALLENGE.length);
  if (challenge.length < LEGACY_CHALLENGE) {
    throw new AuthenticationError(`challenge too short: ${challenge.length} bytes`);
  }
  yield _createResponse(authkey, challenge);
  const verdict = yield undefined;
  if (!WELCOME.equals(verdict)) throw new AuthenticationError('digest sent was rejected');
}

function checkKey(authkey: unknown): void {
  if (authkey instanceof Uint8Array) return;
  throw new ValueError(`authkey must be bytes (a Uint8Array), not ${inspect(authkey)}`);
}

/**
 * The answer to a challenge; Python's `connection._create_response`.
 * @throws AuthenticationError for a challenge of no known form
 * @internal
 */
export function _createResponse(authkey: Uint8Array, challenge: Uint8Array): Uint8Array {
  const { digest } = parse(Buffer.from(challenge));
  if (digest !== undefined) return modernResponse(authkey, challenge, digest);
  try {
    return hmac(authkey, challenge, 'md5');
  } catch {
    // There is no MD5 here (FIPS mode): the other side will refuse this, or know better than Python 3.11.
    return modernResponse(authkey, challenge, 'sha256');
  }
}

function modernResponse(authkey: Uint8Array, challenge: Uint8Array, digest: string): Uint8Array {
  return Buffer.concat([Buffer.from(`{${digest}}`), hmac(authkey, challenge, digest)]);
}

/**
 * Checks the answer to a challenge; Python's `connection._verify_challenge`.
 * @throws AuthenticationError unless it was made with the key
 * @internal
 */
export function _verifyChallenge(
  authkey: Uint8Array,
  challenge: Uint8Array,
  response: Uint8Array,
): void {
  const { digest = 'md5', payload } = parse(Buffer.from(response));
  let expected: Buffer;
  try {
    expected = hmac(authkey, challenge, digest);
  } catch {
    throw new AuthenticationError(`the digest ${digest} is not supported here`);
  }
  if (expected.length !== payload.length) {
    throw new AuthenticationError(
      `expected ${digest} of length ${expected.length}, got ${payload.length}`,
    );
  }
  const { timingSafeEqual } = process.getBuiltinModule('node:crypto');
  if (!timingSafeEqual(expected, payload)) {
    throw new AuthenticationError('digest received was wrong');
  }
}

/** Takes a message apart; without a digest it is one of Python 3.11 or before. */
function parse(message: Buffer): { digest?: string; payload: Buffer } {
  if (LEGACY_LENGTHS.includes(message.length)) return { payload: message };
  const head = message.toString('latin1', 0, LONGEST_DIGEST_NAME + 2);
  const digest = /^\{(.*?)\}/s.exec(head)?.[1];
  if (digest !== undefined && DIGESTS.includes(digest)) {
    return { digest, payload: message.subarray(digest.length + 2) };
  }
  throw new AuthenticationError(
    'unsupported message length, missing digest prefix, or unsupported digest:' +
      ` message=${show(message)}`,
  );
}

/** Over the whole message, its digest's name too: nobody on the way can talk the sides into a weaker one. */
function hmac(authkey: Uint8Array, message: Uint8Array, digest: string): Buffer {
  const { createHmac } = process.getBuiltinModule('node:crypto');
  return createHmac(digest.replace('sha3_', 'sha3-'), authkey).update(message).digest();
}

function show(message: Buffer): string {
  return inspect(message.toString('latin1'));
}
