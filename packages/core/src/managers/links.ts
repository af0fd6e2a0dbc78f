/**
 * The links of this process, one for each manager, key and wire; and what is known of managers by their addresses.
 */

import { inWorker } from '@multiprocessing/posix';
import { OSError, typeError } from '../base/errors.ts';
import { currentProcess } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import type { Address } from '../connection/addresses.ts';
import type { BaseProcess } from '../process/process.ts';
import { Finalize } from '../util/finalize.ts';
import { registerAfterFork } from '../util/util.ts';
import type { LinkOptions } from './calls.ts';
import { ended, isGone } from './errors.ts';
import { type Link, NodeLink } from './link.ts';
import type { Serializer } from './proxy_type.ts';
import { where } from './token.ts';

/** A proxy, as far as a forked child has to do with it. @internal */
export interface Forked {
  _afterFork(): void;
  _releaseSync(): void;
}

const state = processWide('managerLinks', () => ({
  links: new Map<string, Link>(),
  /** By addresses: the keys of those that this process has to do with. */
  authkeys: new Map<string, Uint8Array>(),
  /** By addresses: the digests for the proof of the key, where they were chosen. */
  digests: new Map<string, readonly string[]>(),
  /** By addresses: the processes of those that this one has started. */
  processes: new Map<string, BaseProcess>(),
  /** Proxies that have a reference. */
  proxies: new Set<WeakRef<Forked>>(),
  /** Gives back their references. */
  atExit: undefined as Finalize | undefined,
  /** Whether this thread closes its links at its end. */
  closing: false,
}));

/** What makes links, by their wires. Who speaks CPython's enters itself. @internal */
export const linkMakers = new Map<Serializer, (options: LinkOptions) => Link>([
  ['node', (options) => new NodeLink(options)],
]);

/** How long one waits for the exit code of a manager that has hung up, in seconds. */
const PATIENCE = 1;

/** The link to a manager; a new one if the last was lost. @throws TypeError @internal */
export function linkTo(address: Address, authkey: Uint8Array, serializer: Serializer): Link {
  const key = [serializer, where(address), Buffer.from(authkey).toString('hex')].join('\0');
  const known = state.links.get(key);
  if (known?.isOpen) {
    known.look();
    if (known.isOpen) return known;
  }
  known?.leaveToParent();
  const make = linkMakers.get(serializer);
  if (make === undefined) throw typeError(`serializer: '${serializer}' is unknown`);
  const link = make({
    address,
    authkey,
    digests: state.digests.get(where(address)),
    name: currentProcess().name,
    explain: (error) => explain(address, error),
    explainSync: (error) => explainSync(address, error),
    closed: (link) => {
      if (state.links.get(key) === link) state.links.delete(key);
    },
  });
  state.links.set(key, link);
  if (inWorker) closeAtExit();
  noteAuthkey(address, authkey);
  return link;
}

/** @internal */
export function noteAuthkey(address: Address, authkey: Uint8Array): void {
  state.authkeys.set(where(address), authkey);
}

/** Notes which digests a manager's proxies are to use. @internal */
export function noteDigests(address: Address, digests: readonly string[] | undefined): void {
  if (digests !== undefined) state.digests.set(where(address), digests);
}

/** The key of a manager that this process has to do with, or its own. @internal */
export function authkeyOf(address: Address): Uint8Array {
  return state.authkeys.get(where(address)) ?? currentProcess().authkey;
}

/** Notes which process a manager is. @internal */
export function noteProcess(address: Address, process: BaseProcess): void {
  state.processes.set(where(address), process);
}

/** Closes what leads to a manager that has ended. @internal */
export function forgetManager(address: Address): void {
  const at = where(address);
  state.authkeys.delete(at);
  state.processes.delete(at);
  state.digests.delete(at);
  for (const [key, link] of state.links) {
    if (key.split('\0')[1] !== at) continue;
    link.close(explainSync(address, ended(at, 'it was shut down')));
    state.links.delete(key);
  }
}

/** What became of a manager that has hung up or cannot be reached. */
async function explain(address: Address, error: unknown): Promise<unknown> {
  const process = processOf(address);
  if (process === undefined || !isGone(error)) return said(address, error, undefined);
  await process.join(PATIENCE);
  return said(address, error, process);
}

function explainSync(address: Address, error: unknown): unknown {
  const process = processOf(address);
  if (process === undefined || !isGone(error)) return said(address, error, undefined);
  process.joinSync(PATIENCE);
  return said(address, error, process);
}

/** The manager's process, if it is a child of this one. */
function processOf(address: Address): BaseProcess | undefined {
  const found = state.processes.get(where(address));
  return found !== undefined && !found._closed && found._parentPid === process.pid
    ? found
    : undefined;
}

function said(address: Address, error: unknown, process: BaseProcess | undefined): unknown {
  if (!isGone(error)) return error;
  const at = where(address);
  const exitcode = process?.exitcode;
  if (exitcode !== undefined)
    return ended(at, `the manager process has ended: exit code ${exitcode}`, error);
  if (!(error instanceof OSError) || !UNREACHED.has(error.code ?? ''))
    return ended(at, undefined, error);
  const why = new OSError(error.errno, `the manager at ${at} cannot be reached: ${error.message}`);
  return Object.assign(why, { cause: error });
}

/** What one gets of an address where nobody is, or not any more. */
const UNREACHED = new Set(['ECONNREFUSED', 'ENOENT']);

/** Notes a proxy that has a reference. @returns what is to be called when it has none @internal */
export function noteProxy(proxy: Forked): () => void {
  const weak = new WeakRef(proxy);
  state.proxies.add(weak);
  return () => state.proxies.delete(weak);
}

/** Has references given back at the end of the process, where the end of a connection does not do that. @internal */
export function releaseAtExit(): void {
  if (state.atExit?.stillActive()) return;
  state.atExit = new Finalize(null, releaseAllSync, { exitpriority: 10 });
}

/** The end of a thread closes nothing, as that of a process does. */
function closeAtExit(): void {
  if (state.closing) return;
  state.closing = true;
  const close = () => {
    for (const link of [...state.links.values()]) link.close();
  };
  new Finalize(null, close, { exitpriority: -1 });
}

function releaseAllSync(): void {
  for (const proxy of [...state.proxies]) proxy.deref()?._releaseSync();
}

/** In a forked child: the links are its parent's, and its proxies count for themselves. */
function afterFork(): void {
  for (const [key, link] of state.links) {
    if (link.isOpen) continue; // made since, for what came with the child's arguments
    link.leaveToParent();
    state.links.delete(key);
  }
  // A child begins without what was registered before, in its own start as well.
  if (state.atExit !== undefined) releaseAtExit();
  for (const proxy of [...state.proxies]) proxy.deref()?._afterFork();
}

registerAfterFork(state, afterFork);
