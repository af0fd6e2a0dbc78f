/**
 * Texts of values as Python's `repr` has them: what `String(proxy)` is, on both sides of the language.
 */

const DEEPEST = 100;

/** Python's `repr` of a value. @internal */
export function reprOf(value: unknown, seen: object[] = []): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'undefined':
      return 'None';
    case 'boolean':
      return value ? 'True' : 'False';
    case 'number':
      return numberText(value);
    case 'bigint':
      return String(value);
    case 'function':
      return `<function ${value.name}>`;
    case 'object':
      return value === null ? 'None' : objectText(value, seen);
    default:
      return String(value);
  }
}

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  let inner = '';
  for (const char of text) inner += escaped(char, quote);
  return `${quote}${inner}${quote}`;
}

const ESCAPES = new Map([
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

function escaped(char: string, quote: string): string {
  if (char === quote) return `\\${char}`;
  const known = ESCAPES.get(char);
  if (known !== undefined) return known;
  const code = char.codePointAt(0) as number;
  if (code < 0x20 || (code >= 0x7f && code < 0xa1) || code === 0xad) return `\\x${hex(code, 2)}`;
  return code >= 0xd800 && code < 0xe000 ? `\\u${hex(code, 4)}` : char;
}

function hex(code: number, width: number): string {
  return code.toString(16).padStart(width, '0');
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Says how an object of this kind is shown; classes with a method of their own have it as `__repr__`. */
interface Shown {
  __repr__(seen?: object[]): string;
}

function objectText(value: object, seen: object[]): string {
  if (seen.includes(value) || seen.length > DEEPEST) return around(value);
  const inside = [...seen, value];
  if (typeof (value as Partial<Shown>).__repr__ === 'function')
    return (value as Shown).__repr__(inside);
  const each = (items: Iterable<unknown>) => Array.from(items, (item) => reprOf(item, inside));
  if (Array.isArray(value)) {
    const items = each(value).join(', ');
    if (value.constructor.name !== 'Tuple') return `[${items}]`;
    return `(${items}${value.length === 1 ? ',' : ''})`;
  }
  if (value instanceof Map) return dictText(value, inside);
  if (value instanceof Set) return value.size === 0 ? 'set()' : `{${each(value).join(', ')}}`;
  if (value instanceof Uint8Array) return `b${bytesText(value)}`;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return `[${each(value as unknown as Iterable<unknown>).join(', ')}]`;
  const proto = Object.getPrototypeOf(value);
  if (proto === null || proto === Object.prototype) return dictText(Object.entries(value), inside);
  if (value instanceof Error) return `${value.name}(${reprOf(value.message)})`;
  const text = String(value);
  return text === '[object Object]' ? `<${value.constructor?.name ?? 'object'} object>` : text;
}

function around(value: object): string {
  if (Array.isArray(value)) return '[...]';
  return '{...}';
}

/** @internal */
export function dictText(entries: Iterable<readonly unknown[]>, seen: object[]): string {
  const items = Array.from(entries, ([k, v]) => `${reprOf(k, seen)}: ${reprOf(v, seen)}`);
  return `{${items.join(', ')}}`;
}

function bytesText(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    if (byte === 0x27 || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += ESCAPES.get(String.fromCharCode(byte)) ?? `\\x${hex(byte, 2)}`;
  }
  return `'${text}'`;
}
