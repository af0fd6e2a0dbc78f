/**
 * How Python shows a value: for the messages of its exceptions and the texts of its classes.
 */
import { inspect, types } from 'node:util';
import { Tuple } from './tuple.ts';

/** Longer ones are cut: many objects may have been made of one, and each shows it. */
const longest = 500;

/** A value class shows its parts by repr(). */
let nested = 0;

/** Python's `repr(value)`, cut to some 500 characters. */
export function repr(value: unknown): string {
  if (nested > 4) return '...';
  const parts: string[] = [];
  nested++;
  try {
    write(value, parts, { left: longest, depth: 0 });
  } finally {
    nested--;
  }
  const text = parts.join('');
  return text.length > longest ? `${text.slice(0, longest)}...` : text;
}

/** Python's `str(value)`. */
export function str(value: unknown): string {
  return typeof value === 'string' ? value : repr(value);
}

interface Room {
  left: number;
  depth: number;
}

function write(value: unknown, parts: string[], room: Room): void {
  const put = (text: string) => {
    parts.push(text);
    room.left -= text.length;
  };
  if (room.left <= 0) return;
  if (typeof value === 'string') put(reprText(value.slice(0, longest)));
  else if (typeof value === 'number') put(reprNumber(value));
  else if (typeof value === 'boolean') put(value ? 'True' : 'False');
  else if (value === null || value === undefined) put('None');
  else if (typeof value !== 'object') put(String(value));
  else if (room.depth > 4) put('...');
  else {
    room.depth++;
    container(value, put, (item) => write(item, parts, room), room);
    room.depth--;
  }
}

function container(
  value: object,
  put: (text: string) => void,
  item: (value: unknown) => void,
  room: Room,
): void {
  const several = (values: Iterable<unknown>, open: string, close: string) => {
    put(open);
    let count = 0;
    for (const each of values) {
      if (room.left <= 0) break;
      if (count++ > 0) put(', ');
      item(each);
    }
    put(close);
    return count;
  };
  const pairs = (entries: Iterable<readonly [unknown, unknown]>) => {
    put('{');
    let count = 0;
    for (const [key, each] of entries) {
      if (room.left <= 0) break;
      if (count++ > 0) put(', ');
      item(key);
      put(': ');
      item(each);
    }
    put('}');
  };
  if (value instanceof Tuple) several(value, '(', value.length === 1 ? ',)' : ')');
  else if (Array.isArray(value)) several(value, '[', ']');
  else if (types.isSet(value)) {
    if (value.size === 0) put('set()');
    else several(value, '{', '}');
  } else if (types.isMap(value)) pairs(value);
  else if (types.isUint8Array(value)) put(reprBytes(value.subarray(0, longest)));
  else if (Object.getPrototypeOf(value) === Object.prototype) pairs(Object.entries(value));
  else if (types.isNativeError(value)) put(`${value.name}(${reprText(value.message)})`);
  else put(isOwnClass(value) ? inspect(value, { depth: 0 }) : '<object>');
}

/** Whether it is one of the value classes here, whose inspect() is Python's repr. */
function isOwnClass(value: object): boolean {
  return !types.isProxy(value) && inspect.custom in value;
}

/** A float as Python writes it: `1.0` where JavaScript has `1`, and more digits before an exponent. */
export function reprFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
  if (Object.is(value, -0)) return '-0.0';
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
  }
  const text = String(value);
  return /[.]/.test(text) ? text : `${text}.0`;
}

function reprNumber(value: number): string {
  return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : reprFloat(value);
}

const escapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function reprText(text: string): string {
  if (/^[ !#-&(-[\]-~]*$/.test(text)) return `'${text}'`;
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(/[\\'"\p{C}\p{Z}]/gu, (char) => {
    if (char === ' ' || ((char === "'" || char === '"') && char !== quote)) return char;
    if (char === '\\' || char === quote) return `\\${char}`;
    const known = escapes[char];
    if (known !== undefined) return known;
    const code = char.codePointAt(0) as number;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\U${code.toString(16).padStart(8, '0')}`;
  });
  return quote + escaped + quote;
}

function reprBytes(bytes: Uint8Array): string {
  const quote = bytes.includes(0x27) && !bytes.includes(0x22) ? '"' : "'";
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    if (char === quote || char === '\\') text += `\\${char}`;
    else if (escapes[char] !== undefined) text += escapes[char];
    else if (byte < 0x20 || byte > 0x7e) text += `\\x${byte.toString(16).padStart(2, '0')}`;
    else text += char;
  }
  return `b${quote}${text}${quote}`;
}
