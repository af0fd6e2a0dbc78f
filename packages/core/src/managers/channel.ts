/**
 * Messages of a connection whose many small ones go together: read and written by the buffer, each call at once or in the
 * event loop as its caller likes. The frames are those of connection/frames.ts.
 */
import { Stream, StreamWatch, WOULD_WAIT } from '@multiprocessing/posix';
import { EOFError, OSError } from '../base/errors.ts';
import { BadMessageLength } from '../connection/frames.ts';

/** What is read at once, in bytes. */
const BUFFER = 1 << 16;
/** Messages up to this length are copied, to go with others in one write. */
const TOGETHER = 1 << 14;
/** What is allocated on the strength of a length alone, in bytes. */
const TRUSTED = 1 << 24;
const LONGEST_INT = 0x7fffffff;
const ECONNRESET = 104;

const nothing = Buffer.alloc(0);

/** A message that does not fit in the buffer. */
interface Large {
  bytes: Buffer;
  got: number;
  readonly size: number;
}

/** @internal */
export class Channel {
  readonly fd: number;
  readonly #stream: Stream;
  readonly #longest: number;
  #watch: StreamWatch | undefined;
  readonly #in = Buffer.allocUnsafeSlow(BUFFER);
  #start = 0;
  #end = 0;
  #large: Large | undefined;
  readonly #out = Buffer.allocUnsafeSlow(BUFFER);
  #outStart = 0;
  #outEnd = 0;
  /** What goes behind it. */
  #queue: Uint8Array[] = [];
  #queued = 0;

  /** @param longest message that is received, in bytes */
  constructor(fd: number, longest: number) {
    this.fd = fd;
    this.#stream = new Stream(fd);
    this.#longest = longest;
  }

  //
  // Receiving
  //

  /**
   * The next message of those that have come. It is good until `fill` is called.
   * @throws OSError for a length that cannot be
   */
  next(): Buffer | undefined {
    const large = this.#large;
    if (large !== undefined) {
      if (large.got < large.size) return undefined;
      this.#large = undefined;
      return large.bytes;
    }
    const there = this.#end - this.#start;
    if (there < 4) return undefined;
    let size = this.#in.readInt32BE(this.#start);
    let head = 4;
    if (size === -1) {
      head = 12;
      if (there < head) return undefined;
      size = Number(this.#in.readBigUInt64BE(this.#start + 4));
    }
    if (size < 0 || size > this.#longest) throw new BadMessageLength();
    const begin = this.#start + head;
    if (there - head >= size) {
      this.#start = begin + size;
      return this.#in.subarray(begin, begin + size);
    }
    if (size + head > BUFFER) this.#beginLarge(begin, size);
    return undefined;
  }

  #beginLarge(begin: number, size: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.min(size, TRUSTED));
    const got = this.#in.copy(bytes, 0, begin, this.#end);
    this.#large = { bytes, got, size };
    this.#start = this.#end = 0;
  }

  /**
   * Reads what is there.
   * @param wait whether to sleep until there is something
   * @returns false when there is nothing
   * @throws EOFError at the end, OSError
   */
  fill(wait = false): boolean {
    if (this.#large !== undefined) return this.#fillLarge(this.#large, wait);
    if (this.#start === this.#end) this.#start = this.#end = 0;
    else if (this.#start > 0 && this.#end > BUFFER / 2) {
      this.#in.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    const room = BUFFER - this.#end;
    const into = this.#end === 0 ? this.#in : this.#in.subarray(this.#end);
    const count = this.#read(into, room, wait);
    if (count === WOULD_WAIT) return false;
    if (count === 0)
      throw this.#start === this.#end ? new EOFError('the other end is closed') : cutOff();
    this.#end += count;
    return true;
  }

  #read(into: Uint8Array, size: number, wait: boolean): number {
    return wait ? this.#stream.readSome(into, size) : this.#stream.read(into, size, false);
  }

  #fillLarge(large: Large, wait: boolean): boolean {
    if (large.got === large.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(large.size, large.bytes.length * 2));
      large.bytes.copy(larger);
      large.bytes = larger;
    }
    const rest = large.bytes.subarray(large.got);
    const count = this.#read(rest, rest.length, wait);
    if (count === WOULD_WAIT) return false;
    if (count === 0) throw cutOff();
    large.got += count;
    return true;
  }

  /** Calls back once from the event loop, which it keeps alive until then. */
  whenReadable(callback: () => void): void {
    this.#watch ??= StreamWatch(this.fd);
    this.#watch.whenReadable(callback);
  }

  cancelReadable(): void {
    this.#watch?.cancelReadable();
  }

  //
  // Sending
  //

  /** How many bytes have not gone yet. */
  get unsent(): number {
    return this.#outEnd - this.#outStart + this.#queued;
  }

  /**
   * Puts a message behind those that have not gone yet.
   * @param body is not copied, if it is long
   * @param serial goes before it in 4 bytes, unless it is negative
   * @param kind goes between them in one, unless it is negative
   */
  add(body: Uint8Array, serial = -1, kind = -1): void {
    const head = (serial < 0 ? 0 : 4) + (kind < 0 ? 0 : 1);
    const size = head + body.length;
    if (this.#queue.length === 0 && size <= TOGETHER && BUFFER - this.#outEnd >= size + 4) {
      const at = this.#outEnd;
      this.#out.writeInt32BE(size, at);
      writeHead(this.#out, at + 4, serial, kind);
      this.#out.set(body, at + 4 + head);
      this.#outEnd += size + 4;
      return;
    }
    const length = size > LONGEST_INT ? 12 : 4;
    const first = Buffer.alloc(length + head);
    if (size > LONGEST_INT) {
      first.writeInt32BE(-1, 0);
      first.writeBigUInt64BE(BigInt(size), 4);
    } else first.writeInt32BE(size, 0);
    writeHead(first, length, serial, kind);
    this.#queue.push(first, body);
    this.#queued += first.length + body.length;
  }

  /**
   * Writes what has not gone yet, as far as that goes at once.
   * @returns false when it would have to wait
   * @throws OSError, BrokenPipeError
   */
  flush(): boolean {
    while (this.#outStart < this.#outEnd) {
      const rest =
        this.#outStart === 0 ? this.#out : this.#out.subarray(this.#outStart, this.#outEnd);
      const count = this.#stream.write(rest, this.#outEnd - this.#outStart, false);
      if (count === WOULD_WAIT) return false;
      this.#outStart += count;
    }
    this.#outStart = this.#outEnd = 0;
    while (this.#queue.length > 0) {
      const first = this.#queue[0] as Uint8Array;
      const count = first.length === 0 ? 0 : this.#stream.write(first, first.length, false);
      if (count === WOULD_WAIT) return false;
      this.#queued -= count;
      if (count === first.length) this.#queue.shift();
      else this.#queue[0] = first.subarray(count);
    }
    return true;
  }

  /** Calls back once from the event loop when more can be written. */
  whenWritable(callback: (error?: Error) => void): void {
    this.#watch ??= StreamWatch(this.fd);
    const next =
      this.#outStart < this.#outEnd
        ? this.#out.subarray(this.#outStart, this.#outStart + 1)
        : (this.#queue[0] ?? nothing).subarray(0, 1);
    this.#watch.whenWritable(next, (gone, error) => {
      this.#skip(gone);
      callback(error);
    });
  }

  cancelWritable(): void {
    if (this.#watch !== undefined) this.#skip(this.#watch.cancelWritable());
  }

  /** A byte that has gone by another way. */
  #skip(count: number): void {
    if (count === 0) return;
    if (this.#outStart < this.#outEnd) this.#outStart += count;
    else if (this.#queue.length > 0) {
      this.#queue[0] = (this.#queue[0] as Uint8Array).subarray(count);
      this.#queued -= count;
    }
  }

  /** Waits for nothing any more. The fd is its owner's. */
  close(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }
}

function writeHead(into: Buffer, at: number, serial: number, kind: number): void {
  if (serial >= 0) into.writeUInt32LE(serial, at);
  if (kind >= 0) into[at + 4] = kind;
}

function cutOff(): OSError {
  return new OSError(ECONNRESET, 'got end of file during message');
}
