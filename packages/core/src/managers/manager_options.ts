/**
 * What managers are made and started with.
 */

import { inspect } from 'node:util';
import { checkOptions, checkTimeout } from '../base/arguments.ts';
import { typeError, ValueError } from '../base/errors.ts';
import { givenTo } from '../base/late_rooms.ts';
import type { Address } from '../connection/addresses.ts';
import { checkDigests } from '../connection/challenges.ts';
import type { Serializer } from './proxy_type.ts';
import type { Callable } from './registry.ts';
import { serverWires } from './server.ts';

/** What a manager needs of the context that its process is made in. @internal */
export interface ManagerContext {
  readonly Process: new (options: never) => object;
  readonly _name: string | undefined;
}

/** The context of a manager that is made without one: the contexts stand to the right of this package. @internal */
export function defaultContext(): ManagerContext {
  return givenTo<() => ManagerContext>('managers')();
}

/** Options of a manager. */
export interface ManagerOptions {
  /** Where it serves, or where the one is that `connect` connects to: `[host, port]`, a path, `'\0name'`. A path of its own, without. */
  address?: Address | undefined;
  /** Clients have to prove that they hold it; the key of this process, without. */
  authkey?: Uint8Array | undefined;
  /** `'node'` (default) carries all that pickling here carries; `'pickle'` is CPython's wire: for Python programs. */
  serializer?: Serializer | undefined;
  /** How long `shutdown` waits before it terminates the process, and before it kills it, in seconds: 1, without. */
  shutdownTimeout?: number | undefined;
  /** Makes the process: a context. The default one, without. */
  ctx?: object | undefined;
  /** The longest message that is taken of a client, in bytes: 1 GiB, without. */
  maxMessageBytes?: number | undefined;
  /** How long a client may take to prove that it holds the key, in seconds: 20, without. */
  authTimeout?: number | undefined;
  /** The digests that the proof of the key may use, see `AnswerOptions` of multiprocessing/connection. */
  digests?: readonly string[] | undefined;
}

const OPTIONS = [
  'address',
  'authkey',
  'serializer',
  'shutdownTimeout',
  'ctx',
  'maxMessageBytes',
  'authTimeout',
  'digests',
];

/** Options of `start`. */
export interface StartOptions {
  /** Called in the manager's process before it serves; it must be exported, as a target. */
  initializer?: Callable | undefined;
  initargs?: readonly unknown[] | undefined;
}

/** @throws TypeError, ValueError @internal */
export function checkManagerOptions(options: ManagerOptions, where: string): void {
  checkOptions(options, OPTIONS, where);
  const { serializer = 'node', ctx } = options;
  checkTimeout(options.shutdownTimeout);
  checkTimeout(options.authTimeout);
  checkDigests(options.digests);
  checkLength(options.maxMessageBytes);
  if (!serverWires.has(serializer)) {
    throw new ValueError(
      `serializer: ${inspect(serializer)} is unknown, expected one of ${[...serverWires.keys()].join(', ')}`,
    );
  }
  if (ctx !== undefined && typeof (ctx as Partial<ManagerContext>)?.Process !== 'function')
    throw typeError(`ctx must be a context, not ${inspect(ctx, { depth: 0 })}`);
}

function checkLength(length: unknown): void {
  if (length === undefined || (Number.isSafeInteger(length) && (length as number) > 0)) return;
  throw new ValueError(`maxMessageBytes must be a number of bytes, not ${inspect(length)}`);
}
