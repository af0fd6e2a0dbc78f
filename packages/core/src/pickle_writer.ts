/**
 * The lower half of the pickler: a growing buffer, numbers, strings, and the shapes of plain objects.
 */
import {
  BESIDE,
  FLOAT64,
  INT8,
  INT16,
  INT32,
  OBJECT,
  OBJECT_DICT,
  OBJECT_SHAPE,
  SHORT_STRING,
  SHORT_STRING_MAX,
  STRING,
  STRING16,
} from './pickle_codes.ts';

/** Small messages are cut from a buffer of this size, as Node cuts small Buffers from its pool. */
const slabSize = 32_768;
/** With less room than this left, the next message starts a new slab. */
const slabReserve = 512;
/** Objects with more keys than this are written as dictionaries. */
const maxShapeKeys = 24;
/** Shapes are forgotten when their tree has this many nodes; a program has far fewer kinds of records. */
const maxShapeNodes = 8192;

interface ShapeNode {
  next: Map<string, ShapeNode>;
  shape: Shape | undefined;
}

/** The keys of a plain object, in their order, ready to be written. */
interface Shape {
  readonly keys: readonly string[];
  /** count and keys, encoded */
  readonly definition: Uint8Array;
  /** The message in which it has been defined last, and its number there. */
  message: number;
  index: number;
}

const doubles = new Float64Array(1);
const doubleBytes = new Uint8Array(doubles.buffer);

let shapeRoot: ShapeNode = { next: new Map(), shape: undefined };
let shapeNodes = 0;
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
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * slabSize, 2 * used + bytes + slabReserve));
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

  /** Writes an object's code and keys; its values must follow in that order. Returns false for a dictionary. */
  protected shape(keys: readonly string[]): boolean {
    let shape = this.lastShape;
    if (shape === undefined || !sameKeys(shape.keys, keys)) {
      shape = this.findShape(keys);
      if (shape === undefined) {
        this.byte(OBJECT_DICT);
        this.varint(keys.length);
        return false;
      }
      this.lastShape = shape;
    }
    if (shape.message === this.message) {
      this.byte(OBJECT);
      this.varint(shape.index);
    } else {
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
    return true;
  }

  private findShape(keys: readonly string[]): Shape | undefined {
    if (keys.length > maxShapeKeys || keys.includes('__proto__')) return undefined;
    let node = shapeRoot;
    for (const key of keys) {
      let next = node.next.get(key);
      if (next === undefined) {
        if (key.length > 64) return undefined;
        if (++shapeNodes > maxShapeNodes) {
          shapeRoot = { next: new Map(), shape: undefined };
          shapeNodes = 0;
          return undefined;
        }
        next = { next: new Map(), shape: undefined };
        node.next.set(key, next);
      }
      node = next;
    }
    node.shape ??= { keys, definition: this.define(keys), message: 0, index: 0 };
    return node.shape;
  }

  private define(keys: readonly string[]): Uint8Array {
    const before = this.pos - this.start;
    this.varint(keys.length);
    for (const key of keys) this.string(key);
    const definition = Uint8Array.from(this.buf.subarray(this.start + before, this.pos));
    this.pos = this.start + before;
    return definition;
  }
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  const { length } = a;
  if (length !== b.length) return false;
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
