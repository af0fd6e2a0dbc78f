/**
 * What runs in the process of a manager; `BaseManager._run_server` of multiprocessing/managers.py.
 */
import { rmdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { nameExports } from '../base/names.ts';
import { wait } from '../base/wait_fds.ts';
import type { Address } from '../connection/addresses.ts';
import type { Connection } from '../connection/connection.ts';
import { parentProcess } from '../process/process.ts';
import { info } from '../util/logging.ts';
import type { Serializer } from './proxy_type.ts';
import { type Callable, make } from './registry.ts';
import { receivedRegistry, type SentRegistry } from './sent_types.ts';
import type { Server, ServerLimits } from './server.ts';

/** What a manager's process is told. @internal */
export interface ServerOrder {
  readonly Server: new (...args: ConstructorParameters<typeof Server>) => Server;
  readonly registry: SentRegistry;
  readonly address: Address | undefined;
  readonly authkey: Uint8Array;
  readonly serializer: Serializer;
  readonly limits: ServerLimits;
  readonly initializer: Callable | undefined;
  readonly initargs: readonly unknown[];
}

/** What the parent hears: where it serves, or why it does not. @internal */
export type ServerReport = { readonly address: Address } | { readonly error: unknown };

/** Serves until it is told to end, or its parent has ended. @param writer where its address goes @internal */
export async function runServer(order: ServerOrder, writer: Connection): Promise<void> {
  // Ctrl-C is for those who use the manager: they tell it when it has to end.
  process.on('SIGINT', () => {});
  let server: Server;
  try {
    if (order.initializer !== undefined) await make(order.initializer, order.initargs);
    const { registry, address, authkey, serializer, limits } = order;
    server = new order.Server(receivedRegistry(registry), address, authkey, serializer, limits);
    await writer.send({ address: server.address } satisfies ServerReport);
  } catch (error) {
    await writer.send({ error } satisfies ServerReport);
    return;
  } finally {
    writer.close();
  }
  const parent = parentProcess();
  if (parent !== undefined) void stopWithout(parent.sentinel, server);
  await server.serveForever();
}

async function stopWithout(sentinel: number, server: Server): Promise<void> {
  await wait([sentinel]);
  info('manager: the parent has ended');
  const { address } = server;
  server.stop();
  if (typeof address !== 'string' || address.startsWith('\0')) return;
  try {
    // The folder was the parent's. Who was killed has not removed it.
    if (basename(dirname(address)).startsWith('pymp-')) rmdirSync(dirname(address));
  } catch {
    // There is something of others in it.
  }
}

nameExports(import.meta.url, { runServer });
