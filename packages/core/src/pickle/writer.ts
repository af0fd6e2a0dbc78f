/**
 * The lower half of the pickler: a growing buffer, numbers, strings, and the shapes of plain objects.
 */
import { constants } from 'node:buffer';
import {
  BESIDE,
  FLOAT64,
  INT8,
  INT16,
  INT32,
  OBJECT,
  OBJECT_SHAPE,
  SHORT_STRING,
  SHORT_STRING_MAX,
  STRING,
  STRING16,
} from './codes.ts';
import { type Shape, shapeOf } from './shapes.ts';

/** Small messages are cut from a buffer of this size, as Node cuts small Buffers from its pool. */
const slabSize = 32_768;
/** With less room than this left, the next message starts a new slab. */
const slabReserve = 512;
const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);

let messages = 0;

/** Writes the parts that hold no references. @internal */
export abstract class PickleWriter {
  protected buf: Buffer = Buffer.allocUnsafeSlow(slabSize);
  protected pos = 0;
  protected start = 0;
  /** Whether long runs of bytes stay out of the message. */
  protected besides = false;
  /** Those that did. */
  protected beside: Uint8Array[] | undefined;
  private message = 0;
  private shapes = 0;
  private lastShape: Shape | undefined;

  protected begin(): void {
    if (this.buf.length - this.pos < slabReserve) this.newSlab();
    this.start = this.pos;
    this.message = ++messages;
    this.shapes = 0;
  }

  /** The message: a view onto the slab, or onto a buffer of its own if it is long. */
  protected end(): Buffer {
    const message = this.buf.subarray(this.start, this.pos);
    this.finish();
    return message;
  }

  protected finish(): void {
    if (this.buf.length !== slabSize) this.newSlab();
  }

  protected abort(): void {
    this.pos = this.start;
    if (this.buf.length !== slabSize) this.newSlab();
  }

  private newSlab(): void {
    this.buf = Buffer.allocUnsafeSlow(slabSize);
    this.pos = 0;
    this.start = 0;
  }

  protected ensure(bytes: number): void {
    if (this.pos + bytes > this.buf.length) this.grow(bytes);
  }

  private grow(bytes: number): void {
    const used = this.pos - this.start;
    const wanted = Math.max(2 * slabSize, 2 * used + bytes + slabReserve);
    // Twice as much where that can be, else what there can be: a message may be nearly as long as a Buffer.
    const larger = Buffer.allocUnsafeSlow(
      Math.max(used + bytes, Math.min(wanted, constants.MAX_LENGTH)),
    );
    larger.set(this.buf.subarray(this.start, this.pos));
    this.buf = larger;
    this.pos = used;
    this.start = 0;
  }

  byte(value: number): void {
    this.ensure(1);
    this.buf[this.pos++] = value;
  }

  varint(value: number): void {
    this.ensure(8);
    let rest = value;
    while (rest > 0x7f) {
      this.buf[this.pos++] = (rest % 0x80) | 0x80;
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.buf[this.pos++] = rest;
  }

  float(value: number): void {
    this.ensure(8);
    doubles[0] = value;
    const { buf } = this;
    let { pos } = this;
    for (let i = 0; i < 8; i++) buf[pos++] = doubleBytes[i] as number;
    this.pos = pos;
  }

  bytes(source: Uint8Array): void {
    this.varint(source.length);
    if (source.length > BESIDE && this.besides) {
      this.beside ??= [];
      this.beside.push(source);
      return;
    }
    this.ensure(source.length);
    this.buf.set(source, this.pos);
    this.pos += source.length;
  }

  number(value: number): void {
    this.ensure(9);
    const { buf } = this;
    if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
      if (value >= 0 && value < 0x80) {
        buf[this.pos++] = value;
      } else if (value >= -0x80 && value < 0x80) {
        buf[this.pos++] = INT8;
        buf[this.pos++] = value;
      } else if (value >= -0x8000 && value < 0x8000) {
        buf[this.pos++] = INT16;
        buf[this.pos++] = value;
        buf[this.pos++] = value >> 8;
      } else {
        buf[this.pos++] = INT32;
        buf[this.pos++] = value;
        buf[this.pos++] = value >> 8;
        buf[this.pos++] = value >> 16;
        buf[this.pos++] = value >> 24;
      }
    } else {
      buf[this.pos++] = FLOAT64;
      this.float(value);
    }
  }

  string(value: string): void {
    const { length } = value;
    if (length > 64) {
      this.longString(value);
      return;
    }
    this.ensure(length + 4);
    const { buf } = this;
    const before = this.pos;
    let pos = before;
    if (length <= SHORT_STRING_MAX) {
      buf[pos++] = SHORT_STRING + length;
    } else {
      buf[pos++] = STRING;
      buf[pos++] = length; // up to 64: one byte of a varint
    }
    let all = 0;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      all |= code;
      buf[pos++] = code;
    }
    if (all > 0xff) this.longString(value);
    else this.pos = pos;
  }

  private longString(value: string): void {
    const { length } = value;
    const wide = /[\u0100-\uffff]/.test(value); // beyond Latin-1
    this.byte(wide ? STRING16 : STRING);
    this.varint(length);
    const bytes = wide ? length * 2 : length;
    this.ensure(bytes);
    this.buf.write(value, this.pos, bytes, wide ? 'utf16le' : 'latin1');
    this.pos += bytes;
  }

  /** The shape of an object that need not be looked through. */
  protected recognise(value: object): Shape | undefined {
    const expected = this.lastShape?.next;
    return expected?.recognises(value) === true ? expected : undefined;
  }

  /** Finds the shape of an object with these keys; undefined: it is to be written as a dictionary. */
  protected findShape(keys: readonly string[]): Shape | undefined {
    const expected = this.lastShape?.next;
    return expected !== undefined && sameKeys(expected.keys, keys)
      ? expected
      : shapeOf(keys, this.define);
  }

  /** Writes an object's code and keys; its values must follow in that order. */
  protected shape(shape: Shape): void {
    if (this.lastShape !== undefined) this.lastShape.next = shape;
    this.lastShape = shape;
    if (shape.message === this.message) {
      this.byte(OBJECT);
      this.varint(shape.index);
      return;
    }
    shape.message = this.message;
    shape.index = this.shapes++;
    const { definition } = shape;
    const { length } = definition;
    this.byte(OBJECT_SHAPE);
    this.varint(length);
    this.ensure(length);
    const { buf } = this;
    let { pos } = this;
    for (let i = 0; i < length; i++) buf[pos++] = definition[i] as number;
    this.pos = pos;
  }

  private readonly define = (keys: readonly string[]): Uint8Array => {
    const before = this.pos - this.start;
    this.varint(keys.length);
    for (const key of keys) this.string(key);
    const definition = Uint8Array.from(this.buf.subarray(this.start + before, this.pos));
    this.pos = this.start + before;
    return definition;
  };
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
