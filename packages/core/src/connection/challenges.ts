/**
 * The messages of a handshake: challenges, answers, and what is signed. The bytes on the wire are CPython's where it is at
 * the other end, those of 3.12 and later and those of 3.11 and before. Deviations: D-113, D-114.
 *
 * CPython signs the challenge alone. So whoever can make somebody answer a challenge can use that answer where the same
 * challenge came from. Here a challenge says that it is this library's, and which side sends it, in the last 8 of its 40
 * random bytes. CPython takes them for random ones. Another process of ours then signs its own role and both challenges, and
 * never answers the challenge of a side that has its own role. The mark is signed with the challenge: who takes it away, or
 * puts one in, has an answer to another challenge.
 */
import { inspect } from 'node:util';
import { urandom } from '@multiprocessing/posix';
import { AuthenticationError, typeError, ValueError } from '../base/errors.ts';

/** Random bytes of a challenge of CPython's. With the digest's name in front it is longer than one of Python 3.11. */
const MESSAGE_LENGTH = 40;
const MARK_LENGTH = 8;
const NONCE_LENGTH = MESSAGE_LENGTH - MARK_LENGTH;

/** Which side of a connection: who is asked to prove something first is the client. @internal */
export type Role = 'listener' | 'client';

const MARKS: Readonly<Record<Role, Buffer>> = {
  listener: Buffer.from('#node-1L'),
  client: Buffer.from('#node-1C'),
};

/** What is signed begins with this: no challenge that CPython answers does. */
const SIGNED = 'multiprocessing for Node.js, connection 1, ';

/** The digests that there are. */
const KNOWN: readonly string[] = ['md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384'];
const LONGEST_NAME = Math.max(...KNOWN.map(({ length }) => length));

/** Python up to 3.11 sends challenges of 20 bytes and answers of 16, HMAC-MD5 without a name. @internal */
export const LEGACY_CHALLENGE = 20;
const LEGACY_LENGTHS: readonly number[] = [LEGACY_CHALLENGE, 16];

/** The digests that a side agrees to, the one that it asks for first. @internal */
export interface Digests {
  readonly names: readonly string[];
  /** Whether a Python up to 3.11 is let in with MD5, and warned of. */
  readonly toleratesLegacy: boolean;
}

const DEFAULT: Digests = { names: KNOWN.filter((name) => name !== 'md5'), toleratesLegacy: true };

/** @param names as in the option `digests` @throws TypeError, ValueError @internal */
export function checkDigests(names: unknown): Digests {
  if (names === undefined) return DEFAULT;
  if (!Array.isArray(names)) {
    throw typeError(`digests must be an array of names, not ${inspect(names)}`);
  }
  if (names.length === 0) throw new ValueError('digests must name at least one');
  for (const name of names) checkDigest(name, 'digests');
  return { names: [...(names as string[])], toleratesLegacy: false };
}

/** @throws ValueError @internal */
export function checkDigest(name: unknown, what: string): void {
  if (KNOWN.includes(name as string)) return;
  throw new ValueError(`${what} must be one of ${KNOWN.join(', ')}, not ${inspect(name)}`);
}

/** Random bytes for a challenge. @internal */
export function makeNonce(): Buffer {
  return urandom(NONCE_LENGTH);
}

/** A challenge of this library's. @param nonce from `makeNonce` @internal */
export function makeChallenge(digest: string, nonce: Uint8Array, role: Role): Buffer {
  return Buffer.concat([Buffer.from(`{${digest}}`), nonce, MARKS[role]]);
}

/** Which side has sent a challenge of this library's; undefined for one of CPython's. @internal */
export function challenger(challenge: Buffer): Role | undefined {
  const mark = challenge.subarray(-MARK_LENGTH);
  const { digest = '' } = parse(challenge);
  if (challenge.length !== digest.length + 2 + MESSAGE_LENGTH) return undefined;
  if (mark.equals(MARKS.listener)) return 'listener';
  return mark.equals(MARKS.client) ? 'client' : undefined;
}

/** The random bytes of a challenge of this library's. @internal */
export function nonceOf(challenge: Buffer): Buffer {
  return challenge.subarray(-MESSAGE_LENGTH, -MARK_LENGTH);
}

/** Takes a message apart; without a digest it is one of Python 3.11 or before. @throws AuthenticationError @internal */
export function parse(message: Buffer): { digest?: string; payload: Buffer } {
  if (LEGACY_LENGTHS.includes(message.length)) return { payload: message };
  const head = message.toString('latin1', 0, LONGEST_NAME + 2);
  const digest = /^\{(.*?)\}/s.exec(head)?.[1];
  if (digest !== undefined && KNOWN.includes(digest)) {
    return { digest, payload: message.subarray(digest.length + 2) };
  }
  throw new AuthenticationError(
    'unsupported message length, missing digest prefix, or unsupported digest:' +
      ` message=${show(message)}`,
  );
}

/** The digest of a message, if this side agrees to it. @throws AuthenticationError @internal */
export function agreed(digest: string | undefined, { names, toleratesLegacy }: Digests): string {
  if (digest === undefined && (toleratesLegacy || names.includes('md5'))) return 'md5';
  if (digest !== undefined && names.includes(digest)) return digest;
  const which = digest ?? 'md5, as Python up to 3.11 does';
  throw new AuthenticationError(
    `the other side uses ${which}; agreed to here: ${names.join(', ')} (digests)`,
  );
}

/** With the name of the digest in front. @internal */
export function named(digest: string, ...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([Buffer.from(`{${digest}}`), ...parts]);
}

/** What this library signs: a role, and all that both sides have sent. @internal */
export function sign(
  authkey: Uint8Array,
  digest: string,
  role: Role,
  parts: readonly Uint8Array[],
): Buffer {
  const lengths = parts.map(({ length }) => length).join(' ');
  const head = Buffer.from(`${SIGNED}${role} ${lengths}:`);
  return hmac(authkey, Buffer.concat([head, ...parts]), digest);
}

/**
 * Over the whole message, its digest's name too: nobody on the way can talk the sides into a weaker one.
 * @throws AuthenticationError for a digest that this Node has not got @internal
 */
export function hmac(authkey: Uint8Array, message: Uint8Array, digest: string): Buffer {
  const { createHmac } = process.getBuiltinModule('node:crypto');
  try {
    return createHmac(digest.replace('sha3_', 'sha3-'), authkey).update(message).digest();
  } catch {
    throw new AuthenticationError(`the digest ${digest} is not supported here`);
  }
}

/** @throws AuthenticationError @internal */
export function compare(expected: Buffer, received: Buffer, digest: string): void {
  if (expected.length !== received.length) {
    throw new AuthenticationError(
      `expected ${digest} of length ${expected.length}, got ${received.length}`,
    );
  }
  const { timingSafeEqual } = process.getBuiltinModule('node:crypto');
  if (!timingSafeEqual(expected, received)) {
    throw new AuthenticationError('digest received was wrong');
  }
}

/** @internal */
export function show(message: Buffer): string {
  return inspect(message.toString('latin1'));
}
