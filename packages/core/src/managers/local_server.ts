/**
 * The server that runs in this process, if one does: proxies of its own objects know it, and what is sent to its clients counts as a
 * reference of theirs from the moment at which it is written.
 */
import { RuntimeError } from '../base/errors.ts';
import { processWide } from '../base/state.ts';
import type { Address } from '../connection/addresses.ts';
import { registerAfterFork } from '../util/util.ts';
import type { Entry, Owner } from './shared_objects.ts';
import type { Token } from './token.ts';

/** @internal */
export interface LocalServer {
  readonly address: Address;
  /** Whether it has an object of that name, which no other manager has. */
  has(id: string): boolean;
  /** @throws RemoteError */
  find(id: string): Entry;
  /** Says that something here has a proxy of it. */
  nest(entry: Entry): void;
  refer(entry: Entry, owner: Owner): void;
  release(entry: Entry, owner: Owner): void;
  /** Calls a method, for this process itself. */
  call(entry: Entry, method: string, args: readonly unknown[], kwds?: object): unknown;
}

const state = processWide('managerServer', () => ({
  server: undefined as LocalServer | undefined,
  /** Who is going to have what is pickled now, and what of it was counted. */
  /** Where what is read now comes from. */
  from: undefined as Address | undefined,
  answering: undefined as { readonly owner: Owner; readonly counted: Entry[] } | undefined,
}));

registerAfterFork(state, () => {
  state.server = undefined; // it is the parent's
});

/** @internal */
export function setLocalServer(server: LocalServer | undefined): void {
  state.server = server;
}

/** The server that has an object, if it is in this process: by whatever address others know it. @internal */
export function localServer({ address, id }: Token): LocalServer | undefined {
  const { server } = state;
  if (server === undefined) return undefined;
  return server.has(id) || sameAddress(server.address, address) ? server : undefined;
}

/** Reads an answer of a manager. @internal */
export function readFrom<T>(address: Address, read: () => T): T {
  const before = state.from;
  state.from = address;
  try {
    return read();
  } finally {
    state.from = before;
  }
}

/** Where a manager is that has sent a proxy of its own: it may know itself by another address than this process does. @internal */
export function senderOf(address: Address): Address {
  return state.from ?? address;
}

/** @throws RuntimeError for a call that blocks and has this process itself to answer @internal */
export function checkNotHere(address: Address): void {
  const { server } = state;
  if (server === undefined || !sameAddress(server.address, address)) return;
  throw new RuntimeError('the manager is this process, and would wait for itself: await instead');
}

/** Whether a manager's server runs in this process. @internal */
export function hasLocalServer(): boolean {
  return state.server !== undefined;
}

function sameAddress(a: Address, b: Address): boolean {
  return a === b || String(a) === String(b);
}

/** Pickles an answer: the proxies in it are the client's from then on. @internal */
export function answering<T>(owner: Owner, pickle: () => T): T {
  const counted: Entry[] = [];
  state.answering = { owner, counted };
  try {
    return pickle();
  } catch (error) {
    for (const entry of counted) state.server?.release(entry, owner);
    throw error;
  } finally {
    state.answering = undefined;
  }
}

/** Counts a reference of who is answered. @returns whether somebody is @internal */
export function countForClient(entry: Entry): boolean {
  const { answering, server } = state;
  if (answering === undefined || server === undefined) return false;
  server.refer(entry, answering.owner);
  answering.counted.push(entry);
  return true;
}
