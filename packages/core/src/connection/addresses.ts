/**
 * Counterpart of the top of multiprocessing/connection.py: the addresses of listeners, and their families.
 * Deviations: D-081.
 */
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  AF_INET,
  AF_INET6,
  inetAddress,
  inetAddressSync,
  type SocketAddress,
  unixAddress,
  urandom,
} from '@multiprocessing/posix';
import { NotImplementedError, typeError, ValueError } from '../base/errors.ts';
import { getTempDir } from '../util/util.ts';

/** Where a listener is: `[host, port]`, the path of a Unix socket, or `'\0name'`, Linux's abstract name of one. */
export type Address = SocketAddress;

/** The kind of an address. CPython's third, AF_PIPE, is Windows'. */
export type Family = 'AF_INET' | 'AF_INET6' | 'AF_UNIX';

/** @internal */
export const defaultFamily: Family = 'AF_UNIX';

/**
 * An address that is free; Python's `connection.arbitrary_address`.
 * @throws ValueError for an unknown family
 * @internal
 */
export function arbitraryAddress(family: string): Address {
  if (family === 'AF_INET') return ['localhost', 0];
  if (family === 'AF_INET6') return ['::1', 0];
  if (family === 'AF_UNIX') {
    return join(getTempDir(), `listener-${Buffer.from(urandom(4)).toString('hex')}`);
  }
  throw new ValueError('unrecognized family');
}

/** Python's `connection._validate_family`. @throws ValueError @internal */
export function _validateFamily(family: unknown): asserts family is Family {
  if (family === 'AF_INET' || family === 'AF_UNIX' || family === 'AF_INET6') return;
  throw new ValueError(
    `Family ${String(family)} is not recognized: expected AF_INET, AF_INET6 or AF_UNIX`,
  );
}

/**
 * The family of an address; Python's `connection.address_type`.
 * @returns AF_PIPE for what is a named pipe's name on Windows
 * @throws ValueError for what is no address
 * @internal
 */
export function addressType(address: unknown): Family | 'AF_PIPE' {
  if (Array.isArray(address)) {
    return String(address[0]).includes(':') ? 'AF_INET6' : 'AF_INET';
  }
  if (typeof address === 'string') return address.startsWith('\\\\') ? 'AF_PIPE' : 'AF_UNIX';
  throw new ValueError(
    `address type of ${inspect(address)} unrecognized: give [host, port], a path or '\\0name'`,
  );
}

/**
 * Checks an address against its family, which is found out when it is not given.
 * @throws ValueError, TypeError, NotImplementedError
 * @internal
 */
export function checkAddress(address: Address, family: string | undefined): Family {
  const type = addressType(address);
  const wanted = family ?? type;
  _validateFamily(wanted);
  if (process.platform !== 'linux') {
    throw new NotImplementedError(`listeners and clients need Linux, this is ${process.platform}`);
  }
  if (typeof address === 'string') {
    if (wanted !== 'AF_UNIX') {
      throw typeError(`an address of ${wanted} is [host, port], not ${inspect(address)}`);
    }
    if (address.lastIndexOf('\0') > 0) throw new ValueError('address: embedded null character');
    return wanted;
  }
  if (wanted === 'AF_UNIX') {
    throw typeError(`an address of AF_UNIX is a path, not ${inspect(address)}`);
  }
  checkHostAndPort(address);
  return wanted;
}

function checkHostAndPort(address: readonly unknown[]): void {
  const [host, port] = address;
  if (address.length !== 2 || typeof host !== 'string' || typeof port !== 'number') {
    throw typeError(`an address is [host, port], a string and a number, not ${inspect(address)}`);
  }
  if (host.includes('\0')) throw new ValueError('host: embedded null character');
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new ValueError(`port must be a whole number from 0 to 65535, not ${port}`);
  }
}

/** The kernel's form of a checked address; a name is looked up meanwhile. @throws OSError @internal */
export function resolveAddressSync(address: Address, family: Family): Buffer {
  if (typeof address === 'string') return unixAddress(address);
  return inetAddressSync(address[0], address[1], domainOf(family));
}

/** @internal */
export async function resolveAddress(address: Address, family: Family): Promise<Buffer> {
  if (typeof address === 'string') return unixAddress(address);
  return inetAddress(address[0], address[1], domainOf(family));
}

function domainOf(family: Family): number {
  return family === 'AF_INET6' ? AF_INET6 : AF_INET;
}
