/**
 * Shared memory: Python's `mmap`, as far as memory that several processes see needs it.
 */
import { platform } from './constants.ts';
import { osError } from './errors.ts';
import { addressOf, errno, native, syscall, viewMemory } from './ffi.ts';

const cMmap = native(
  'intptr_t mmap(intptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const cMunmap = syscall('int munmap(intptr_t address, size_t length)');

const cMadvise = native('int madvise(uintptr_t address, size_t length, int advice)');

const MADV_HUGEPAGE = 14;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;

/** The granularity of mappings, in bytes: the largest page of the systems we know, so that one number serves all. */
export const PAGE_SIZE = process.arch === 'arm64' ? 65_536 : 4096;

function mmap(address: number, length: number, flags: number, fd: number): number {
  const mapped = cMmap(address, length, PROT_READ_WRITE, flags, fd, 0);
  if (mapped === -1) throw osError(errno(), 'mmap', `${length} bytes`);
  return mapped;
}

/**
 * Maps the first bytes of an open file into this process, shared with all that do.
 * @param size bytes, more than 0
 * @returns the address; an address fits a number's 53 bits
 * @throws OSError
 */
export function mapShared(fd: number, size: number): number {
  return mmap(0, size, MAP_SHARED, fd);
}

/**
 * Asks for large pages for memory that was not touched yet: it is there four times as soon. A system that has none does
 * without.
 * @param buffer larger than a large page, 2 MiB
 */
export function wantLargePages(buffer: Uint8Array): void {
  if (process.platform !== 'linux') return;
  const address = Number(addressOf(buffer));
  const begin = Math.ceil(address / PAGE_SIZE) * PAGE_SIZE;
  const end = Math.floor((address + buffer.length) / PAGE_SIZE) * PAGE_SIZE;
  cMadvise(begin, end - begin, MADV_HUGEPAGE);
}

/**
 * Takes a mapping away. Whoever reads it after that is killed by the kernel: see `blank`.
 * @throws OSError
 */
export function unmap(address: number, size: number): void {
  cMunmap(address, size);
}

/**
 * Puts private zeros in the place of a shared mapping. The shared memory is let go at once, and views that
 * somebody still holds go on to read and write, but nothing that anybody else sees.
 * @throws OSError
 */
export function blank(address: number, size: number): void {
  const flags = MAP_PRIVATE | MAP_FIXED | platform.MAP_ANONYMOUS | platform.MAP_NORESERVE;
  mmap(address, size, flags, -1);
}

/**
 * An ArrayBuffer over mapped memory. It cannot be detached: a second owner of the same memory would not keep the
 * mapping alive.
 * @param address from `mapShared`, or inside of such a mapping
 * @param size bytes
 */
export function bufferOver(address: number, size: number): ArrayBuffer {
  const buffer = viewMemory(address, size);
  for (const name of ['transfer', 'transferToFixedLength']) {
    Object.defineProperty(buffer, name, { value: refuseTransfer });
  }
  return buffer;
}

function refuseTransfer(): never {
  throw Object.assign(new TypeError('an ArrayBuffer over shared memory cannot be transferred'), {
    code: 'ERR_MP_TYPE',
  });
}
