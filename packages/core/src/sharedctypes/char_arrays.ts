/**
 * Arrays of characters, which can also be used as one string: ctypes' arrays of `c_char` and `c_wchar`.
 */
import { inspect, types } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { ownerOf } from '../pickle/shared_buffers.ts';
import { assertSpawning } from '../process/spawning.ts';

/** How the characters are made again: around the same memory, if it is shared. */
function reduceCharacters<A extends CharArray | WideCharArray>(
  array: A,
): [new (buffer: ArrayBuffer, byteOffset: number, length: number) => A, unknown[]] {
  if (ownerOf(array.buffer) !== undefined) assertSpawning(array);
  const { buffer, byteOffset, length } = array;
  return [array.constructor as never, [buffer, byteOffset, length]];
}

/** Bytes of C's `char`: what `RawArray('c', ...)` makes; ctypes' `c_char_Array`. */
export class CharArray extends Uint8Array<ArrayBuffer> {
  /** slice(), map() and filter() make an ordinary Uint8Array. */
  static get [Symbol.species](): Uint8ArrayConstructor {
    return Uint8Array;
  }

  /** A copy of the bytes up to the first NUL, or of all; setting it ends them with a NUL if there is room. */
  get value(): Buffer {
    const end = this.indexOf(0);
    return Buffer.from(end < 0 ? this : this.subarray(0, end));
  }

  /** @throws TypeError unless it is bytes, ValueError if they are too long */
  set value(bytes: Uint8Array) {
    this.raw = bytes;
    if (bytes.length < this.length) this[bytes.length] = 0;
  }

  /** A copy of all bytes; setting it writes as many as are given. */
  get raw(): Buffer {
    return Buffer.from(this);
  }

  /** @throws TypeError unless it is bytes, ValueError if they are too long */
  set raw(bytes: Uint8Array) {
    if (!types.isUint8Array(bytes)) {
      throw typeError(`'c' takes bytes, not ${inspect(bytes)}: use Buffer.from(text)`);
    }
    if (bytes.length > this.length) {
      throw new ValueError(`byte string too long: ${bytes.length} for ${this.length} bytes`);
    }
    this.set(bytes);
  }

  [reduceSymbol]() {
    return reduceCharacters(this);
  }
}

/** Code points of C's `wchar_t`: what `RawArray('u', ...)` makes; ctypes' `c_wchar_Array`. */
export class WideCharArray extends Uint32Array<ArrayBuffer> {
  /** slice(), map() and filter() make an ordinary Uint32Array. */
  static get [Symbol.species](): Uint32ArrayConstructor {
    return Uint32Array;
  }

  /** The text up to the first NUL, or all; setting it ends the text with a NUL if there is room. */
  get value(): string {
    const end = this.indexOf(0);
    let text = '';
    for (const point of end < 0 ? this : this.subarray(0, end)) text += characterOf(point);
    return text;
  }

  /** @throws TypeError unless it is a string, ValueError if it has too many code points */
  set value(text: string) {
    if (typeof text !== 'string') throw typeError(`'u' takes a string, not ${inspect(text)}`);
    const points = Array.from(text, (character) => character.codePointAt(0) as number);
    if (points.length > this.length) {
      throw new ValueError(`string too long: ${points.length} for ${this.length} characters`);
    }
    this.set(points);
    if (points.length < this.length) this[points.length] = 0;
  }

  [reduceSymbol]() {
    return reduceCharacters(this);
  }
}

/** @throws ValueError for a number that is no code point @internal */
export function characterOf(point: number): string {
  if (point > 0x10ffff) throw new ValueError(`'u': 0x${point.toString(16)} is no code point`);
  return String.fromCodePoint(point);
}

nameExports(import.meta.url, { CharArray, WideCharArray });
