/**
 * Readiness of an fd in a worker thread: koffi's watch of an fd ends the whole process when it calls back into a
 * worker that is being terminated, and node:net does not.
 *
 * A socket of node:net is given nowhere to read to. When there is something to read (or the end of file, or a connection to
 * accept), libuv asks for a buffer, gets none, and says ENOBUFS, without having read. There is no such way to learn that an fd
 * is writable, so one byte is written. Deviations: D-075.
 */
import type { Socket } from 'node:net';
import { dup, getStatusFlags, orClose, setStatusFlags } from '../fds/fd.ts';
import { byNode, osError } from '../ffi/errors.ts';

const nothing = Buffer.alloc(0);

/** node:net takes 3 ms to load: not before it is needed. */
function net(): typeof import('node:net') {
  return process.getBuiltinModule('node:net');
}

type SocketOptions = ConstructorParameters<typeof Socket>[0];

/** @param fd closed with the socket, and if there can be none */
function socketOver(fd: number, options: object): Socket {
  return orClose(fd, () => byNode(() => new (net().Socket)({ fd, ...options } as SocketOptions)));
}

/**
 * As `onReady`, in a worker thread.
 * @param fd a pipe, a stream socket or a terminal
 * @param unref whether the event loop does not go on for it
 * @throws OSError
 */
export function onReadableInWorker(fd: number, callback: () => void, unref = false): () => void {
  const copy = dup(fd);
  const flags = orClose(copy, () => getStatusFlags(copy));
  const socket = socketOver(copy, {
    readable: true,
    writable: false,
    onread: { buffer: nothing, callback: () => false },
  });
  if (unref) socket.unref();
  let done = false;
  const end = () => {
    done = true;
    socket.destroy();
  };
  socket.on('error', () => {
    if (done) return;
    end();
    callback();
  });
  try {
    // The socket has made the open file non-blocking, for all who share it.
    setStatusFlags(copy, flags);
  } catch (error) {
    end();
    throw error;
  }
  return end;
}

/**
 * Writes one byte as soon as that is possible.
 * @param fd a pipe or a stream socket, to be closed after this has ended
 * @param callback is called with the error of the write, if it fails
 * @returns a function that ends this, without a call, and returns how many bytes have gone: 0 or 1
 * @throws OSError
 */
export function writeOneByte(
  fd: number,
  byte: Uint8Array,
  callback: (error?: Error) => void,
): () => number {
  const copy = dup(fd);
  const flags = orClose(copy, () => getStatusFlags(copy));
  const socket = socketOver(copy, { readable: false, writable: true });
  let done = false;
  const end = () => {
    if (done) return 0;
    done = true;
    const { _handle } = socket as unknown as { _handle?: { writeQueueSize: number } | null };
    const left = _handle?.writeQueueSize ?? 0;
    // They belong to the open file: the copy may be closed already, after an error.
    setStatusFlags(fd, flags);
    socket.destroy();
    return 1 - left;
  };
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (done) return;
    end();
    callback(osError(-(error.errno ?? -32), 'write'));
  });
  socket.write(byte, (error) => {
    if (error || done) return;
    end();
    callback();
  });
  return end;
}
