/**
 * The memory of a queue that is not mapped: a file without a name. Large items stand there, each in one piece, and small
 * ones for which there is no room in the ring. It is written and read by system calls, which copy once; no address
 * space is needed, and there is no limit but the machine's memory.
 */
import {
  bufferOver,
  copyBytes,
  keepFreedMemory,
  mapShared,
  PAGE_SIZE,
  punchHole,
  readAt,
  roundup,
  sealedMemfd,
  unmap,
  wantLargePages,
  writeAt,
} from '@multiprocessing/posix';
import { damaged } from '../base/errors.ts';
import type { Received } from '../pickle/reduction.ts';
import { Finalize } from '../util/finalize.ts';

/**
 * The first part of the file, which who has large items maps: memory that is there already takes half of the time of
 * memory that has to be made. There is room for two items of 16 MB or four of 8 MB, with what they need beside. What
 * does not fit is written and read by system calls.
 */
export const WINDOW_BYTES = 36 * 1024 ** 2;
/** Bytes from which on the memory that an item is read into is looked after. */
const LARGE = 4 * 1024 ** 2;
/** Bytes that stay in this process for the next large items: about what V8 lets arrays be before it collects them. */
const KEPT = 128 * 1024 ** 2;
/** The overflow is far behind all bodies. */
const OVER_BASE = 2 ** 45;
/** More bytes than bodies, and records in the overflow, ever take. */
export const MOST_BYTES = 2 ** 44;
/** The overflow gives its memory back in pieces of this size. */
const PIECE = 1024 ** 2;

/** @internal */
export function openQueueFile(): number {
  return sealedMemfd('multiprocessing-queue', WINDOW_BYTES, { mayGrow: true });
}

/** The window of a queue in this process. @throws OSError @internal */
export class QueueWindow {
  readonly #buffer: ArrayBuffer;

  constructor(fd: number) {
    const address = mapShared(fd, WINDOW_BYTES);
    this.#buffer = bufferOver(address, WINDOW_BYTES);
    new Finalize(this.#buffer, unmap, { args: [address, WINDOW_BYTES] });
  }

  part(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer, at, length);
  }
}

/** Reads what has to be there. @throws OSError, RuntimeError where the file ends before */
function readWhole(fd: number, bytes: Uint8Array, at: number): void {
  try {
    readAt(fd, bytes, at);
  } catch (error) {
    throw (error as { code?: string }).code === 'EIO' ? damaged('Queue') : error;
  }
}

type Move = (part: Uint8Array, at: number) => void;

/** Where an item stands, and what it is made of. @internal */
export interface Body {
  /** Bytes from the beginning of the file. */
  readonly position: number;
  /** Bytes of the message. */
  readonly message: number;
  /** How many runs of bytes are beside it; their lengths stand first of all. */
  readonly beside: number;
  /** Where it ends at the latest. */
  readonly limit: number;
}

/** Each part of a body begins at a multiple of so many bytes, as it can be copied fastest. */
const ALIGNMENT = 64;

const align = (position: number) => roundup(position, ALIGNMENT);

/** Bytes of the file that a body takes. @internal */
export function sizeOfBody(message: number, beside: readonly Uint8Array[]): number {
  const head = align(beside.length * 8) + align(message);
  const bytes = beside.reduce((sum, { length }) => sum + align(length), head);
  return roundup(bytes, PAGE_SIZE);
}

/** Writes a body's parts, one behind the other. */
function writeParts(
  write: Move,
  at: number,
  message: Uint8Array,
  beside: readonly Uint8Array[],
): void {
  const parts = [message, ...beside];
  if (beside.length > 0) {
    const lengths = Float64Array.from(beside, ({ length }) => length);
    parts.unshift(new Uint8Array(lengths.buffer));
  }
  let next = at;
  for (const part of parts) {
    write(part, next);
    next = align(next + part.length);
  }
}

let keeps = false;

/** Before a large array is written to for the first time. */
function wantMemory(bytes: Uint8Array): void {
  if (!keeps) keepFreedMemory(KEPT);
  keeps = true;
  wantLargePages(bytes);
}

/** @throws RuntimeError for lengths that leave the body: nothing is made for them */
function readParts(read: Move, { position, message, beside, limit }: Body): Received {
  let at = position;
  const check = (length: number) => {
    if (!(Number.isInteger(length) && length >= 0 && at + length <= limit)) throw damaged('Queue');
  };
  const next = (length: number) => {
    check(length);
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    if (length >= LARGE) wantMemory(bytes);
    read(bytes, at);
    at = align(at + length);
    return bytes;
  };
  check(beside * 8);
  const lengths = new Float64Array(beside);
  if (beside > 0) {
    read(new Uint8Array(lengths.buffer), at);
    at = align(at + lengths.byteLength);
  }
  const bytes = next(message);
  return { bytes, length: message, beside: Array.from(lengths, next) };
}

/** @param position bytes from the beginning of the window's part of the file @internal */
export function writeToWindow(
  window: QueueWindow,
  position: number,
  message: Uint8Array,
  beside: readonly Uint8Array[],
): void {
  const write: Move = (part, at) => copyBytes(window.part(at, part.length), part);
  writeParts(write, position, message, beside);
}

/** @internal */
export function readFromWindow(window: QueueWindow, body: Body): Received {
  return readParts((part, at) => copyBytes(part, window.part(at, part.length)), body);
}

/** @param position bytes from the end of the window @throws OSError @internal */
export function writeBody(
  fd: number,
  position: number,
  message: Uint8Array,
  beside: readonly Uint8Array[],
): void {
  const write: Move = (part, at) => writeAt(fd, part, WINDOW_BYTES + at);
  writeParts(write, position, message, beside);
}

/** @throws OSError @internal */
export function readBody(fd: number, body: Body): Received {
  return readParts((part, at) => readWhole(fd, part, WINDOW_BYTES + at), body);
}

/** Gives the memory of all bodies up to here back. @internal */
export function freeBodies(fd: number, end: number): void {
  if (end > 0) punchHole(fd, WINDOW_BYTES, end);
}

/** @throws OSError @internal */
export function writeOverflow(fd: number, position: number, record: Uint8Array): void {
  writeAt(fd, record, OVER_BASE + position);
}

/** @throws OSError @internal */
export function readOverflow(fd: number, position: number, into: Uint8Array): void {
  readWhole(fd, into, OVER_BASE + position);
}

/** Gives the memory of the overflow up to here back, in whole pieces. @internal */
export function freeOverflow(fd: number, from: number, to: number): void {
  const end = Math.floor(to / PIECE) * PIECE;
  if (end > from) punchHole(fd, OVER_BASE, end);
}
