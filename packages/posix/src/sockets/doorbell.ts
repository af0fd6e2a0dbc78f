/**
 * A bell that other processes can ring without holding an fd of this one: a socket with an abstract address. Linux only.
 *
 * A ring carries nothing: who hears it looks for itself what has changed. A stranger who guesses an address can
 * cost a process no more than such a look.
 *
 * In a main thread it is a datagram socket, which the event loop sees as a readable fd. In a worker thread it is a server of
 * node:net, to which a connection is a ring: koffi's watch of an fd ends the whole process when it calls back into a
 * worker that is being terminated.
 */

import { aboveStandardStreams, close, inWorker, orClose, replaceByNeverReady } from '../fds/fd.ts';
import { AF_UNIX, platform, SOCK_STREAM } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native, syscall } from '../ffi/ffi.ts';
import { watchReadable } from '../loop/readiness.ts';
import { atFork } from '../process/forked_child.ts';
import { urandom } from '../process/process.ts';
import { listenStream } from './stream_socket.ts';

const cSocket = syscall('int socket(int domain, int type, int protocol)');
const cBind = native('int bind(int fd, void *address, uint32_t length)');
const cSendto = native(
  'long sendto(int fd, void *data, size_t size, int flags, void *address, uint32_t length)',
);
const cConnect = native('int connect(int fd, void *address, uint32_t length)');
const cRecv = native('long recv(int fd, void *buffer, size_t size, int flags)');

const EINTR = 4;
const EADDRINUSE = 98;
const ECONNREFUSED = 111;
/** How many may ring before the first of them is heard; the others need not. */
const RINGS = 64;

/** struct sockaddr_un of an abstract address: the family, NUL, the name. */
const address = Buffer.alloc(2 + nameOfBell(0).length);
address.writeUInt16LE(AF_UNIX, 0);

function nameOfBell(id: number): string {
  return `\0multiprocessing-${id.toString(16).padStart(8, '0')}`;
}

function addressOfBell(id: number): Buffer {
  address.write(nameOfBell(id), 2, 'latin1');
  return address;
}

const { MSG_DONTWAIT } = platform;
const message = Buffer.alloc(1);

function socket(kind: number): number {
  const type = kind | platform.SOCK_CLOEXEC | platform.O_NONBLOCK;
  return aboveStandardStreams(cSocket(AF_UNIX, type, 0));
}

/**
 * Whether somebody is there; undefined when the call was interrupted. Only a refusal says that nobody is. All other errors
 * do not: of what was not heard yet (EAGAIN, ENOBUFS) there need not be more, and what is forbidden (EPERM, EACCES) or lacks memory is
 * no fault of who rings.
 */
function hasRung(result: number): boolean | undefined {
  if (result >= 0) return true;
  const error = errno();
  if (error === EINTR) return undefined;
  return error !== ECONNREFUSED;
}

/** Rings the bells of others. */
export class Ringer {
  /** Once it has rung. */
  fd: number | undefined;

  /**
   * Rings a bell of any process. It never throws: what it is rung for has been done, and who waits looks again after a
   * time whether it has heard something or not.
   * @param id the bell's
   * @returns false when its thread is gone
   */
  ring(id: number): boolean {
    try {
      this.fd ??= socket(platform.SOCK_DGRAM);
      const to = addressOfBell(id);
      const flags = MSG_DONTWAIT | platform.MSG_NOSIGNAL;
      for (;;) {
        const rung = hasRung(cSendto(this.fd, message, 1, flags, to, to.length));
        if (rung !== undefined) return rung || connectTo(to);
      }
    } catch {
      return true; // there is no fd for a socket: the bell may hang there
    }
  }
}

/** Rings the bell of a worker thread. */
function connectTo(to: Buffer): boolean {
  const fd = socket(SOCK_STREAM);
  try {
    for (;;) {
      const rung = hasRung(cConnect(fd, to, to.length));
      if (rung !== undefined) return rung;
    }
  } finally {
    close(fd);
  }
}

/** The bell of the calling thread. */
export interface Doorbell {
  /** What others ring it by: a random number other than 0, below 2^31. */
  readonly id: number;
  /** -1 in a worker. */
  readonly fd: number;
  /** Whether the event loop goes on for it: not at first. */
  keepAlive(on: boolean): void;
}

/**
 * Hangs up a bell in the calling thread, where it stays.
 * @param heard is called from the event loop after one or more rings
 * @throws OSError
 */
export function makeDoorbell(heard: () => void): Doorbell {
  return inWorker ? serverBell(heard) : datagramBell(heard);
}

function randomId(): number {
  for (;;) {
    const id = urandom(4).readUInt32LE() >>> 1;
    if (id !== 0) return id;
  }
}

function serverBell(heard: () => void): Doorbell {
  const { id, fd } = listenAtRandom();
  const server = process.getBuiltinModule('node:net').createServer((connection) => {
    connection.on('error', () => {}).destroy();
    heard();
  });
  server.listen({ fd }).unref();
  return { id, fd: -1, keepAlive: (on) => (on ? server.ref() : server.unref()) };
}

/** By an fd: Node 20 itself would fill the name up with NULs, and nobody would find it. */
function listenAtRandom(): { id: number; fd: number } {
  for (;;) {
    const id = randomId();
    try {
      return { id, fd: listenStream(addressOfBell(id), RINGS) };
    } catch (error) {
      if ((error as { errno?: number }).errno !== EADDRINUSE) throw error;
    }
  }
}

function datagramBell(heard: () => void): Doorbell {
  const fd = socket(platform.SOCK_DGRAM);
  const id = orClose(fd, () => bindAtRandom(fd));
  const watch = orClose(fd, () =>
    watchReadable(fd, () => {
      while (cRecv(fd, message, 1, MSG_DONTWAIT) >= 0);
      return heard;
    }),
  );
  watch.unref();
  datagramBells.add(fd);
  return { id, fd, keepAlive: (on) => (on ? watch.ref() : watch.unref()) };
}

function bindAtRandom(fd: number): number {
  for (;;) {
    const id = randomId();
    const own = addressOfBell(id);
    if (cBind(fd, own, own.length) === 0) return id;
    if (errno() !== EADDRINUSE) throw osError(errno(), 'bind');
  }
}

const datagramBells = new Set<number>();

// The bells stay their parent's: a copy that a child holds would hear what is meant for the parent, and make it look
// alive when it is gone.
atFork(() => {
  for (const fd of datagramBells) replaceByNeverReady(fd);
  datagramBells.clear();
});
