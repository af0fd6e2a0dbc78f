/**
 * futex(2): sleeping on a word of shared memory until another process changes it. Linux only.
 */
import { syscallNumbers } from '../ffi/constants.ts';
import { osError } from '../ffi/errors.ts';
import { errno, native } from '../ffi/ffi.ts';
import { monotonic } from '../node/clocks.ts';

const cFutex = native(
  'long syscall(long number, uintptr_t word, int operation, uint32_t value, void *timeout, uintptr_t word2, uint32_t value3)',
);

const FUTEX_WAIT_BITSET = 9;
const FUTEX_WAKE_BITSET = 10;
const EAGAIN = 11;
const EINTR = 4;
const ETIMEDOUT = 110;

const SYS_FUTEX = syscallNumbers[process.arch]?.futex ?? -1;

/** struct timespec, its two 64-bit numbers as four 32-bit ones. */
const timespec = new Int32Array(4);

/** Wakes all that sleep on a word. */
export const ALL = 0x7fffffff;
/** Whoever sleeps. */
const ANYBODY = 0xffffffff;

/**
 * Sleeps while the word has a value.
 * @param address of a 32-bit word in a shared mapping
 * @param expected its value when it was last looked at
 * @param timeout seconds; Infinity waits for ever
 * @param mask bits by which a wake can choose this sleeper; all, without
 * @returns false when the time is over; true when it was woken, or the word has another value, or for no reason
 * @throws OSError for an address that is not mapped
 */
export function futexWait(
  address: number,
  expected: number,
  timeout: number,
  mask = ANYBODY,
): boolean {
  const limited = timeout < 0x7fffffff;
  if (limited) setDeadline(timeout);
  const limit = limited ? timespec : null;
  const result = cFutex(SYS_FUTEX, address, FUTEX_WAIT_BITSET, expected >>> 0, limit, 0, mask);
  if (result === 0) return true;
  const error = errno();
  if (error === ETIMEDOUT) return false;
  if (error !== EAGAIN && error !== EINTR) throw osError(error, 'futex');
  return true;
}

/** The end of a wait, by CLOCK_MONOTONIC. */
function setDeadline(timeout: number): void {
  const [seconds, nanoseconds] = monotonic();
  const end = nanoseconds + (timeout % 1) * 1e9;
  timespec[0] = seconds + Math.floor(timeout) + Math.floor(end / 1e9);
  timespec[2] = Math.floor(end % 1e9);
}

/** Wakes up to `count` threads that sleep on the word with a bit of `mask`. @returns how many */
export function futexWake(address: number, count: number, mask = ANYBODY): number {
  return cFutex(SYS_FUTEX, address, FUTEX_WAKE_BITSET, count, null, 0, mask);
}
