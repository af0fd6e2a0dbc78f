/**
 * Arrays of nothing but numbers: they travel as the narrowest typed array that holds them, which is some ten times as fast as one by
 * one.
 */

/** Of fewer elements each is written by itself. @internal */
export const PACKED = 32;

/** By the width that a message says. */
const widths = [Int8Array, Int16Array, Int32Array, Float64Array] as const;

/** What `pack` makes of an array. @internal */
export interface PackedNumbers {
  readonly width: number;
  readonly bytes: Uint8Array;
}

/** @returns undefined unless it holds numbers alone; it must have no holes @internal */
export function pack(array: readonly unknown[]): PackedNumbers | undefined {
  if (typeof array[0] !== 'number' || typeof array[array.length - 1] !== 'number') return undefined;
  const ints = packInts(array);
  if (ints !== undefined) return ints;
  const floats = new Float64Array(array.length);
  for (let i = 0; i < array.length; i++) {
    const value = array[i];
    if (typeof value !== 'number') return undefined;
    floats[i] = value;
  }
  return { width: 3, bytes: new Uint8Array(floats.buffer) };
}

function packInts(array: readonly unknown[]): PackedNumbers | undefined {
  const ints = new Int32Array(array.length);
  let bits = 0;
  for (let i = 0; i < array.length; i++) {
    const value = array[i] as number;
    const int = value | 0;
    if (int !== value || (int === 0 && Object.is(value, -0))) return undefined;
    ints[i] = int;
    bits |= int ^ (int >> 31);
  }
  const width = bits < 0x80 ? 0 : bits < 0x8000 ? 1 : 2;
  const packed = width === 0 ? new Int8Array(ints) : width === 1 ? new Int16Array(ints) : ints;
  return { width, bytes: new Uint8Array(packed.buffer) };
}

/** Fills an array. @returns false when the bytes are no such numbers @internal */
export function unpack(into: unknown[], width: number, bytes: Uint8Array<ArrayBuffer>): boolean {
  const Width = widths[width];
  if (Width === undefined || bytes.length % Width.BYTES_PER_ELEMENT !== 0) return false;
  // A typed array begins at a multiple of its width.
  const whole = bytes.byteOffset % Width.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const numbers = new Width(whole.buffer, whole.byteOffset, whole.length / Width.BYTES_PER_ELEMENT);
  if (numbers instanceof Float64Array) fill(into, numbers);
  else fillInts(into, numbers instanceof Int32Array ? numbers : new Int32Array(numbers));
  return true;
}

// Twice the same loop: V8 compiles each for one kind of array, which takes a fifth of the time. To grow it by `push` takes that
// once more.

function fill(into: unknown[], numbers: Float64Array): void {
  const { length } = numbers;
  into.length = length;
  for (let i = 0; i < length; i++) into[i] = numbers[i];
}

function fillInts(into: unknown[], numbers: Int32Array): void {
  const { length } = numbers;
  into.length = length;
  for (let i = 0; i < length; i++) into[i] = numbers[i];
}
