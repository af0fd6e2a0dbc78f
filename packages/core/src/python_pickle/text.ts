/**
 * Texts and integers as pickles hold them: UTF-8 with lone surrogates, the escapes of protocol 0, and integers of
 * any length as two's complement.
 */
import { UnpicklingError } from '../base/errors.ts';

let strictUtf8: InstanceType<typeof TextDecoder> | undefined;

/** UTF-8 in which a lone surrogate is encoded like any other character: Python's `surrogatepass`. */
export function encodeUtf8(text: string): Buffer {
  if (!/[\ud800-\udfff]/.test(text)) return Buffer.from(text, 'utf8');
  const encoded = text.split(/(\p{Surrogate})/u).map((part, i) => {
    if (i % 2 === 0) return Buffer.from(part, 'utf8');
    const code = part.charCodeAt(0);
    return Buffer.from([0xed, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)]);
  });
  return Buffer.concat(encoded);
}

/** @throws UnpicklingError for bytes that are no UTF-8, lone surrogates aside */
export function decodeUtf8(buf: Buffer, start: number, end: number): string {
  const text = buf.toString('utf8', start, end);
  if (!text.includes('\ufffd')) return text;
  let whole = '';
  let from = start;
  strictUtf8 ??= new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  try {
    for (let i = start; i < end; i++) {
      if (buf[i] !== 0xed || i + 2 >= end) continue;
      const [second, third] = [buf[i + 1] as number, buf[i + 2] as number];
      if (second < 0xa0 || second > 0xbf || third < 0x80 || third > 0xbf) continue;
      const surrogate = 0xd000 | ((second & 0x3f) << 6) | (third & 0x3f);
      whole += strictUtf8.decode(buf.subarray(from, i)) + String.fromCharCode(surrogate);
      from = i + 3;
      i += 2;
    }
    return whole + strictUtf8.decode(buf.subarray(from, end));
  } catch (error) {
    throw new UnpicklingError('the pickle has a text that is no UTF-8', { cause: error });
  }
}

/** The text of UNICODE: Python's `raw-unicode-escape`. @throws UnpicklingError for a broken escape */
export function decodeRawUnicode(text: string): string {
  return text.replace(
    /\\(?:u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/gs,
    (whole, short, long, other) => {
      if (other !== undefined && other !== 'u' && other !== 'U') return whole as string;
      const code = Number.parseInt((short ?? long ?? 'none') as string, 16);
      if (!(code <= 0x10ffff)) throw new UnpicklingError(`the pickle has a broken escape ${whole}`);
      return String.fromCodePoint(code);
    },
  );
}

const escapes: Readonly<Record<string, string>> = {
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/** The text of STRING: a literal of Python 2 in its quotes. @throws UnpicklingError for one that is none */
export function decodeStringLiteral(text: string): string {
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || text.at(-1) !== quote) {
    throw new UnpicklingError('the pickle has a STRING without quotes');
  }
  return text
    .slice(1, -1)
    .replace(/\\(?:x([\da-fA-F]{2})|([0-7]{1,3})|(.|$))/gs, (whole, hex, octal, other) => {
      if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex as string, 16));
      if (octal !== undefined)
        return String.fromCharCode(Number.parseInt(octal as string, 8) & 0xff);
      const known = escapes[other as string];
      if (known !== undefined) return known;
      if (other === 'x' || other === '') {
        throw new UnpicklingError(`the pickle has a broken escape ${whole}`);
      }
      return whole as string;
    });
}

/** A str of Python 2 is text if it is ASCII, as for Python's `loads` without an encoding. @throws UnpicklingError */
export function asciiText(text: string): string {
  if (/[^\0-\x7f]/.test(text)) {
    throw new UnpicklingError(
      'the pickle has a str of Python 2 that is not ASCII: let its writer send bytes or unicode',
    );
  }
  return text;
}

/** As a number if that is exact. */
export function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Little-endian two's complement. @throws RangeError for one that is longer than a bigint can be */
export function decodeLong(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  // A copy: the caller's bytes stay as they are.
  const digits = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  return narrow(
    (bytes.at(-1) as number) < 0x80 ? digits : digits - (1n << BigInt(8 * bytes.length)),
  );
}

/** Little-endian two's complement, of the least number of bytes that hold the sign, too. */
export function encodeLong(value: bigint): Buffer {
  if (value === 0n) return Buffer.alloc(0);
  const hex = (value < 0n ? ~value : value).toString(16);
  // One digit more than it needs is a place for the sign.
  const padded = hex.length % 2 === 0 ? `00${hex}` : `0${hex}`;
  const bytes = Buffer.from(padded, 'hex').reverse();
  const top = bytes.length - 1;
  const trimmed =
    bytes[top] === 0 && top > 0 && (bytes[top - 1] as number) < 0x80
      ? bytes.subarray(0, top)
      : bytes;
  if (value < 0n) for (let i = 0; i < trimmed.length; i++) trimmed[i] = ~(trimmed[i] as number);
  return trimmed;
}
