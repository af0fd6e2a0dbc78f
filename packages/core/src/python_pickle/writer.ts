/**
 * The lower half of the pickler for Python's format: numbers, texts, bytes, and the lengths before them.
 */
import { Refusal } from '../pickle/message.ts';
import { PickleWriter } from '../pickle/writer.ts';
import * as op from './opcodes.ts';
import { encodeLong, encodeUtf8 } from './text.ts';
import { splitName } from './types.ts';

/** Longer texts are not looked at character by character, and longer keys not remembered. @internal */
export const shortText = 64;

const exceptionNames = /(?:Error|Exception|Warning|Exit|Interrupt|StopIteration)$/;
/** Builtins that Python 2 has not: a Python 3 does not look for them in Python 2's module. */
const newNames =
  /^(?:BlockingIO|BrokenPipe|ChildProcess|Connection\w*|FileExists|FileNotFound|Interrupted|IsADirectory|ModuleNotFound|NotADirectory|Permission|ProcessLookup|PythonFinalization|Recursion|Timeout)Error$|^(?:Encoding|Resource)Warning$|^StopAsyncIteration$|ExceptionGroup$/;

/** Writes the parts of a pickle. @internal */
export abstract class PythonWriter extends PickleWriter {
  protected protocol = 4;

  protected integer(value: number): void {
    if (value >= 0 && value < 0x100) {
      this.byte(op.BININT1);
      this.byte(value);
    } else if (value >= 0 && value < 0x10000) {
      this.byte(op.BININT2);
      this.byte(value & 0xff);
      this.byte(value >> 8);
    } else if ((value | 0) === value) {
      this.byte(op.BININT);
      this.uint32(value);
    } else {
      this.bigint(BigInt(value));
    }
  }

  protected bigint(value: bigint): void {
    if (value === BigInt.asIntN(32, value)) {
      this.integer(Number(value));
      return;
    }
    const bytes = encodeLong(value);
    this.lengthOf(bytes.length, op.LONG1, op.LONG4);
    this.raw(bytes);
  }

  protected double(value: number): void {
    this.byte(op.BINFLOAT);
    this.ensure(8);
    this.pos = this.buf.writeDoubleBE(value, this.pos);
  }

  protected text(value: string): void {
    const { length } = value;
    if (length <= shortText && this.protocol >= 4) {
      this.ensure(length + 2);
      const { buf } = this;
      let { pos } = this;
      buf[pos++] = op.SHORT_BINUNICODE;
      buf[pos++] = length;
      let all = 0;
      for (let i = 0; i < length; i++) {
        const code = value.charCodeAt(i);
        all |= code;
        buf[pos++] = code;
      }
      if (all < 0x80) {
        this.pos = pos;
        return;
      }
    }
    const bytes = encodeUtf8(value);
    if (this.protocol >= 4) {
      this.lengthOf(bytes.length, op.SHORT_BINUNICODE, op.BINUNICODE, op.BINUNICODE8);
    } else {
      this.lengthOf(bytes.length, undefined, op.BINUNICODE);
    }
    this.raw(bytes);
  }

  protected binary(value: Uint8Array): void {
    if (this.protocol < 3) {
      // As CPython does: a text of as many characters, and a call that makes bytes of it.
      const text = Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1');
      this.global('_codecs', 'encode');
      this.text(text);
      this.text('latin1');
      this.byte(op.TUPLE2);
      this.byte(op.REDUCE);
    } else {
      const long = this.protocol >= 4 ? op.BINBYTES8 : undefined;
      this.lengthOf(value.length, op.SHORT_BINBYTES, op.BINBYTES, long);
      this.raw(value);
    }
  }

  protected uint32(value: number): void {
    this.ensure(4);
    for (let shift = 0; shift < 32; shift += 8) this.buf[this.pos++] = value >>> shift;
  }

  /** An opcode and a length of 1, 4 or 8 bytes. */
  protected lengthOf(
    length: number,
    short: number | undefined,
    long: number,
    longest?: number,
  ): void {
    if (short !== undefined && length < 0x100) {
      this.byte(short);
      this.byte(length);
    } else if (length < (long === op.LONG4 ? 0x8000_0000 : 0x1_0000_0000)) {
      this.byte(long);
      this.uint32(length);
    } else {
      if (longest === undefined) {
        throw new Refusal(`${length} bytes at once need protocol 4`);
      }
      this.byte(longest);
      this.uint32(length);
      this.uint32(Math.floor(length / 0x1_0000_0000));
    }
  }

  protected raw(bytes: Uint8Array): void {
    this.ensure(bytes.length);
    this.buf.set(bytes, this.pos);
    this.pos += bytes.length;
  }

  protected global(module: string, name: string): void {
    this.byte(op.GLOBAL);
    this.raw(Buffer.from(`${module}\n${name}\n`, 'latin1'));
  }

  /** The module and name by which this protocol's readers know it: Python 2 reads protocol 2. */
  protected spelled(name: string): [module: string, qualname: string] {
    const [module, qualname] = splitName(name);
    if (this.protocol > 2 || module !== 'builtins' || newNames.test(qualname))
      return [module, qualname];
    if (qualname === 'range') return ['__builtin__', 'xrange'];
    return [exceptionNames.test(qualname) ? 'exceptions' : '__builtin__', qualname];
  }

  protected numbered(index: number, short: number, long: number): void {
    if (index < 0x100) {
      this.byte(short);
      this.byte(index);
    } else {
      this.byte(long);
      this.uint32(index);
    }
  }
}
