/**
 * The server that runs in this process, if one does: proxies of its own objects know it, and what is sent to its clients counts as a
 * reference of theirs from the moment at which it is written.
 */
import { processWide } from '../base/state.ts';
import type { Address } from '../connection/addresses.ts';
import type { Entry, Owner } from './shared_objects.ts';

/** @internal */
export interface LocalServer {
  readonly address: Address;
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
  answering: undefined as { readonly owner: Owner; readonly counted: Entry[] } | undefined,
}));

/** @internal */
export function setLocalServer(server: LocalServer | undefined): void {
  state.server = server;
}

/** The server of an address, if it is in this process. @internal */
export function localServer(address: Address): LocalServer | undefined {
  const { server } = state;
  return server !== undefined && sameAddress(server.address, address) ? server : undefined;
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
