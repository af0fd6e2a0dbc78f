/**
 * Counterpart of "Authentication stuff" in multiprocessing/connection.py: each side proves that it holds the key without
 * showing it. What is sent and signed is in challenges.ts. Deviations: D-084, D-113, D-114, D-115.
 */
import { AuthenticationError, ValueError } from '../base/errors.ts';
import { processWide } from '../base/state.ts';
import { typeName } from '../process/authkey.ts';
import {
  agreed,
  challenger,
  checkDigest,
  checkDigests,
  compare,
  type Digests,
  hmac,
  LEGACY_CHALLENGE,
  makeChallenge,
  makeNonce,
  named,
  nonceOf,
  parse,
  type Role,
  show,
  sign,
} from './challenges.ts';

const CHALLENGE = Buffer.from('#CHALLENGE#');
const WELCOME = Buffer.from('#WELCOME#');
const FAILURE = Buffer.from('#FAILURE#');

/** The longest message that is accepted of somebody who has not proved anything. @internal */
export const MAX_HANDSHAKE_MESSAGE = 256;

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

/** Options of `answerChallenge`. */
export interface AnswerOptions {
  /**
   * The digests that this side agrees to, of md5, sha256, sha384, sha3_256 and sha3_384; the first is asked for. Without it all
   * but md5, which only a Python up to 3.11 may use, with a warning.
   */
  digests?: readonly string[] | undefined;
}

/** Options of `deliverChallenge`. */
export interface ChallengeOptions extends AnswerOptions {
  /** The digest to ask for. */
  digestName?: string | undefined;
}

/** A handshake without its channel: it yields what is to be sent, or undefined to be given the next message. @internal */
export type Handshake = Generator<Uint8Array | undefined, void, Uint8Array>;

/** The half of a handshake that was done, for the other half. */
interface Session {
  /** Which of the two this side is, once it is known. */
  role?: Role;
  /** The first challenge, and the random bytes of the second, if both sides are this library. */
  first?: Buffer | undefined;
  nonce?: Buffer | undefined;
}

/** Of the channels on which one half has been done. */
const sessions = new WeakMap<object, Session>();

/** @param next the role of a side that has done the other half before */
function sessionOf(channel: object, next: Role): Session {
  const known = sessions.get(channel);
  if (known?.role === next) {
    sessions.delete(channel);
    return known;
  }
  const session: Session = {};
  sessions.set(channel, session);
  return session;
}

/**
 * Has the other side prove that it holds the key; Python's `connection.deliver_challenge`. When `answerChallenge` was called
 * for this connection before, the two are one handshake.
 * @throws AuthenticationError if it does not hold it; ValueError for a key that is no bytes or empty, or an unknown digest
 * @throws what the channel throws, EOFError among others
 */
export async function deliverChallenge(
  connection: MessageChannel,
  authkey: Uint8Array,
  options?: ChallengeOptions,
): Promise<void> {
  await drive(delivering(sessionOf(connection, 'client'), authkey, options), connection);
}

/** The blocking twin of `deliverChallenge`. */
export function deliverChallengeSync(
  connection: MessageChannelSync,
  authkey: Uint8Array,
  options?: ChallengeOptions,
): void {
  driveSync(delivering(sessionOf(connection, 'client'), authkey, options), connection);
}

/**
 * Proves to the other side that this one holds the key; Python's `connection.answer_challenge`. When `deliverChallenge` was
 * called for this connection before, the two are one handshake.
 * @throws AuthenticationError if the other side is not convinced or sends no challenge; ValueError for a key that is no
 *   bytes or empty, or an unknown digest
 * @throws what the channel throws, EOFError among others
 */
export async function answerChallenge(
  connection: MessageChannel,
  authkey: Uint8Array,
  options?: AnswerOptions,
): Promise<void> {
  await drive(answering(sessionOf(connection, 'listener'), authkey, options), connection);
}

/** The blocking twin of `answerChallenge`. */
export function answerChallengeSync(
  connection: MessageChannelSync,
  authkey: Uint8Array,
  options?: AnswerOptions,
): void {
  driveSync(answering(sessionOf(connection, 'listener'), authkey, options), connection);
}

/** What a listener does with a connection. @internal */
export function* listenerHandshake(authkey: Uint8Array, options?: AnswerOptions): Handshake {
  const session: Session = {};
  yield* delivering(session, authkey, options);
  yield* answering(session, authkey, options);
}

/** What a client does. @internal */
export function* clientHandshake(authkey: Uint8Array, options?: AnswerOptions): Handshake {
  const session: Session = {};
  yield* answering(session, authkey, options);
  yield* delivering(session, authkey, options);
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
  session: Session,
  authkey: Uint8Array,
  { digestName, digests }: ChallengeOptions = {},
): Handshake {
  checkKey(authkey);
  let accepted = checkDigests(digests);
  if (digestName !== undefined) {
    checkDigest(digestName, 'digestName');
    accepted = { ...accepted, names: [digestName, ...accepted.names] };
  }
  session.role ??= 'listener';
  const asked = accepted.names[0] as string;
  const challenge = makeChallenge(asked, session.nonce ?? makeNonce(), session.role);
  yield Buffer.concat([CHALLENGE, challenge]);
  const response = Buffer.from(yield undefined);
  let isLegacy: boolean;
  try {
    isLegacy = verify(session, authkey, { challenge, response, accepted });
  } catch (error) {
    yield FAILURE;
    throw error;
  }
  yield WELCOME;
  if (isLegacy && accepted.toleratesLegacy) warnOfLegacy();
}

interface Answered {
  readonly challenge: Buffer;
  readonly response: Buffer;
  readonly accepted: Digests;
}

/** @returns whether it is the answer of a Python up to 3.11 @throws AuthenticationError */
function verify(
  session: Session,
  authkey: Uint8Array,
  { challenge, response, accepted }: Answered,
): boolean {
  const parsed = parse(response);
  const digest = agreed(parsed.digest, accepted);
  let { payload } = parsed;
  let expected: Buffer;
  if (session.role === 'client' && session.first !== undefined) {
    expected = sign(authkey, digest, 'listener', [session.first, challenge]);
  } else {
    expected = hmac(authkey, challenge, digest);
    const { length } = nonceOf(challenge);
    if (session.role === 'listener' && payload.length === expected.length + length) {
      session.first = challenge;
      session.nonce = payload.subarray(expected.length);
      payload = payload.subarray(0, expected.length);
      expected = sign(authkey, digest, 'client', [challenge, session.nonce]);
    }
  }
  compare(expected, payload, digest);
  return parsed.digest === undefined;
}

function* answering(
  session: Session,
  authkey: Uint8Array,
  { digests }: AnswerOptions = {},
): Handshake {
  checkKey(authkey);
  const accepted = checkDigests(digests);
  session.role ??= 'client';
  const message = Buffer.from(yield undefined);
  if (!message.subarray(0, CHALLENGE.length).equals(CHALLENGE)) {
    throw new AuthenticationError(`Protocol error, expected challenge: message=${show(message)}`);
  }
  const challenge = message.subarray(CHALLENGE.length);
  if (challenge.length < LEGACY_CHALLENGE) {
    throw new AuthenticationError(`challenge too short: ${challenge.length} bytes`);
  }
  const asked = parse(challenge).digest;
  const digest = agreed(asked, accepted);
  yield respond(session, authkey, challenge, asked === undefined ? undefined : digest);
  const verdict = yield undefined;
  if (!WELCOME.equals(verdict)) throw new AuthenticationError('digest sent was rejected');
  if (asked === undefined && accepted.toleratesLegacy) warnOfLegacy();
}

/** @param digest undefined for a Python up to 3.11 @throws AuthenticationError */
function respond(
  session: Session,
  authkey: Uint8Array,
  challenge: Buffer,
  digest: string | undefined,
): Buffer {
  const from = challenger(challenge);
  if (from === session.role) {
    throw new AuthenticationError('a challenge of this side has come back: it is not answered');
  }
  if (session.role === 'listener') {
    const { first, nonce } = session;
    // Both of this library, or none: what the other side has said of itself before is signed.
    if ((from !== undefined) !== (first !== undefined)) throw otherChallenge();
    if (first !== undefined && nonce !== undefined) {
      if (digest === undefined || !nonceOf(challenge).equals(nonce)) throw otherChallenge();
      return named(digest, sign(authkey, digest, 'listener', [first, challenge]));
    }
  } else if (from !== undefined && digest !== undefined) {
    session.first = challenge;
    session.nonce = makeNonce();
    const signed = sign(authkey, digest, 'client', [challenge, session.nonce]);
    return named(digest, signed, session.nonce);
  }
  if (digest === undefined) return hmac(authkey, challenge, 'md5');
  return named(digest, hmac(authkey, challenge, digest));
}

function otherChallenge(): AuthenticationError {
  return new AuthenticationError('the challenge is not the one that the other side has signed');
}

function checkKey(authkey: unknown): void {
  if (!(authkey instanceof Uint8Array)) {
    throw new ValueError(`authkey must be bytes (a Uint8Array), not ${typeName(authkey)}`);
  }
  if (authkey.length === 0) throw new ValueError('authkey is empty: everybody holds such a key');
}

const warned = processWide('legacyAuthentication', () => ({ once: false }));

function warnOfLegacy(): void {
  if (warned.once) return;
  warned.once = true;
  process.emitWarning(
    'the proof of the key with a Python up to 3.11 was by HMAC-MD5, it knows no other:' +
      " with 'md5' in the option `digests` this is not warned of, with digests without it such peers are refused",
    { type: 'LegacyDigestWarning', code: 'MP_MD5' },
  );
}
