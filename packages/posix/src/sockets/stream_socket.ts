/**
 * Stream sockets that listen and connect. None of their fds survives exec. Linux only.
 * Deviations: D-087.
 */

import {
  aboveStandardStreams,
  close,
  getStatusFlags,
  inWorker,
  orClose,
  POLLOUT,
  poll,
  setStatusFlags,
} from '../fds/fd.ts';
import { AF_UNIX, platform, SOCK_STREAM } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native, nativeAsync, syscall } from '../ffi/ffi.ts';
import { onReady } from '../loop/readiness.ts';
import { atFork } from '../process/forked_child.ts';
import { addressBuffer, readAddress, type SocketAddress } from './address.ts';

const cSocket = syscall('int socket(int domain, int type, int protocol)');
const cBind = syscall('int bind(int fd, void *address, uint32_t size)');
const cListen = syscall('int listen(int fd, int backlog)');
const cAccept = native('int accept4(int fd, void *address, void *size, int flags)');
const cConnect = native('int connect(int fd, void *address, uint32_t size)');
const cConnectInThread = nativeAsync('int connect(int fd, void *address, uint32_t size)');
const cPollInThread = nativeAsync('int poll(void *fds, unsigned long nfds, int timeout)');
const cGetsockname = syscall('int getsockname(int fd, void *address, void *size)');
const cSetsockopt = syscall(
  'int setsockopt(int fd, int level, int name, void *value, uint32_t size)',
);
const cGetsockopt = syscall('int getsockopt(int fd, int level, int name, void *value, void *size)');

const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_PEERCRED = 17;
const SO_SNDTIMEO = 21;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;

const EINTR = 4;
const EAGAIN = 11;
const ECONNABORTED = 103;
const EINPROGRESS = 115;

/**
 * Makes a socket that listens. `accept` on it never waits, whoever else shares it.
 * @param address from `inetAddress`, `inetAddressSync` or `unixAddress`
 * @param backlog how many connections may wait to be accepted
 * @throws OSError EADDRINUSE among others
 */
export function listenStream(address: Buffer, backlog: number): number {
  const fd = makeSocket(address, platform.O_NONBLOCK);
  return orClose(fd, () => {
    setOption(fd, platform.SOL_SOCKET, SO_REUSEADDR, 1);
    cBind(fd, address, address.length);
    cListen(fd, backlog);
    return fd;
  });
}

/** The address that a socket is bound to. @throws OSError */
export function socketName(fd: number): SocketAddress {
  const buffers = addressBuffer();
  cGetsockname(fd, buffers.address, buffers.size);
  return readAddress(buffers);
}

/** Who is at the other end of a Unix socket. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
}

/** As it was when it connected, or began to listen. @throws OSError */
export function peerCredentials(fd: number): Peer {
  const credentials = Buffer.alloc(12); // struct ucred
  const size = sizeOf(credentials);
  cGetsockopt(fd, platform.SOL_SOCKET, SO_PEERCRED, credentials, size);
  return { pid: credentials.readInt32LE(0), uid: credentials.readUInt32LE(4) };
}

/**
 * Accepts a connection that waits already.
 * @returns undefined when none does
 * @throws OSError
 */
export function acceptStream(fd: number): { fd: number; peer: SocketAddress } | undefined {
  const buffers = addressBuffer();
  for (;;) {
    const accepted = cAccept(fd, buffers.address, buffers.size, platform.SOCK_CLOEXEC);
    if (accepted >= 0) {
      const peer = readAddress(buffers);
      const moved = aboveStandardStreams(accepted);
      if (typeof peer !== 'string') {
        orClose(moved, () => setOption(moved, IPPROTO_TCP, TCP_NODELAY, 1));
      }
      return { fd: moved, peer };
    }
    const error = errno();
    if (error === EAGAIN) return undefined;
    // A client that went away again before its turn is nobody's error.
    if (error !== EINTR && error !== ECONNABORTED) throw osError(error, 'accept');
  }
}

/**
 * Connects, and blocks the thread until the other side's kernel has agreed.
 * @param limit for a Unix socket: how many whole seconds to wait for a place in the listener's backlog; for ever, without
 * @throws OSError ECONNREFUSED, ENOENT, EAGAIN after the limit, among others
 */
export function connectStreamSync(address: Buffer, limit?: number): number {
  // A connect that a signal interrupts goes on by itself: one that does not wait has no such state.
  const unix = isUnix(address);
  const fd = makeSocket(address, unix ? 0 : platform.O_NONBLOCK);
  return orClose(fd, () => {
    if (unix && limit !== undefined) setSendTimeout(fd, BigInt(limit) * 1_000_000n);
    let error = tryConnect(fd, address);
    if (error === EINPROGRESS) {
      poll([fd], undefined, POLLOUT);
      error = socketError(fd);
    }
    return connected(fd, address, error);
  });
}

/** As `connectStreamSync`, and leaves the event loop free. */
export async function connectStream(address: Buffer): Promise<number> {
  const fd = makeSocket(address, platform.O_NONBLOCK);
  try {
    let error = tryConnect(fd, address);
    if (error === EAGAIN && isUnix(address)) error = await waitForPlace(fd, address);
    if (error === EINPROGRESS) {
      await writable(fd);
      error = socketError(fd);
    }
    return connected(fd, address, error);
  } catch (failure) {
    close(fd);
    throw failure;
  }
}

/** Waits for the end of a connect that is under way. */
async function writable(fd: number): Promise<void> {
  if (!inWorker) {
    await new Promise<void>((resolve) => onReady(fd, resolve, 'writable'));
    return;
  }
  // The watch of onReady would end the whole process if the worker was terminated just then (loop/worker_readiness.ts).
  const pollfd = Buffer.alloc(8);
  pollfd.writeInt32LE(fd, 0);
  pollfd.writeInt16LE(POLLOUT, 4);
  const slice = Number(SLICE / 1000n);
  while ((await inTurn(() => cPollInThread(pollfd, 1, slice))) !== 1);
}

/** From here on reads and writes wait, as whoever gets the fd expects. */
function connected(fd: number, address: Buffer, error: number): number {
  if (error !== 0) {
    const to = readAddress({ address, size: sizeOf(address) });
    throw osError(error, 'connect', typeof to === 'string' ? JSON.stringify(to) : to.join(':'));
  }
  setBlocking(fd, true);
  if (!isUnix(address)) setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

function sizeOf(address: Buffer): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(address.length, 0);
  return size;
}

/** @returns 0 or an errno */
function tryConnect(fd: number, address: Buffer): number {
  for (;;) {
    if (cConnect(fd, address, address.length) === 0) return 0;
    if (errno() !== EINTR) return errno();
  }
}

/** Of those that have to wait in a thread only one does at a time: libuv has four for everything. */
let last: Promise<unknown> = Promise.resolve();
atFork(() => {
  last = Promise.resolve();
});

function inTurn(wait: () => Promise<number>): Promise<number> {
  const turn = last.then(wait);
  last = turn.catch(() => undefined);
  return turn;
}

/** How long one takes a thread, in microseconds: then it is the next one's turn. A process that exits waits for it. */
const SLICE = 100_000n;

/**
 * Waits until the listener's backlog has a place. The kernel tells nobody about that (connect(2): EAGAIN for Unix
 * sockets); only a connect that waits is woken.
 */
async function waitForPlace(fd: number, address: Buffer): Promise<number> {
  setSendTimeout(fd, SLICE);
  for (;;) {
    setBlocking(fd, true);
    if ((await inTurn(() => cConnectInThread(fd, address, address.length))) === 0) break;
    // errno is the other thread's.
    setBlocking(fd, false);
    const error = tryConnect(fd, address);
    if (error === 0) break;
    if (error !== EAGAIN) return error;
  }
  setSendTimeout(fd, 0n);
  return 0;
}

/** @param microseconds 0 waits for ever */
function setSendTimeout(fd: number, microseconds: bigint): void {
  const timeval = Buffer.alloc(16);
  timeval.writeBigInt64LE(microseconds / 1_000_000n, 0);
  timeval.writeBigInt64LE(microseconds % 1_000_000n, 8);
  cSetsockopt(fd, platform.SOL_SOCKET, SO_SNDTIMEO, timeval, timeval.length);
}

function makeSocket(address: Buffer, flags: number): number {
  const type = SOCK_STREAM | platform.SOCK_CLOEXEC | flags;
  return aboveStandardStreams(cSocket(address.readUInt16LE(0), type, 0));
}

function isUnix(address: Buffer): boolean {
  return address.readUInt16LE(0) === AF_UNIX;
}

function setBlocking(fd: number, on: boolean): void {
  const flags = getStatusFlags(fd);
  setStatusFlags(fd, on ? flags & ~platform.O_NONBLOCK : flags | platform.O_NONBLOCK);
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value, 0);
  cSetsockopt(fd, level, name, bytes, bytes.length);
}

function socketError(fd: number): number {
  const value = Buffer.alloc(4);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(4, 0);
  cGetsockopt(fd, platform.SOL_SOCKET, SO_ERROR, value, size);
  return value.readInt32LE(0);
}
