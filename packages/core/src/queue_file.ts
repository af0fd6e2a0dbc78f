/**
 * The memory of a queue that is not mapped: a file without a name. Large items stand there, each in one piece, and small
 * ones for which there is no room in the ring. It is written and read by system calls, which copy once; no address
 * space is needed, and there is no limit but the machine's memory.
 */
import { memfdCreate, PAGE_SIZE, punchHole, readAt, writeAt } from '@multiprocessing/posix';
import type { Received } from './reduction.ts';

/** Up to here a part of the file keeps its memory for what comes next: new pages cost more than the copy. */
const KEEP = 16 * 1024 ** 2;
/** The overflow is far behind all bodies. */
const OVER_BASE = 2 ** 45;
/** The overflow gives its memory back in pieces of this size. */
const PIECE = 1024 ** 2;

/** @internal */
export const openQueueFile = (): number => memfdCreate('multiprocessing-queue');

/** Where an item stands, and what it is made of. @internal */
export interface Body {
  /** Bytes from the beginning of the file. */
  readonly position: number;
  /** Bytes of the message. */
  readonly message: number;
  /** How many runs of bytes are beside it; their lengths stand first of all. */
  readonly beside: number;
}

/** Bytes of the file that a body takes. @internal */
export function sizeOfBody(message: number, beside: readonly Uint8Array[]): number {
  const bytes = beside.reduce((sum, { length }) => sum + length, beside.length * 8 + message);
  return Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE;
}

/** @throws OSError @internal */
export function writeBody(
  fd: number,
  position: number,
  message: Uint8Array,
  beside: readonly Uint8Array[],
): void {
  let at = position;
  if (beside.length > 0) {
    const lengths = Float64Array.from(beside, ({ length }) => length);
    writeAt(fd, new Uint8Array(lengths.buffer), at);
    at += lengths.byteLength;
  }
  for (const part of [message, ...beside]) {
    writeAt(fd, part, at);
    at += part.length;
  }
}

/** @throws OSError @internal */
export function readBody(fd: number, body: Body): Received {
  const lengths = new Float64Array(body.beside);
  let at = body.position;
  const read = (length: number) => {
    const bytes = new Uint8Array(new ArrayBuffer(length));
    readAt(fd, bytes, at);
    at += length;
    return bytes;
  };
  if (body.beside > 0) {
    readAt(fd, new Uint8Array(lengths.buffer), at);
    at += lengths.byteLength;
  }
  const bytes = read(body.message);
  return { bytes, length: bytes.length, beside: Array.from(lengths, read) };
}

/** Gives the memory of all bodies up to here back. @internal */
export function freeBodies(fd: number, end: number): void {
  if (end > KEEP) punchHole(fd, KEEP, end - KEEP);
}

/** @throws OSError @internal */
export function writeOverflow(fd: number, position: number, record: Uint8Array): void {
  writeAt(fd, record, OVER_BASE + position);
}

/** @throws OSError @internal */
export function readOverflow(fd: number, position: number, into: Uint8Array): void {
  readAt(fd, into, OVER_BASE + position);
}

/** Gives the memory of the overflow up to here back, in whole pieces. @internal */
export function freeOverflow(fd: number, from: number, to: number): void {
  const end = Math.floor(to / PIECE) * PIECE;
  if (end > from) punchHole(fd, OVER_BASE, end);
}
