/**
 * Shared memory: Python's `mmap`, as far as memory that several processes see needs it.
 *
 *     futex.ts           futex(2): sleeping on a word
 *     membarrier.ts      membarrier(2): a fence in all threads
 *     own_memory.ts      reading what may not be mapped
 *     shm.ts             named segments, in /dev/shm
 *     streaming_copy.ts  copies of megabytes, past the processor's cache
 */
import { platform } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { addressOf, errno, hasSymbol, native, syscall, viewMemory } from '../ffi/ffi.ts';

const cMmap = native(
  'intptr_t mmap(intptr_t address, size_t length, int protection, int flags, int fd, int64_t offset)',
);
const cMunmap = syscall('int munmap(intptr_t address, size_t length)');

const cMprotect = native('int mprotect(intptr_t address, size_t length, int protection)');
const cMallopt = native('int mallopt(int parameter, int value)');
const cSbrk = native('intptr_t sbrk(intptr_t increment)');
const cMadvise = native('int madvise(uintptr_t address, size_t length, int advice)');

const MADV_HUGEPAGE = 14;
const LARGE_PAGE = 2 * 1024 ** 2;
const M_TRIM_THRESHOLD = -1;
const M_TOP_PAD = -2;
const M_MMAP_THRESHOLD = -3;
/** glibc takes no more, on 64 bits. */
const MMAP_THRESHOLD_MAX = 32 * 1024 ** 2;
/** Bytes of addresses by which the heap grows; memory comes with the first touch. */
const HEAP_STEP = 32 * 1024 ** 2;
const PROT_READ_WRITE = 3;
const PROT_READ_EXEC = 5;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;

/** The granularity of mappings, in bytes: the largest page of the systems we know, so that one number serves all. */
export const PAGE_SIZE = process.arch === 'arm64' ? 65_536 : 4096;

/** The first multiple of a step that is not less. @param step more than 0 */
export function roundup(n: number, step: number): number {
  return Math.ceil(n / step) * step;
}

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
 * @param buffer larger than a large page
 */
export function wantLargePages(buffer: Uint8Array): void {
  if (process.platform !== 'linux') return;
  const address = Number(addressOf(buffer));
  const begin = Math.floor(address / LARGE_PAGE) * LARGE_PAGE;
  const heapEnd = cSbrk(0);
  // The allocator writes a few bytes behind each block of its heap, which would make a small page of where the next begins.
  const end = address < heapEnd ? heapEnd : address + buffer.length;
  cMadvise(begin, end - begin, MADV_HUGEPAGE);
}

/**
 * Has the C library take memory for large blocks from its heap, and keep what is freed, up to so many bytes: memory that was
 * there before is written to many times as fast as memory that the kernel has to find. glibc does so by itself, up
 * to twice the largest block that was freed; other C libraries are left alone.
 */
export function keepFreedMemory(size: number): void {
  if (!hasSymbol('mallopt')) return;
  cMallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_MAX);
  cMallopt(M_TRIM_THRESHOLD, size);
  cMallopt(M_TOP_PAD, HEAP_STEP);
}

/** Maps machine code. @returns where it begins; undefined where the system does not allow it */
export function mapCode(code: Uint8Array): number | undefined {
  const flags = MAP_PRIVATE | platform.MAP_ANONYMOUS;
  const address = cMmap(0, PAGE_SIZE, PROT_READ_WRITE, flags, -1, 0);
  if (address === -1) return undefined;
  new Uint8Array(viewMemory(address, code.length)).set(code);
  if (cMprotect(address, PAGE_SIZE, PROT_READ_EXEC) === 0) return address;
  cMunmap(address, PAGE_SIZE);
  return undefined;
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
