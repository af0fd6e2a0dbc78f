/**
 * The lower half of the unpickler for Python's format: bytes, lengths, and the lines of protocol 0.
 */
import { UnpicklingError } from '../base/errors.ts';
import { refused } from './globals.ts';
import * as op from './opcodes.ts';
import { decodeUtf8, narrow } from './text.ts';

/** As many digits as CPython takes, for the same reason: the time grows with their square. */
const maxDigits = 4300;
/** Where texts of this length are faster put together than fetched from C++. */
const shortText = 12;

const doubles = new DataView(new ArrayBuffer(8));

/** Reads the parts of a pickle. @internal */
export abstract class PythonReader {
  protected readonly buf: Buffer;
  protected pos = 0;
  protected readonly end: number;

  constructor(bytes: Uint8Array) {
    this.buf = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.byteLength;
  }

  protected damaged(what: string): UnpicklingError {
    return new UnpicklingError(`the pickle is damaged: it ${what} (at byte ${this.pos - 1})`);
  }

  protected checkLength(length: number): void {
    if (length < 0 || length > this.end - this.pos) {
      throw new UnpicklingError(
        `the pickle is truncated: ${length} bytes are announced, ${this.end - this.pos} are there`,
      );
    }
  }

  protected byte(): number {
    if (this.pos >= this.end) throw new UnpicklingError('the pickle is truncated: it has no end');
    return this.buf[this.pos++] as number;
  }

  protected uint32(): number {
    this.checkLength(4);
    this.pos += 4;
    return this.buf.readUInt32LE(this.pos - 4);
  }

  protected int32(): number {
    return this.uint32() | 0;
  }

  /** Rounded where that makes no difference: no pickle has that length. */
  protected uint64(): number {
    const low = this.uint32();
    return low + this.uint32() * 0x1_0000_0000;
  }

  protected double(): number {
    this.checkLength(8);
    const { buf } = this;
    for (let i = 0; i < 8; i++) doubles.setUint8(i, buf[this.pos++] as number);
    return doubles.getFloat64(0);
  }

  /** A view. */
  protected take8(length: number): Buffer {
    this.checkLength(length);
    this.pos += length;
    return this.buf.subarray(this.pos - length, this.pos);
  }

  protected copy(length: number): Buffer {
    return Buffer.from(this.take8(length));
  }

  protected utf8(length: number): string {
    this.checkLength(length);
    const { buf, pos } = this;
    const end = pos + length;
    this.pos = end;
    if (length <= shortText) {
      let text = '';
      let i = pos;
      for (; i < end && (buf[i] as number) < 0x80; i++)
        text += String.fromCharCode(buf[i] as number);
      if (i === end) return text;
    }
    return decodeUtf8(buf, pos, end);
  }

  /** Up to the next line feed, as Latin-1. */
  protected line(): string {
    const at = this.buf.indexOf(0x0a, this.pos);
    if (at < 0) throw new UnpicklingError('the pickle is truncated: a line has no end');
    const text = this.buf.toString('latin1', this.pos, at);
    this.pos = at + 1;
    return text;
  }

  protected intLine(): number | bigint | boolean {
    const text = this.line();
    if (text === '00' || text === '01') return text === '01';
    return this.decimal(text);
  }

  protected longLine(): number | bigint {
    return this.decimal(this.line().replace(/L$/, ''));
  }

  private decimal(text: string): number | bigint {
    if (text.length > maxDigits)
      throw this.damaged(`has an integer of more than ${maxDigits} digits`);
    if (!/^-?\d+$/.test(text)) throw this.damaged('has an integer that is none');
    return narrow(BigInt(text));
  }

  protected floatLine(): number {
    const text = this.line();
    if (/^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return Number(text);
    if (text === 'nan') return Number.NaN;
    if (text === 'inf') return Number.POSITIVE_INFINITY;
    if (text === '-inf') return Number.NEGATIVE_INFINITY;
    throw this.damaged('has a float that is none');
  }

  protected indexLine(): number {
    const text = this.line();
    if (!/^\d{1,15}$/.test(text)) throw this.damaged('has the number of an object that is none');
    return Number(text);
  }

  protected protocol(version: number): void {
    if (version > 5) {
      throw new UnpicklingError(
        `the pickle is of protocol ${version}, and 5 is the last one that is known here`,
      );
    }
  }

  /** For an opcode that this unpickler has nothing for. */
  protected refusal(opcode: number, top: unknown): UnpicklingError {
    switch (opcode) {
      case op.INST:
        return refused(`an instance of ${this.line()}.${this.line()}`);
      case op.OBJ:
        return refused('an instance of a class');
      case op.PERSID:
        return refused(`the persistent object ${JSON.stringify(this.line())}`);
      case op.BINPERSID:
        return refused(
          `the persistent object ${typeof top === 'string' ? JSON.stringify(top) : typeof top}`,
        );
      case op.EXT1:
        return refused(`number ${this.byte()} of the extension registry`);
      case op.EXT2:
        return refused(`number ${this.byte() | (this.byte() << 8)} of the extension registry`);
      case op.EXT4:
        return refused(`number ${this.int32()} of the extension registry`);
    }
    return this.damaged(`has an unknown opcode 0x${opcode.toString(16).padStart(2, '0')}`);
  }
}
