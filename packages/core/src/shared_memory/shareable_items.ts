/**
 * The items of a ShareableList: what they are in JavaScript, and what they are in memory. The formats are those of
 * Python's `struct`, little-endian as all our machines are; the codes say how CPython turns the bytes back:
 * 0 as they are (int, float, bool), 1 text, 2 bytes, 3 None.
 */
import { isUtf8 } from 'node:buffer';
import { inspect, types } from 'node:util';
import { typeError, ValueError } from '../base/errors.ts';

/** What a ShareableList can hold. */
export type Shareable = number | bigint | boolean | string | Uint8Array | null | undefined;

/** Bytes of the length, of each offset, and of an item that is neither text nor bytes. */
export const WORD = 8;
/** Bytes of an item's format. */
export const FORMAT_WIDTH = 8;

const NUMBER = 0;
const TEXT = 1;
const BYTES = 2;
const NONE = 3;

const INT_FORMAT = 'q';
const FLOAT_FORMAT = 'd';
const BOOL_FORMAT = 'xxxxxxx?';
const NONE_FORMAT = 'xxxxxx?x';

/** The same formats as they lie in memory, in two halves. */
const word32 = (text: string) => Buffer.from(text.padEnd(4, '\0')).readUInt32LE(0);
const INT = word32(INT_FORMAT);
const FLOAT = word32(FLOAT_FORMAT);
const PADDING = word32('xxxx');
const BOOL = word32(BOOL_FORMAT.slice(4));
const NULL = word32(NONE_FORMAT.slice(4));

/** The widest slot whose format fits: '9999992s'. */
const MAX_WIDTH = 9_999_992;

/** An item as it is stored. */
interface Encoded {
  readonly code: number;
  /** Undefined for text and bytes, whose format is the width of their slot. */
  readonly format: string | undefined;
  readonly bytes: Uint8Array;
  /** Of the slot that a new list gives it. */
  readonly width: number;
}

/** Where an item's parts are. */
export interface Slot {
  readonly position: number;
  readonly begin: number;
  readonly width: number;
  readonly format: number;
  readonly code: number;
}

/**
 * @param position for messages
 * @throws TypeError, ValueError for what cannot be stored
 */
export function encode(value: Shareable, position: number): Encoded {
  if (value === null || value === undefined) return word(NONE, NONE_FORMAT, Buffer.alloc(WORD));
  if (typeof value === 'boolean') {
    return word(NUMBER, BOOL_FORMAT, Buffer.of(0, 0, 0, 0, 0, 0, 0, Number(value)));
  }
  if (typeof value === 'number' || typeof value === 'bigint') return encodeNumber(value, position);
  if (typeof value === 'string') {
    if (/\p{Surrogate}/u.test(value)) {
      throw new ValueError(`item ${position} is no well-formed text: ${inspect(value)}`);
    }
    return wide(TEXT, Buffer.from(value), position);
  }
  if (types.isUint8Array(value)) return wide(BYTES, value, position);
  throw typeError(
    `item ${position} must be a number, bigint, boolean, string, Uint8Array or null, not ${inspect(value)}`,
  );
}

function encodeNumber(value: number | bigint, position: number): Encoded {
  const bytes = Buffer.alloc(WORD);
  if (typeof value === 'number' && (!Number.isSafeInteger(value) || Object.is(value, -0))) {
    bytes.writeDoubleLE(value);
    return word(NUMBER, FLOAT_FORMAT, bytes);
  }
  const integer = BigInt(value);
  if (BigInt.asIntN(64, integer) !== integer) {
    throw new ValueError(`item ${position} is ${integer}n: an integer must fit into 64 bits`);
  }
  bytes.writeBigInt64LE(integer);
  return word(NUMBER, INT_FORMAT, bytes);
}

function word(code: number, format: string, bytes: Uint8Array): Encoded {
  return { code, format, bytes, width: WORD };
}

function wide(code: number, bytes: Uint8Array, position: number): Encoded {
  const width = WORD * (Math.floor(bytes.length / WORD) + 1);
  if (width > MAX_WIDTH) {
    throw new ValueError(
      `item ${position} has ${bytes.length} bytes, ${MAX_WIDTH - 1} is the most`,
    );
  }
  return { code, format: undefined, bytes, width };
}

/** Puts an item into its slot. @throws ValueError when it is too long */
export function write(memory: Buffer, slot: Slot, { code, format, bytes }: Encoded): void {
  if (bytes.length > slot.width) {
    throw new ValueError(
      `item ${slot.position}: ${bytes.length} bytes, the bytes/str item exceeds available storage of ${slot.width}`,
    );
  }
  memory.write((format ?? `${slot.width}s`).padEnd(FORMAT_WIDTH, '\0'), slot.format, 'latin1');
  memory[slot.code] = code;
  memory.set(bytes, slot.begin);
  memory.fill(0, slot.begin + bytes.length, slot.begin + (format ? WORD : slot.width));
}

/** Reads an item from its slot. @throws ValueError when what is there is no item */
export function read(memory: Buffer, slot: Slot): Shareable {
  const code = memory[slot.code];
  if (code === TEXT || code === BYTES) return readWide(memory, slot, code);
  if (slot.width < WORD) throw damaged(slot, 'its slot is too small');
  // The formats are compared as numbers: to make strings of them takes longer than all the rest.
  const low = memory.readUInt32LE(slot.format);
  const high = memory.readUInt32LE(slot.format + 4);
  if (code === NUMBER && high === 0) {
    if (low === INT) return readInteger(memory, slot.begin);
    if (low === FLOAT) return memory.readDoubleLE(slot.begin);
  }
  if (code === NUMBER && low === PADDING && high === BOOL) return memory[slot.begin + 7] !== 0;
  if (code === NONE && low === PADDING && high === NULL) return null;
  throw damaged(slot, `format ${inspect(formatAt(memory, slot))} with code ${code}`);
}

function readInteger(memory: Buffer, at: number): number | bigint {
  const number = memory.readInt32LE(at + 4) * 2 ** 32 + memory.readUInt32LE(at);
  return Number.isSafeInteger(number) ? number : memory.readBigInt64LE(at);
}

function readWide(memory: Buffer, slot: Slot, code: number): string | Uint8Array {
  const format = formatAt(memory, slot);
  const width = /^\d+s$/.test(format) ? Number.parseInt(format, 10) : Number.NaN;
  if (!(width <= slot.width)) throw damaged(slot, `format ${inspect(format)}`);
  let end = slot.begin + width;
  while (end > slot.begin && memory[end - 1] === 0) end--;
  const bytes = memory.subarray(slot.begin, end);
  if (code === BYTES) return new Uint8Array(bytes);
  if (!isUtf8(bytes)) throw damaged(slot, 'its text is not UTF-8');
  return bytes.toString();
}

/** The struct format of an item. */
export function formatAt(memory: Buffer, { format }: { format: number }): string {
  return memory.toString('latin1', format, format + FORMAT_WIDTH).replace(/\0+$/, '');
}

function damaged({ position }: Slot, what: string): ValueError {
  return new ValueError(`item ${position} is damaged: ${what}`);
}

/** Whether two items are the same: bytes by content, numbers and bigints by value. */
export function itemsEqual(a: Shareable, b: Shareable): boolean {
  if (types.isUint8Array(a) && types.isUint8Array(b)) return Buffer.compare(a, b) === 0;
  if (isNumeric(a) && isNumeric(b)) return a <= b && a >= b;
  return a === b || (a ?? null) === (b ?? null);
}

function isNumeric(value: Shareable): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
