/**
 * Message sockets that carry fds: socketpair(2), sendmsg(2) and recvmsg(2) with SCM_RIGHTS.
 */

import { close, pairAboveStandardStreams, setCloexec } from '../fds/fd.ts';
import { AF_UNIX, platform, SCM_RIGHTS, SOCK_STREAM } from '../ffi/constants.ts';
import { type OSError, osError } from '../ffi/errors.ts';
import { addressOf, syscall } from '../ffi/ffi.ts';
import { roundup } from '../memory/memory.ts';

const cSocketpair = syscall('int socketpair(int domain, int type, int protocol, _Out_ int *fds)');
const cShutdown = syscall('int shutdown(int fd, int how)');
const cSetsockopt = syscall(
  'int setsockopt(int fd, int level, int option, void *value, uint32_t size)',
);
const cSendmsg = syscall('long sendmsg(int fd, void *message, int flags)');
const cRecvmsg = syscall('long recvmsg(int fd, void *message, int flags)');

/** The most fds that one message may carry: Linux's SCM_MAX_FD. */
export const MAX_FDS_PER_MESSAGE = 253;

// struct msghdr and struct cmsghdr on 64-bit Linux: every member 8 bytes wide or padded to it.
const MSGHDR = 56;
const CMSGHDR = 16;

const MSG_CTRUNC = 0x8;
const MSG_TRUNC = 0x20;
const EMFILE = 24;
const EMSGSIZE = 90;

/** A msghdr with its one iovec behind it, in one buffer. */
function messageHeader(data: Uint8Array, control: Buffer): Buffer {
  const header = Buffer.alloc(MSGHDR + 16);
  header.writeBigUInt64LE(addressOf(header) + BigInt(MSGHDR), 16);
  header.writeBigUInt64LE(1n, 24);
  header.writeBigUInt64LE(addressOf(data), MSGHDR);
  header.writeBigUInt64LE(BigInt(data.length), MSGHDR + 8);
  if (control.length > 0) {
    header.writeBigUInt64LE(addressOf(control), 32);
    header.writeBigUInt64LE(BigInt(control.length), 40);
  }
  return header;
}

/**
 * Makes two connected sockets of whole messages (AF_UNIX, SOCK_SEQPACKET) that do not survive exec.
 * Linux only. @throws OSError
 */
export function socketpair(): [number, number] {
  return pairOf(platform.SOCK_SEQPACKET);
}

function pairOf(kind: number): [number, number] {
  const fds: [number, number] = [0, 0];
  cSocketpair(AF_UNIX, kind | platform.SOCK_CLOEXEC, 0, fds);
  if (platform.SOCK_CLOEXEC === 0) for (const fd of fds) setCloexec(fd, true);
  return pairAboveStandardStreams(fds);
}

const SHUT_WR = 1;

/** Bytes that a socket of `streamPair` takes before its writer has to wait: what Linux allows without more, and pages of it. */
const STREAM_BUFFER = 1 << 20;
const bufferSize = new Int32Array([STREAM_BUFFER]);

/**
 * Makes two connected byte streams (AF_UNIX, SOCK_STREAM) that do not survive exec.
 * @param duplex whether both ends can write; otherwise the first one reads and the second one writes
 * @throws OSError
 */
export function streamPair(duplex: boolean): [number, number] {
  const fds = pairOf(SOCK_STREAM);
  try {
    for (const fd of duplex ? fds : fds.slice(1)) {
      cSetsockopt(fd, platform.SOL_SOCKET, platform.SO_SNDBUF, bufferSize, 4);
    }
    if (!duplex) cShutdown(fds[0], SHUT_WR);
    return fds;
  } catch (error) {
    for (const fd of fds) close(fd);
    throw error;
  }
}

/**
 * Sends one message with fds; the receiver gets copies of them.
 * @param data at least one byte
 * @param fds at most MAX_FDS_PER_MESSAGE
 * @param wait whether to sleep until there is room; otherwise EAGAIN is thrown when there is none
 * @throws OSError, BrokenPipeError when the other end is gone (no SIGPIPE)
 */
export function sendmsg(
  fd: number,
  data: Uint8Array,
  fds: readonly number[] = [],
  wait = true,
): void {
  const length = CMSGHDR + fds.length * 4;
  const control = Buffer.alloc(fds.length === 0 ? 0 : roundup(length, 8));
  if (fds.length > 0) {
    control.writeBigUInt64LE(BigInt(length), 0);
    control.writeInt32LE(platform.SOL_SOCKET, 8);
    control.writeInt32LE(SCM_RIGHTS, 12);
    for (const [i, passed] of fds.entries()) control.writeInt32LE(passed, CMSGHDR + i * 4);
  }
  const header = messageHeader(data, control);
  cSendmsg(fd, header, platform.MSG_NOSIGNAL | (wait ? 0 : platform.MSG_DONTWAIT));
}

/** One message, and the fds that came with it. */
export interface Message {
  /** Empty at the end of file. */
  readonly data: Uint8Array;
  readonly fds: number[];
}

/**
 * Receives one message and its fds, which do not survive exec.
 * @param size the longest message, in bytes
 * @param wait whether to sleep until there is a message; otherwise EAGAIN is thrown when there is none
 * @throws OSError; EMSGSIZE when the message did not fit, EMFILE when its fds did not (those that came are closed then)
 */
export function recvmsg(fd: number, size: number, wait = true): Message {
  const { data, fds, lost } = receive(fd, size, wait);
  if (lost === undefined) return { data, fds };
  for (const passed of fds) close(passed);
  throw lost;
}

/** As `recvmsg`, and keeps what has come when it is not all: `lost` says why then. @throws OSError */
export function receive(
  fd: number,
  size: number,
  wait = true,
): Message & { lost: OSError | undefined } {
  const data = Buffer.alloc(size);
  const control = Buffer.alloc(CMSGHDR + MAX_FDS_PER_MESSAGE * 4 + 4);
  const header = messageHeader(data, control);
  const count = cRecvmsg(
    fd,
    header,
    platform.MSG_CMSG_CLOEXEC | (wait ? 0 : platform.MSG_DONTWAIT),
  );
  const received = Number(header.readBigUInt64LE(40));
  const fds: number[] = [];
  if (received >= CMSGHDR && control.readInt32LE(12) === SCM_RIGHTS) {
    const end = Number(control.readBigUInt64LE(0));
    for (let i = CMSGHDR; i + 4 <= end; i += 4) fds.push(control.readInt32LE(i));
  }
  if (platform.MSG_CMSG_CLOEXEC === 0) for (const passed of fds) setCloexec(passed, true);
  const flags = header.readInt32LE(48);
  // There is room for as many fds as a message can have: what is missing has found no free number here.
  const missing = flags & MSG_CTRUNC ? EMFILE : 0;
  const failed = flags & MSG_TRUNC ? EMSGSIZE : missing;
  const lost = failed === 0 ? undefined : osError(failed, 'recvmsg');
  return { data: data.subarray(0, count), fds, lost };
}
