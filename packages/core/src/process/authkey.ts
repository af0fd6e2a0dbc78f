/**
 * The key by which the processes of one family know each other; Python's `AuthenticationString`.
 */
import { urandom } from '@multiprocessing/posix';
import { typeError } from '../base/errors.ts';
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
