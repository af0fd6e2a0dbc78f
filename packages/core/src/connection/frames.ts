/**
 * Messages in a byte stream: `_send_bytes` and `_recv_bytes` of multiprocessing/connection.py, each in steps that may
 * wait or not. A message is its length (`!i`; above 0x7fffffff -1 and then `!Q`) and its bytes.
 * Deviations: D-071, D-072.
 */
import { constants } from 'node:buffer';
import { type Stream, WOULD_WAIT } from '@multiprocessing/posix';
import { EOFError, OSError } from '../base/errors.ts';

/** Up to this length a message goes with its header in one write. */
export const IN_ONE_WRITE = 16_384;
const LONGEST_INT = 0x7fffffff;
/** What is allocated on the strength of a header alone, in bytes. The rest comes as the message does. */
const TRUSTED = 1 << 24;

const ENOMEM = 12;
const EMSGSIZE = 90;
const ECONNRESET = 104;

/** What the receiver of a message wants. */
export interface Wish {
  /** The longest message, in bytes. */
  readonly maxlength?: number | undefined;
  /** Where the message goes, if it fits. */
  readonly into?: Uint8Array | undefined;
}

/** A message whose length cannot be right; the stream cannot be read any more. */
export class BadMessageLength extends OSError {
  constructor() {
    super(EMSGSIZE, 'bad message length');
  }
}

/** Reads one message after another. */
export class FrameReader {
  /** The last message: a buffer of its own, or a part of the wish's. */
  message: Uint8Array = nothing;
  readonly #header = Buffer.alloc(12);
  /** Bytes of the header or the body that are there. */
  #got = 0;
  #size = -1;

  /**
   * Goes on with the message.
   * @param wait whether to sleep until it is there
   * @returns false when it would have to wait
   * @throws EOFError, OSError, BadMessageLength
   */
  advance(stream: Stream, wish: Wish, wait: boolean): boolean {
    if (this.#size < 0 && !this.#readHeader(stream, wish, wait)) return false;
    const size = this.#size;
    while (this.#got < size) {
      if (this.#got === this.message.length) this.#grow(size);
      const left = this.message.length - this.#got;
      const rest = this.#got === 0 ? this.message : this.message.subarray(this.#got);
      const count = stream.read(rest, left, wait);
      if (count === WOULD_WAIT) return false;
      if (count === 0) throw cutOff();
      this.#got += count;
    }
    this.#got = 0;
    this.#size = -1;
    return true;
  }

  #readHeader(stream: Stream, wish: Wish, wait: boolean): boolean {
    if (!this.#fill(stream, 4, wait)) return false;
    let size = this.#header.readInt32BE(0);
    if (size === -1) {
      if (!this.#fill(stream, 12, wait)) return false;
      size = Number(this.#header.readBigUInt64BE(4));
    }
    const { into, maxlength = constants.MAX_LENGTH } = wish;
    if (size < 0 || size > Math.min(maxlength, constants.MAX_LENGTH)) throw new BadMessageLength();
    this.#got = 0;
    this.#size = size;
    this.message =
      into !== undefined && size <= into.length
        ? into.subarray(0, size)
        : allocate(Math.min(size, TRUSTED));
    return true;
  }

  #fill(stream: Stream, target: number, wait: boolean): boolean {
    while (this.#got < target) {
      const rest = this.#got === 0 ? this.#header : this.#header.subarray(this.#got);
      const count = stream.read(rest, target - this.#got, wait);
      if (count === WOULD_WAIT) return false;
      if (count === 0) throw this.#got === 0 ? new EOFError('the other end is closed') : cutOff();
      this.#got += count;
    }
    return true;
  }

  #grow(size: number): void {
    const larger = Buffer.allocUnsafe(Math.min(size, this.message.length * 2));
    larger.set(this.message);
    this.message = larger;
  }
}

const nothing = Buffer.alloc(0);

/** @throws OSError ENOMEM */
function allocate(size: number): Buffer {
  try {
    return Buffer.allocUnsafe(size);
  } catch (error) {
    throw Object.assign(new OSError(ENOMEM, `no memory for ${size} bytes of a message`), {
      cause: error,
    });
  }
}

function cutOff(): OSError {
  return new OSError(ECONNRESET, 'got end of file during message');
}

/** Holds header and body of a short message on their way; of one at a time. */
const together = Buffer.allocUnsafeSlow(4 + IN_ONE_WRITE);

/** Writes one message after another. */
export class FrameWriter {
  /** What has not gone yet: the header, with the body or without. */
  #head: Uint8Array = nothing;
  #body: Uint8Array = nothing;

  /**
   * Begins a message and writes what can be written.
   * @param bytes must stay as they are until the message has gone
   * @param wait whether to sleep until it has
   * @returns false when it would have to wait: then `advance` goes on
   * @throws OSError, BrokenPipeError
   */
  begin(stream: Stream, bytes: Uint8Array, wait: boolean): boolean {
    const size = bytes.length;
    if (size > IN_ONE_WRITE) {
      this.#head = header(size);
      this.#body = bytes;
      return this.advance(stream, wait);
    }
    together.writeInt32BE(size, 0);
    together.set(bytes, 4);
    const total = size + 4;
    const count = stream.write(together, total, wait);
    if (count === total) return true;
    // The rest is kept: others use the buffer.
    this.#head = Buffer.from(together.subarray(Math.max(count, 0), total));
    this.#body = nothing;
    return this.advance(stream, wait);
  }

  /** Goes on with the message. @returns false when it would have to wait @throws as `begin` */
  advance(stream: Stream, wait: boolean): boolean {
    while (this.#head.length > 0) {
      const count = stream.write(this.#head, this.#head.length, wait, this.#body.length > 0);
      if (count === WOULD_WAIT) return false;
      this.#head = this.#head.subarray(count);
    }
    while (this.#body.length > 0) {
      const count = stream.write(this.#body, this.#body.length, wait);
      if (count === WOULD_WAIT) return false;
      this.#body = this.#body.subarray(count);
    }
    return true;
  }

  /** The next byte of a message that has not gone yet. */
  get next(): Uint8Array {
    return (this.#head.length > 0 ? this.#head : this.#body).subarray(0, 1);
  }

  /** Says that bytes have gone by another way. @param count 0 or 1 */
  skip(count: number): void {
    if (this.#head.length > 0) this.#head = this.#head.subarray(count);
    else this.#body = this.#body.subarray(count);
  }
}

function header(size: number): Buffer {
  if (size > LONGEST_INT) {
    const long = Buffer.alloc(12);
    long.writeInt32BE(-1, 0);
    long.writeBigUInt64BE(BigInt(size), 4);
    return long;
  }
  const short = Buffer.alloc(4);
  short.writeInt32BE(size, 0);
  return short;
}
