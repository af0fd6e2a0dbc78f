/**
 * A bell that other processes can ring without holding an fd of this one: a datagram socket with an abstract
 * address. The event loop sees it as a readable fd. Linux only.
 *
 * A ring carries nothing: who hears it looks for itself what has changed. A stranger who guesses an address can
 * cost a process no more than such a look.
 */
import { AF_UNIX, platform } from './constants.ts';
import { osError } from './errors.ts';
import { aboveStandardStreams, close, replaceByNeverReady } from './fd.ts';
import { errno, native, syscall } from './ffi.ts';
import { atFork } from './forked_child.ts';
import { urandom } from './process.ts';
import { type Watch, watchReadable } from './readiness.ts';

const cSocket = syscall('int socket(int domain, int type, int protocol)');
const cBind = native('int bind(int fd, void *address, uint32_t length)');
const cSendto = native(
  'long sendto(int fd, void *data, size_t size, int flags, void *address, uint32_t length)',
);
const cRecv = native('long recv(int fd, void *buffer, size_t size, int flags)');

const MSG_DONTWAIT = 0x40;
const EINTR = 4;
const EAGAIN = 11;
const EADDRINUSE = 98;
const ENOBUFS = 105;
const ECONNREFUSED = 111;

/** struct sockaddr_un of an abstract address: the family, NUL, the name. */
const address = Buffer.alloc(2 + 1 + 'multiprocessing-'.length + 8);
address.writeUInt16LE(AF_UNIX, 0);

function addressOfBell(id: number): Buffer {
  address.write(`multiprocessing-${(id >>> 0).toString(16).padStart(8, '0')}`, 3, 'latin1');
  return address;
}

const message = Buffer.alloc(1);

function socket(): number {
  const type = platform.SOCK_DGRAM | platform.SOCK_CLOEXEC | platform.O_NONBLOCK;
  return aboveStandardStreams(cSocket(AF_UNIX, type, 0));
}

/** Rings the bells of others. */
export class Ringer {
  readonly fd = socket();

  /**
   * Rings a bell of any process.
   * @param id the bell's
   * @returns false when its process is gone
   * @throws OSError
   */
  ring(id: number): boolean {
    const to = addressOfBell(id);
    const flags = MSG_DONTWAIT | platform.MSG_NOSIGNAL;
    while (cSendto(this.fd, message, 1, flags, to, to.length) < 0) {
      const error = errno();
      if (error === ECONNREFUSED) return false;
      // It has rung and was not heard yet: once is enough.
      if (error === EAGAIN || error === ENOBUFS) return true;
      if (error !== EINTR) throw osError(error, 'sendto');
    }
    return true;
  }
}

/** The bell of the calling thread. */
export class Doorbell {
  /** What others ring it by: a random number other than 0, below 2^31. */
  readonly id: number;
  readonly fd: number;
  readonly #watch: Watch;

  /** @param heard is called from the event loop after one or more rings @throws OSError */
  constructor(heard: () => void) {
    this.fd = socket();
    this.id = bindToFreeAddress(this.fd);
    this.#watch = watchReadable(this.fd, () => {
      while (cRecv(this.fd, message, 1, MSG_DONTWAIT) >= 0);
      return heard;
    });
    this.#watch.unref();
    bells.add(this);
  }

  /** Whether the event loop goes on for it. */
  keepAlive(on: boolean): void {
    if (on) this.#watch.ref();
    else this.#watch.unref();
  }

  close(): void {
    bells.delete(this);
    this.#watch.close();
    close(this.fd);
  }
}

function bindToFreeAddress(fd: number): number {
  for (;;) {
    const id = urandom(4).readUInt32LE() >>> 1;
    const own = addressOfBell(id);
    if (id !== 0 && cBind(fd, own, own.length) === 0) return id;
    if (id !== 0 && errno() !== EADDRINUSE) throw osError(errno(), 'bind');
  }
}

const bells = new Set<Doorbell>();

// The bells stay their parent's: a copy that a child holds would hear what is meant for the parent, and make it look
// alive when it is gone.
atFork(() => {
  for (const bell of bells) replaceByNeverReady(bell.fd);
  bells.clear();
});
