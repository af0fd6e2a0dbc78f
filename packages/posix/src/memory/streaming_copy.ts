/**
 * Copies of megabytes, past the processor's cache. A plain store first reads the line that it writes to. A non-temporal
 * one does not, so there is a third less to move, and the cache stays with what is in use. The C library's memcpy does
 * the same for what exceeds its share of the cache; but in a virtual machine it may take that for hundreds of megabytes
 * (`ld.so --list-tunables`, x86_non_temporal_threshold), which a running process cannot change. Neither JavaScript nor
 * WebAssembly has such a store: so this one loop is machine code.
 */
import { addressOf, type NativeFunction, nativeAt } from '../ffi/ffi.ts';
import { mapCode } from './memory.ts';

/** Bytes of a line of the cache. */
const LINE = 64;
/** Bytes from which on what was copied will hardly be in a core's own cache when it is needed. */
const LARGE = 1024 ** 2;

/** For x64, as a C function: to (rdi), from (rsi), and how many bytes (rdx): a multiple of LINE, more than 0. */
// biome-ignore format: an instruction a line
const X64 = Uint8Array.of(
  0xf3, 0x0f, 0x1e, 0xfa, //                        endbr64
  0x0f, 0x18, 0x86, 0x00, 0x04, 0x00, 0x00, // next: prefetchnta [rsi + 1024]
  0x0f, 0x10, 0x06, //                              movups xmm0, [rsi]
  0x0f, 0x10, 0x4e, 0x10, //                        movups xmm1, [rsi + 16]
  0x0f, 0x10, 0x56, 0x20, //                        movups xmm2, [rsi + 32]
  0x0f, 0x10, 0x5e, 0x30, //                        movups xmm3, [rsi + 48]
  0x0f, 0x2b, 0x07, //                              movntps [rdi], xmm0
  0x0f, 0x2b, 0x4f, 0x10, //                        movntps [rdi + 16], xmm1
  0x0f, 0x2b, 0x57, 0x20, //                        movntps [rdi + 32], xmm2
  0x0f, 0x2b, 0x5f, 0x30, //                        movntps [rdi + 48], xmm3
  0x48, 0x83, 0xc6, 0x40, //                        add rsi, 64
  0x48, 0x83, 0xc7, 0x40, //                        add rdi, 64
  0x48, 0x83, 0xea, 0x40, //                        sub rdx, 64
  0x75, 0xcd, //                                    jne next
  0x0f, 0xae, 0xf8, //                              sfence
  0xc3, //                                          ret
);

let streaming: NativeFunction | null | undefined;

/** The loop; null on another processor, and where the system lets nobody make code. */
function streamingLoop(): NativeFunction | null {
  if (process.arch !== 'x64' || process.platform !== 'linux') return null;
  const address = mapCode(X64);
  return address === undefined
    ? null
    : nativeAt(address, 'void', ['uintptr_t', 'void *', 'size_t']);
}

/**
 * Copies bytes as `to.set(from)` does, much of them past the cache.
 * @param to as long as `from`, and another piece of memory
 */
export function copyBytes(to: Uint8Array, from: Uint8Array): void {
  const { length } = from;
  if (length >= LARGE && streaming === undefined) streaming = streamingLoop();
  if (length < LARGE || !streaming) {
    to.set(from);
    return;
  }
  const address = Number(addressOf(to));
  // From the first whole line to the last one; what is before and behind them goes the plain way.
  const begin = -address & (LINE - 1);
  const end = length - ((length - begin) % LINE);
  streaming(address + begin, from.subarray(begin), end - begin);
  to.set(from.subarray(0, begin));
  to.set(from.subarray(end), end);
}
