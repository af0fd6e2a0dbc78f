/**
 * Addresses of stream sockets, as the kernel has them (struct sockaddr) and as programs do: `[host, port]`, a path, or an
 * abstract name that starts with a zero byte. Linux only.
 */
import { AF_UNIX, SOCK_STREAM } from '../ffi/constants.ts';
import { OSError, osError } from '../ffi/errors.ts';
import { native, readInt, readPointer, viewMemory } from '../ffi/ffi.ts';

const cGetaddrinfo = native(
  'int getaddrinfo(const char *host, const char *port, void *hints, _Out_ uintptr_t *result)',
);
const cFreeaddrinfo = native('void freeaddrinfo(uintptr_t result)');
const cInetNtop = native('uintptr_t inet_ntop(int family, void *bytes, void *text, uint32_t size)');

export const AF_INET = 2;
export const AF_INET6 = 10;

/** The longest path of a socket in the file system, and the longest abstract name with its zero byte, in bytes. */
const MAX_UNIX_PATH = 107;

/** struct sockaddr_un, the largest that we use, and its family in front of the path. */
const SOCKADDR_UN = 110;
const FAMILY = 2;

/** `[host, port]`, a path, or `'\0name'`. */
export type SocketAddress = readonly [host: string, port: number] | string;

/**
 * The address of a path, or of an abstract name.
 * @throws OSError ENAMETOOLONG
 */
export function unixAddress(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length > MAX_UNIX_PATH) {
    const what = path.startsWith('\0') ? 'abstract name' : 'path';
    const detail = `the ${what} has ${name.length} bytes, a Unix socket can have ${MAX_UNIX_PATH}: use a shorter one`;
    throw osError(36 /* ENAMETOOLONG */, 'bind', detail);
  }
  const address = Buffer.alloc(FAMILY + name.length + (path.startsWith('\0') ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, FAMILY);
  return address;
}

/**
 * The address of a host and port. A name may take as long as the system's resolver does.
 * @param host a name or a number of either family; '' is any of this machine's addresses
 * @param family AF_INET or AF_INET6
 * @throws OSError for a host that is not known
 */
export function inetAddressSync(host: string, port: number, family: number): Buffer {
  return getaddrinfo(host, port, family, 0);
}

/** As `inetAddressSync`, and leaves the event loop free while a name is looked up. */
export async function inetAddress(host: string, port: number, family: number): Promise<Buffer> {
  try {
    return getaddrinfo(host, port, family, AI_NUMERICHOST);
  } catch {
    // it is a name, then
  }
  const { lookup } = process.getBuiltinModule('node:dns').promises;
  try {
    const { address } = await lookup(host, { family: family === AF_INET6 ? 6 : 4 });
    return getaddrinfo(address, port, family, AI_NUMERICHOST);
  } catch (error) {
    throw unknownHost(host, (error as { code?: string }).code ?? 'ENOTFOUND', EAI_NONAME);
  }
}

const AI_NUMERICHOST = 4;
const AI_NUMERICSERV = 1024;
const EAI_NONAME = -2;
const EAI_AGAIN = -3;

// struct addrinfo of 64-bit Linux.
const ADDRINFO = 48;
const ADDRLEN = 16n;
const ADDR = 24n;

function getaddrinfo(host: string, port: number, family: number, flags: number): Buffer {
  const hints = Buffer.alloc(ADDRINFO);
  hints.writeInt32LE(flags | AI_NUMERICSERV, 0);
  hints.writeInt32LE(family, 4);
  hints.writeInt32LE(SOCK_STREAM, 8);
  const result: [bigint | number] = [0];
  const any = family === AF_INET6 ? '::' : '0.0.0.0';
  const code = cGetaddrinfo(host || any, String(port), hints, result);
  if (code !== 0) throw unknownHost(host, code === EAI_AGAIN ? 'EAI_AGAIN' : 'ENOTFOUND', code);
  const list = BigInt(result[0]);
  try {
    const bytes = viewMemory(Number(readPointer(list + ADDR)), readInt(list + ADDRLEN));
    return Buffer.from(new Uint8Array(bytes));
  } finally {
    cFreeaddrinfo(list);
  }
}

/** Python's socket.gaierror: its errno is one of the resolver's. */
function unknownHost(host: string, code: string, errno: number): OSError {
  const error = new OSError(
    errno,
    `getaddrinfo: ${code}, host '${host}' is not known`,
    'getaddrinfo',
  );
  return Object.assign(error, { code });
}

/** What the kernel writes an address into, and its length. */
export function addressBuffer(): { address: Buffer; size: Buffer } {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(SOCKADDR_UN, 0);
  return { address: Buffer.alloc(SOCKADDR_UN), size };
}

/** The address that the kernel wrote; '' for a socket without one. */
export function readAddress({ address, size }: { address: Buffer; size: Buffer }): SocketAddress {
  const end = Math.min(size.readUInt32LE(0), address.length);
  if (end < FAMILY) return '';
  switch (address.readUInt16LE(0)) {
    case AF_INET:
      return [address.subarray(4, 8).join('.'), address.readUInt16BE(2)];
    case AF_INET6:
      return [ipv6Text(address.subarray(8, 24)), address.readUInt16BE(2)];
    default: {
      const name = address.toString('utf8', FAMILY, end);
      return name.startsWith('\0') ? name : name.replace(/\0.*$/s, '');
    }
  }
}

function ipv6Text(bytes: Buffer): string {
  const text = Buffer.alloc(46); // INET6_ADDRSTRLEN
  cInetNtop(AF_INET6, bytes, text, text.length);
  return text.toString('latin1', 0, text.indexOf(0));
}
