/**
 * Calls of a manager, their answers, and how these look in bytes, for a client.
 */
import type { Address } from '../connection/addresses.ts';

/** A call of an object's method, or of the server itself. @internal */
export interface Call {
  /** null for the server itself. */
  readonly ident: string | null;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly kwds?: object | undefined;
  /** Whether it may wait there for something. */
  readonly mayBlock?: boolean | undefined;
  /** Makes a proxy of a result that is shared. It keeps the caller's proxy alive. */
  readonly shared?: ((result: unknown) => unknown) | undefined;
}

/** How a link is made, and what it says when it ends. @internal */
export interface LinkOptions {
  readonly address: Address;
  readonly authkey: Uint8Array;
  readonly digests: readonly string[] | undefined;
  /** What the manager is told about this process. */
  readonly name: string;
  /** What a call is told that has found the manager gone. */
  explain(error: unknown): Promise<unknown>;
  explainSync(error: unknown): unknown;
  closed(ended: object): void;
}

/** How requests and answers look in bytes, for a client. @internal */
export interface ClientWire {
  /** Whether a request can do without an answer: by the serial 0. */
  readonly isNumbered: boolean;
  /** @throws PicklingError */
  request(call: Call): Uint8Array;
  /** Of which call the answer is, where they are numbered. @throws UnpicklingError */
  serialOf(message: Buffer): number;
  /** @throws UnpicklingError */
  load(message: Buffer, sync: boolean): Loaded | Promise<Loaded>;
}

/** What an answer is. @internal */
export type Kind = '#RETURN' | '#ERROR' | '#PROXY' | '#TRACEBACK' | '#UNSERIALIZABLE';

/** An answer that was read. @internal */
export interface Loaded {
  readonly kind: Kind;
  readonly result: unknown;
}
