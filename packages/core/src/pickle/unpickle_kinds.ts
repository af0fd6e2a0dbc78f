/**
 * How the special objects of kinds.ts are read.
 */
import { types } from 'node:util';
import type { UnpicklingError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import * as code from './codes.ts';
import { unpack } from './numbers.ts';
import { setLength } from './properties.ts';

/** What the object that comes next is to be. @internal */
export interface Pending {
  readonly proto: object;
  /** The classes whose private members it gets. */
  readonly classes: readonly AnyFunction[] | undefined;
}

/** What the unpickler offers to the readers. */
export interface Source {
  byte(): number;
  varint(): number;
  count(): number;
  announce(count: number): void;
  float(): number;
  string(): string;
  bytes(): Uint8Array<ArrayBuffer>;
  value(): unknown;
  add<T extends object>(object: T, pending?: Pending): T;
  takePending(): Pending | undefined;
  damaged(how: string): UnpicklingError;
}

type Reader = (source: Source) => unknown;

/** Reader by code. @internal */
export const readers: ReadonlyMap<number, Reader> = new Map<number, Reader>([
  [code.SPARSE_ARRAY, readSparseArray],
  [code.BIGINT, readBigInt],
  [
    code.MAP,
    (source) => {
      const map = source.add(new Map<unknown, unknown>());
      const count = source.count();
      for (let i = 0; i < count; i++) Map.prototype.set.call(map, source.value(), source.value());
      return map;
    },
  ],
  [
    code.SET,
    (source) => {
      const set = source.add(new Set<unknown>());
      const count = source.count();
      for (let i = 0; i < count; i++) Set.prototype.add.call(set, source.value());
      return set;
    },
  ],
  [code.DATE, (source) => source.add(new Date(source.float()))],
  [code.REGEXP, readRegExp],
  [
    code.BOXED,
    (source) => {
      const pending = source.takePending();
      const primitive = source.value();
      if (typeof primitive === 'object' && primitive !== null)
        throw source.damaged('boxes an object');
      return source.add(Object(primitive) as object, pending);
    },
  ],
  [
    code.BUFFER,
    (source) => {
      const bytes = source.bytes();
      return source.add(Buffer.from(bytes.buffer, 0, bytes.length));
    },
  ],
  [
    code.NUMBERS,
    (source) => {
      const array = source.add<unknown[]>([]);
      if (!unpack(array, source.byte(), source.bytes()))
        throw source.damaged('has numbers of no known width');
      return array;
    },
  ],
  [code.ARRAY_BUFFER, (source) => source.add(source.bytes().buffer)],
  [code.VIEW, readView],
  [
    code.OWN_VIEW,
    (source) => {
      const cls = viewClass(source);
      return source.add(new cls(source.bytes().buffer));
    },
  ],
  [code.SHARED_BUFFER, readSharedBuffer],
  [code.SHARED_VIEW, readSharedView],
  [code.ERROR, readError],
  [code.SYMBOL, readSymbol],
  [code.URL_OBJECT, (source) => source.add(new URL(source.string()))],
  [code.URL_SEARCH_PARAMS, (source) => source.add(new URLSearchParams(source.string()))],
  [
    code.DOM_EXCEPTION,
    (source) => {
      const error = source.add(bareDomException(source.string(), source.string()));
      hide(error, 'stack', source.string());
      return error;
    },
  ],
]);

function readSparseArray(source: Source): unknown[] {
  const array = source.add<unknown[]>([]);
  const length = source.varint();
  if (length > 2 ** 32 - 1) throw source.damaged('has an array that is too long');
  const count = source.count();
  source.announce(count);
  setLength(array, length, count);
  for (let i = 0; i < count; i++) {
    const index = source.varint();
    if (index >= length) throw source.damaged('has an element beyond its array');
    array[index] = source.value();
  }
  return array;
}

function readBigInt(source: Source): bigint {
  const negative = source.byte() === 1;
  const digits = Buffer.from(source.bytes().buffer).toString('latin1');
  if (!/^[0-9a-f]+$/.test(digits)) throw source.damaged('has a broken BigInt');
  const value = BigInt(`0x${digits}`);
  return negative ? -value : value;
}

function readRegExp(source: Source): RegExp {
  const pending = source.takePending();
  const regexp = source.add(new RegExp(source.string(), source.string()), pending);
  regexp.lastIndex = Number(source.value());
  return regexp;
}

function viewClass(source: Source): NonNullable<(typeof code.viewClasses)[number]> {
  const cls = code.viewClasses[source.byte()];
  if (cls === undefined)
    throw source.damaged('has a typed array that this version of Node does not know');
  return cls;
}

function readView(source: Source): ArrayBufferView {
  const pending = source.takePending();
  const cls = viewClass(source);
  const buffer = source.value();
  if (!types.isArrayBuffer(buffer)) throw source.damaged('has a typed array without a buffer');
  return source.add(new cls(buffer), pending);
}

function readSharedBuffer(source: Source): ArrayBuffer {
  const pending = source.takePending();
  const { buffer } = Object(source.value()) as { buffer?: unknown };
  if (!types.isArrayBuffer(buffer)) throw source.damaged('has shared memory without a buffer');
  return source.add(buffer, pending);
}

function readSharedView(source: Source): ArrayBufferView {
  const pending = source.takePending();
  const kind = source.byte();
  const cls = code.viewClasses[kind];
  const [buffer, offset, size] = [source.value(), Number(source.value()), Number(source.value())];
  if (!types.isArrayBuffer(buffer)) throw source.damaged('has a typed array without a buffer');
  if (kind === code.BUFFER_KIND) return source.add(Buffer.from(buffer, offset, size), pending);
  if (cls === undefined) throw source.damaged('has a typed array of an unknown class');
  return source.add(new cls(buffer, offset, size / (cls.BYTES_PER_ELEMENT ?? 1)), pending);
}

function readSymbol(source: Source): symbol {
  const wellKnown = source.byte() === 1;
  const name = source.string();
  if (!wellKnown) return Symbol.for(name);
  const symbol = code.wellKnownSymbols.get(name);
  if (symbol === undefined)
    throw source.damaged(`has a symbol that this version of Node does not know, ${name}`);
  return symbol;
}

function readError(source: Source): Error {
  const cls = code.errorClasses[source.byte()];
  if (cls === undefined) throw source.damaged('has an error of an unknown class');
  const present = source.byte();
  const error = source.add(bareError(cls));
  code.errorParts.forEach((part, bit) => {
    if ((present & (1 << bit)) !== 0) hide(error, part, source.value());
  });
  return error;
}

/** An error without a stack of its own and without a message. */
function bareError(cls: ErrorConstructor): Error {
  return withoutStack(() => {
    const error = Object.setPrototypeOf(new Error(), cls.prototype as object) as Error;
    hide(error, 'stack', undefined);
    return error;
  });
}

function bareDomException(message: string, name: string): DOMException {
  return withoutStack(() => new DOMException(message, name));
}

function withoutStack<T>(make: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function hide(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}
