/**
 * Records in the ring and in the overflow of a queue: a head of two words and the bytes of a message.
 */

/** Bytes of a record's head: the length of what follows, and its kind. A record takes a multiple of 8 bytes. */
export const RECORD_HEAD = 8;

/** Bytes that a record takes. @internal */
export function sizeOfRecord(length: number): number {
  return (RECORD_HEAD + length + 7) & ~7;
}

/** Copies bytes; a call of `set` takes longer than this for few. @internal */
export function copy(
  from: Uint8Array,
  start: number,
  to: Uint8Array,
  at: number,
  length: number,
): void {
  if (length > 64) {
    to.set(from.subarray(start, start + length), at);
    return;
  }
  for (let i = 0; i < length; i++) to[at + i] = from[start + i] as number;
}
