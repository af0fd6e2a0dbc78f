/**
 * The memory of this process, read by the kernel: an address where nothing is mapped is no crash, as it would be by pointer. What is
 * read goes through a pipe, which every process may have; /proc/self/mem is root's in a process that has changed its
 * user, or whose program may not be read by who runs it.
 */
import { pipe, setStatusFlags } from '../fds/fd.ts';
import { closeRaw, readRaw } from '../fds/raw_fd.ts';
import { platform } from '../ffi/constants.ts';
import { native } from '../ffi/ffi.ts';

const cWrite = native('long write(int fd, uintptr_t address, size_t count)');

/**
 * Bytes that go at once: less than a page. The place that a pipe has taken for a page which it then could not read
 * is used by the next write, unless that brings a whole page; so the pipe never fills.
 */
const STEP = 2048;

/** @internal */
export class OwnMemory {
  readonly #ends: readonly [number, number];

  /** @throws OSError EMFILE among others */
  constructor() {
    this.#ends = pipe();
    try {
      for (const fd of this.#ends) setStatusFlags(fd, platform.O_NONBLOCK);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Reads as much as is mapped from that address on. @returns the number of bytes */
  read(address: bigint, bytes: Uint8Array): number {
    const [readEnd, writeEnd] = this.#ends;
    let done = 0;
    while (done < bytes.length) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      // Never over the end of a page, so that all of it is there or nothing.
      const length = Math.min(bytes.length - done, STEP - Number(at % BigInt(STEP)));
      if (cWrite(writeEnd, at, length) !== length) break;
      if (readRaw(readEnd, bytes.subarray(done, done + length)) !== length) break;
      done += length;
    }
    return done;
  }

  /** Reads 64-bit words, as many as are there. */
  words(address: bigint, count: number): bigint[] {
    const words = new BigUint64Array(count);
    const bytes = this.read(address, new Uint8Array(words.buffer));
    return [...words.subarray(0, bytes >> 3)];
  }

  close(): void {
    for (const fd of this.#ends) closeRaw(fd);
  }
}
