/**
 * The lower half of the unpickler: numbers, strings, and the shapes of plain objects. Every read is
 * checked against the end of the message.
 */
import { UnpicklingError } from '../base/errors.ts';
import { BESIDE, SHORT_STRING, SHORT_STRING_MAX, STRING, STRING16 } from './codes.ts';
import { isFar } from './properties.ts';

/** The keys of a plain object. */
export interface ReadShape {
  readonly keys: readonly string[];
  /** An object with these keys; a copy of it is faster to fill than an empty object. Without one they are set one by one. */
  readonly template: Readonly<Record<string, unknown>> | undefined;
}

interface CachedShape extends ReadShape {
  readonly definition: Uint8Array;
}

const cacheSize = 1024;
/** Longer ones are not kept, in bytes: a stranger could have this process keep many. */
const longestCached = 4096;
/** Shapes of earlier messages by the hash of their definition: records of one kind are parsed once. */
const shapeCache: (CachedShape | undefined)[] = new Array<CachedShape | undefined>(cacheSize).fill(
  undefined,
);

const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);

/** Reads the parts that hold no references. @internal */
export abstract class PickleReader {
  protected readonly buf: Uint8Array;
  protected pos = 0;
  protected end: number;
  /** What stands beside the message, to be taken in this order. */
  protected beside: readonly Uint8Array<ArrayBuffer>[] | undefined;
  private taken = 0;
  private announced = 0;
  private buffer: Buffer | undefined;
  private shapes: ReadShape[] | undefined;

  /** @param length of the message; the buffer may go on behind it */
  constructor(message: Uint8Array, length: number) {
    this.buf = message;
    this.end = length;
  }

  damaged(how: string): UnpicklingError {
    return new UnpicklingError(
      `the message is damaged: it ${how} (at byte ${this.pos} of ${this.buf.length})`,
    );
  }

  byte(): number {
    if (this.pos >= this.end) throw this.damaged('ends too early');
    return this.buf[this.pos++] as number;
  }

  varint(): number {
    let value = this.byte();
    if (value < 0x80) return value;
    value -= 0x80;
    for (let scale = 0x80; scale < 2 ** 49; scale *= 0x80) {
      const byte = this.byte();
      if (byte < 0x80) return value + byte * scale;
      value += (byte - 0x80) * scale;
    }
    throw this.damaged('has a number that is too long');
  }

  /** A number of things of which each takes at least one byte. */
  count(): number {
    const count = this.varint();
    if (count > this.end - this.pos) throw this.damaged('announces more than it holds');
    return count;
  }

  /**
   * Is told of values that room is made for before they come. All values of a message, of containers in containers too, take
   * at least one byte each.
   */
  announce(count: number): void {
    this.announced += count;
    if (this.announced > this.end) throw this.damaged('announces more than it holds');
  }

  float(): number {
    const { buf, pos } = this;
    if (pos + 8 > this.end) throw this.damaged('ends too early');
    for (let i = 0; i < 8; i++) doubleBytes[i] = buf[pos + i] as number;
    this.pos = pos + 8;
    return doubles[0] as number;
  }

  /** A copy of the bytes that follow their length, in a buffer of its own. */
  bytes(): Uint8Array<ArrayBuffer> {
    if (this.beside !== undefined) {
      const { pos } = this;
      const length = this.varint();
      if (length > BESIDE) return this.nextBeside(length);
      this.pos = pos;
    }
    const length = this.count();
    const { buf, pos } = this;
    this.pos = pos + length;
    const { buffer } = buf;
    // Slicing the buffer is the faster copy of much; of shared memory it would give shared memory.
    if (length > 4096 && buffer instanceof ArrayBuffer) {
      return new Uint8Array(buffer.slice(buf.byteOffset + pos, buf.byteOffset + pos + length));
    }
    return new Uint8Array(buf.subarray(pos, pos + length));
  }

  private nextBeside(length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.beside?.[this.taken++];
    if (bytes?.length !== length) throw this.damaged('has lost what stood beside it');
    return bytes;
  }

  string(): string {
    const tag = this.byte();
    if (tag >= SHORT_STRING && tag <= SHORT_STRING + SHORT_STRING_MAX)
      return this.latin1(tag - SHORT_STRING);
    if (tag === STRING) return this.latin1(this.varint());
    if (tag === STRING16) return this.utf16(this.varint());
    throw this.damaged('has something else where text should be');
  }

  protected latin1(length: number): string {
    const { buf, pos } = this;
    const end = pos + length;
    if (end > this.end) throw this.damaged('ends in the middle of a text');
    this.pos = end;
    if (length > 16) return this.asBuffer().toString('latin1', pos, end);
    // Short strings are faster put together than fetched from C++.
    let text = '';
    let i = pos;
    for (; i + 4 <= end; i += 4) {
      text += String.fromCharCode(
        buf[i] as number,
        buf[i + 1] as number,
        buf[i + 2] as number,
        buf[i + 3] as number,
      );
    }
    if (end - i === 1) return text + String.fromCharCode(buf[i] as number);
    if (end - i === 2) return text + String.fromCharCode(buf[i] as number, buf[i + 1] as number);
    if (end - i === 3) {
      return (
        text + String.fromCharCode(buf[i] as number, buf[i + 1] as number, buf[i + 2] as number)
      );
    }
    return text;
  }

  protected utf16(units: number): string {
    const { pos } = this;
    const end = pos + units * 2;
    if (end > this.end) throw this.damaged('ends in the middle of a text');
    this.pos = end;
    return this.asBuffer().toString('utf16le', pos, end);
  }

  private asBuffer(): Buffer {
    const { buf } = this;
    this.buffer ??= Buffer.isBuffer(buf)
      ? buf
      : Buffer.from(buf.buffer, buf.byteOffset, buf.length);
    return this.buffer;
  }

  protected knownShape(): ReadShape {
    const shape = this.shapes?.[this.varint()];
    if (shape === undefined) throw this.damaged('refers to a shape that it does not have');
    return shape;
  }

  protected newShape(): ReadShape {
    const length = this.count();
    const { buf, pos } = this;
    let hash = length;
    for (let i = pos; i < pos + length; i++) hash = (Math.imul(hash, 31) + (buf[i] as number)) | 0;
    const slot = (hash ^ (hash >>> 16)) & (cacheSize - 1);
    let shape = shapeCache[slot];
    if (shape !== undefined && sameBytes(shape.definition, buf, pos, length)) {
      this.pos = pos + length;
    } else {
      shape = this.parseShape(pos, length);
      if (length <= longestCached) shapeCache[slot] = shape;
    }
    if (this.shapes === undefined) this.shapes = [shape];
    else this.shapes.push(shape);
    return shape;
  }

  private parseShape(pos: number, length: number): CachedShape {
    const count = this.count();
    const keys: string[] = [];
    for (let i = 0; i < count; i++) keys.push(this.string());
    if (this.pos !== pos + length || keys.includes('__proto__'))
      throw this.damaged('has a broken shape');
    const definition = Uint8Array.from(this.buf.subarray(pos, pos + length));
    return { keys, template: templateOf(keys), definition };
  }
}

function templateOf(keys: readonly string[]): Record<string, unknown> | undefined {
  if (keys.some((key, i) => isFar(key, i))) return undefined;
  const template: Record<string, unknown> = {};
  // Two values of different kinds, so that V8 expects any.
  for (const key of keys) template[key] = 0;
  for (const key of keys) template[key] = '';
  return template;
}

function sameBytes(definition: Uint8Array, buf: Uint8Array, pos: number, length: number): boolean {
  if (definition.length !== length) return false;
  for (let i = 0; i < length; i++) if (definition[i] !== buf[pos + i]) return false;
  return true;
}
