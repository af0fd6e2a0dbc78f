/**
 * The key by which the processes of one family know each other; Python's `AuthenticationString`.
 * Deviations: D-115.
 */
import { inspect } from 'node:util';
import { urandom } from '@multiprocessing/posix';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { getSpawningPopen } from './spawning.ts';

/** Bytes that do not leave the process by accident: only a child that is being launched gets them. */
export class AuthenticationString extends Uint8Array {
  /** How it is pickled. @throws TypeError unless a child is being launched */
  [Symbol.for('multiprocessing.reduce')](): [
    (bytes: number[]) => AuthenticationString,
    [number[]],
  ] {
    if (getSpawningPopen() === undefined) {
      throw typeError('Pickling an AuthenticationString object is disallowed for security reasons');
    }
    return [rebuildAuthenticationString, [[...this]]];
  }

  /** In logs and errors there is its length alone. */
  [inspect.custom](): string {
    return `<AuthenticationString of ${this.length} bytes>`;
  }
}

/**
 * A key that somebody has given, as one that does not leave the process by accident.
 * @throws TypeError unless it is bytes, ValueError for an empty one; neither shows what it was
 * @internal
 */
export function toAuthkey(authkey: unknown): AuthenticationString {
  if (!(authkey instanceof Uint8Array)) {
    throw typeError(
      `authkey should be a byte string: a Uint8Array as Buffer.from('secret'), not ${typeName(authkey)}`,
    );
  }
  if (authkey.length === 0) throw new ValueError('authkey is empty: everybody holds such a key');
  return AuthenticationString.from(authkey) as AuthenticationString;
}

/** What kind of thing it is, and nothing of what is in it. @internal */
export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value;
  return Array.isArray(value) ? 'an array' : 'an object';
}

/** @internal */
export function rebuildAuthenticationString(bytes: number[]): AuthenticationString {
  return AuthenticationString.from(bytes) as AuthenticationString;
}

nameExports(import.meta.url, { rebuildAuthenticationString });

/** 32 random bytes. @internal */
export function randomAuthkey(): AuthenticationString {
  return AuthenticationString.from(urandom(32)) as AuthenticationString;
}
