/**
 * `_reduce_socket` of multiprocessing/reduction.py, for node:net's Socket and Server: their fd travels, and the other
 * side makes a new object of it. Deviations: D-079.
 */
import type { Server, Socket } from 'node:net';
import { close } from '@multiprocessing/posix';
import { nameExports } from '../base/names.ts';
import { processWide } from '../base/state.ts';
import { type Reduced, registerLate, registerReducer } from '../pickle/classes.ts';
import { Refusal } from '../pickle/message.ts';
import { DupFd } from './dup_fd.ts';

/** What an object with an fd has inside. */
interface HasHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

interface Options {
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect?: boolean;
}

const known = processWide('socketReduction', () => ({ registered: false }));

/** Has sockets pickled from now on, if this is the class of one: node:net is not loaded for programs without. */
function registerSockets(proto: object): boolean {
  const { name } = (proto.constructor ?? {}) as { name?: unknown };
  if (known.registered || (name !== 'Socket' && name !== 'Server')) return false;
  const net = process.getBuiltinModule('node:net');
  if (proto !== net.Socket.prototype && proto !== net.Server.prototype) return false;
  known.registered = true;
  registerReducer(net.Socket, reduceSocket);
  registerReducer(net.Server, reduceServer);
  return true;
}

function reduceSocket(socket: Socket): Reduced {
  const fd = fdOf(socket, "a 'Socket' object that is not connected, or is destroyed,");
  const { allowHalfOpen, readableLength, writableLength } = socket;
  if (readableLength > 0) {
    throw new Refusal(
      `this 'Socket' object has read ${readableLength} bytes, which would be lost: send it before it reads` +
        ' (createServer({ pauseOnConnect: true })), or read them',
    );
  }
  if (writableLength > 0) {
    throw new Refusal(
      `this 'Socket' object has ${writableLength} bytes to write: send it when they are out, after the callback of write()`,
    );
  }
  return [rebuildSocket, [new DupFd(fd), { allowHalfOpen }]];
}

function reduceServer(server: Server): Reduced {
  const fd = fdOf(server, "a 'Server' object that does not listen");
  const { allowHalfOpen, pauseOnConnect } = server as unknown as Required<Options>;
  return [rebuildServer, [new DupFd(fd), { allowHalfOpen, pauseOnConnect }]];
}

function fdOf(object: Socket | Server, without: string): number {
  const fd = (object as HasHandle)._handle?.fd;
  if (fd === undefined || fd < 0) throw new Refusal(`${without} cannot be sent`);
  return fd;
}

/** The socket in another process. It reads nothing before somebody listens, so that it can be sent on. @internal */
export function rebuildSocket(dupFd: DupFd, { allowHalfOpen }: Options): Socket {
  const fd = dupFd.detach();
  const { Socket } = process.getBuiltinModule('node:net');
  const options = { fd, allowHalfOpen, readable: true, writable: true, manualStart: true };
  return closing(fd, () => new Socket(options));
}

/** The server in another process, which shares the connections with the first one. @internal */
export function rebuildServer(dupFd: DupFd, options: Options): Server {
  const fd = dupFd.detach();
  const { createServer } = process.getBuiltinModule('node:net');
  return closing(fd, () => createServer(options).listen({ fd, exclusive: true }));
}

function closing<T>(fd: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    close(fd);
    throw error;
  }
}

registerLate(registerSockets);
nameExports(import.meta.url, { rebuildSocket, rebuildServer });
