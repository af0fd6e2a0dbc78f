/**
 * The memory of this process as the kernel sees it, made fit for fork(2), and whether a copy of it is whole.
 *
 * V8 marks what it maps MADV_DONTFORK: a plain fork gives a child with holes where the heap was. `makeForkable` takes the
 * marks back, and because V8 may map a new page between that and the fork (about once in a thousand forks), the fork is
 * checked afterwards, in one of two ways:
 *
 * - **in full**: /proc/self/maps is the same text before and after it;
 * - **by size**, when a fork has been checked in full and the address space has had the same size ever since: the parent
 *   has it before and after this fork, and the child is as large as the checked one was. The kernel takes what it leaves
 *   out from the child's size (`dup_mmap`), so that a hole shows. It costs a tenth of the other.
 */
import { closeRaw, openRaw, readRaw } from '../fds/raw_fd.ts';
import { MADV_DOFORK } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native } from '../ffi/ffi.ts';

const madvise = native('int madvise(uintptr_t address, size_t length, int advice)');

/** The texts of two memory maps; made at the first fork, a process that never forks needs none. */
let before = Buffer.alloc(0);
let after = before;
/** The length of the text in `before`; 0 when the coming fork is checked by size. */
let length = 0;

/** Pages of address space: of this process at its last checked fork (-1: there is none), and what its child had less. */
const checked = { size: -1, less: 0 };
/** The size of this process right before the coming fork. */
let size = 0;

/** Takes MADV_DONTFORK back everywhere. To be called right before the fork. */
export function makeForkable(): void {
  size = sizeOf('self');
  if (size === checked.size) {
    length = 0;
    return;
  }
  if (before.length === 0) [before, after] = [Buffer.alloc(1 << 18), Buffer.alloc(1 << 18)];
  // The advice itself may change the map (neighbours merge), so it is read again until it rests.
  for (let attempt = 1; ; attempt++) {
    length = readMaps('before');
    const failed = adviseDoFork(before, length);
    if (mapsAreStill() && failed === 0) break;
    // What was unmapped meanwhile is no failure the next time. A child without some of its memory would crash.
    if (failed !== 0 && attempt >= MAX_REFUSALS) throw osError(failed, 'madvise', 'MADV_DOFORK');
  }
  size = sizeOf('self');
}

const MAX_REFUSALS = 10;
const EINVAL = 22;

/** Whether the child that was forked after `makeForkable` has all memory; it must not have done anything yet. */
export function isWhole(child: number): boolean {
  const rested = sizeOf('self') === size;
  const ofChild = sizeOf(child);
  const less = size - ofChild;
  const known = size > 0 && ofChild > 0;
  const whole = length === 0 ? rested && known && less === checked.less : rested && mapsAreStill();
  checked.size = whole && known ? size : -1;
  checked.less = less;
  return whole;
}

const statm = Buffer.alloc(64);

/** The pages of a process's address space, the first number of its statm; 0 if that cannot be read. */
function sizeOf(pid: number | 'self'): number {
  const fd = openRaw(`/proc/${pid}/statm`);
  const count = fd === -1 ? 0 : readRaw(fd, statm);
  closeRaw(fd);
  let pages = 0;
  for (let i = 0; i < count; i++) {
    const digit = (statm[i] as number) - 0x30;
    if (digit < 0) break;
    pages = pages * 10 + digit;
  }
  return pages;
}

function mapsAreStill(): boolean {
  return readMaps('after') === length && before.compare(after, 0, length, 0, length) === 0;
}

function readMaps(into: 'before' | 'after'): number {
  const fd = openRaw('/proc/self/maps');
  if (fd === -1) throw osError(errno(), 'open', '/proc/self/maps');
  let buffer = into === 'before' ? before : after;
  let length = 0;
  for (;;) {
    const count = readRaw(fd, buffer.subarray(length));
    if (count <= 0) {
      const failed = count === 0 ? 0 : errno();
      closeRaw(fd);
      if (failed !== 0) throw osError(failed, 'read', '/proc/self/maps');
      return length;
    }
    length += count;
    if (length === buffer.length) {
      before = Buffer.concat([before], before.length * 2);
      after = Buffer.concat([after], after.length * 2);
      buffer = into === 'before' ? before : after;
    }
  }
}

/**
 * Advises every private anonymous mapping in the text of /proc/self/maps. It parses bytes in place: no
 * strings, no arrays, so that the pass itself maps as little new memory as it can.
 * @returns 0, or the errno of one that was refused. A device's memory (EINVAL) is none of V8's
 */
function adviseDoFork(text: Buffer, length: number): number {
  const at = { i: 0 };
  let failed = 0;
  while (at.i < length) {
    const start = parseHex(text, at);
    const end = parseHex(text, at);
    const isPrivate = text[at.i + 3] === 0x70; // the p of "rw-p"
    let newline = at.i;
    while (text[newline] !== 0x0a) newline++;
    const isAnonymous = text[newline - 1] === 0x20; // no path follows
    if (isPrivate && isAnonymous && madvise(start, end - start, MADV_DOFORK) !== 0) {
      if (errno() !== EINVAL) failed = errno();
    }
    at.i = newline + 1;
  }
  return failed;
}

/** Parses a hexadecimal number and steps over the character behind it. */
function parseHex(text: Buffer, at: { i: number }): number {
  let value = 0;
  for (;;) {
    const c = text[at.i++] as number;
    if (c >= 0x30 && c <= 0x39) value = value * 16 + c - 0x30;
    else if (c >= 0x61 && c <= 0x66) value = value * 16 + c - 0x57;
    else return value;
  }
}
