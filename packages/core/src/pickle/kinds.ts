/**
 * The objects that the engine or Node made special, whose content is not in their properties: how each
 * is recognised and written. unpickle_kinds.ts is the other half.
 */
import { types } from 'node:util';
import { PicklingError } from '../base/errors.ts';
import { assertSpawning } from '../process/spawning.ts';
import * as code from './codes.ts';
import { ownerOf } from './shared_buffers.ts';

/** What the pickler offers to the writers. */
export interface Sink {
  byte(value: number): void;
  varint(value: number): void;
  float(value: number): void;
  number(value: number): void;
  string(value: string): void;
  bytes(value: Uint8Array): void;
  value(value: unknown): void;
  add(value: object): void;
  part(path: string, value: unknown): void;
}

/** One kind of special object. */
export interface Kind {
  /** The engine's own prototypes; an object with another one is of a derived class. */
  readonly prototypes: readonly object[];
  readonly is: (value: object) => boolean;
  readonly write: (out: Sink, value: object) => void;
  /** Own properties that `write` takes care of. */
  readonly own: readonly string[];
  /** Whether properties are left out: they are the elements, or cannot be told from them cheaply. */
  readonly contentOnly: boolean;
}

function kind<T extends object>(
  prototypes: readonly object[],
  is: (value: object) => boolean,
  write: (out: Sink, value: T) => void,
  { own = [], contentOnly = false }: { own?: readonly string[]; contentOnly?: boolean } = {},
): Kind {
  return { prototypes, is, write: write as (out: Sink, value: object) => void, own, contentOnly };
}

const viewPrototypes = code.viewClasses.flatMap((cls) =>
  cls === undefined ? [] : [cls.prototype],
);
const errorPrototypes = code.errorClasses.map((cls): object => cls.prototype as object);

const kinds: readonly Kind[] = [
  kind<Map<unknown, unknown>>([Map.prototype], types.isMap, (out, map) => {
    out.byte(code.MAP);
    out.add(map);
    out.varint(sizeOfMap.call(map));
    let i = 0;
    for (const [key, item] of Map.prototype.entries.call(map) as MapIterator<[unknown, unknown]>) {
      out.part(`<key ${i}>`, key);
      out.part(typeof key === 'string' ? `.get(${JSON.stringify(key)})` : `<value ${i}>`, item);
      i++;
    }
  }),
  kind<Set<unknown>>([Set.prototype], types.isSet, (out, set) => {
    out.byte(code.SET);
    out.add(set);
    out.varint(sizeOfSet.call(set));
    let i = 0;
    for (const item of Set.prototype.values.call(set) as SetIterator<unknown>)
      out.part(`<element ${i++}>`, item);
  }),
  kind<Date>([Date.prototype], types.isDate, (out, date) => {
    out.byte(code.DATE);
    out.add(date);
    out.float(Date.prototype.getTime.call(date));
  }),
  kind<RegExp>([RegExp.prototype], types.isRegExp, (out, regexp) => {
    out.byte(code.REGEXP);
    out.add(regexp);
    out.string(regexp.source);
    out.string(regexp.flags);
    out.number(Number(regexp.lastIndex));
  }),
  kind<Error>(errorPrototypes, types.isNativeError, writeError, {
    own: code.errorParts.filter((part) => part !== 'name'),
  }),
  kind<Buffer>(
    [Buffer.prototype],
    Buffer.isBuffer,
    (out, buffer) => {
      if (writeSharedView(out, buffer, code.BUFFER_KIND)) return;
      unshared(buffer.buffer);
      out.byte(code.BUFFER);
      out.add(buffer);
      out.bytes(buffer);
    },
    { contentOnly: true },
  ),
  kind<ArrayBufferView>(viewPrototypes, ArrayBuffer.isView, writeView, { contentOnly: true }),
  kind<ArrayBuffer>(
    [ArrayBuffer.prototype, SharedArrayBuffer.prototype],
    types.isAnyArrayBuffer,
    (out, buffer) => {
      const owner = ownerOf(buffer);
      if (owner !== undefined) {
        assertSpawning(buffer);
        out.byte(code.SHARED_BUFFER);
        out.value(owner);
        out.add(buffer);
        return;
      }
      unshared(buffer);
      out.byte(code.ARRAY_BUFFER);
      out.add(buffer);
      out.bytes(new Uint8Array(buffer));
    },
  ),
  kind<object>(
    [Boolean, Number, String, BigInt, Symbol].map((cls): object => cls.prototype as object),
    types.isBoxedPrimitive,
    (out, boxed) => {
      out.byte(code.BOXED);
      out.add(boxed);
      out.value((boxed as { valueOf(): unknown }).valueOf());
    },
    { contentOnly: true },
  ),
  kind<URL>(
    [URL.prototype],
    (value) => value instanceof URL,
    (out, url) => {
      out.byte(code.URL_OBJECT);
      out.add(url);
      out.string(url.href);
    },
    { contentOnly: true },
  ),
  kind<URLSearchParams>(
    [URLSearchParams.prototype],
    (value) => value instanceof URLSearchParams,
    (out, params) => {
      out.byte(code.URL_SEARCH_PARAMS);
      out.add(params);
      out.string(params.toString());
    },
    { contentOnly: true },
  ),
  kind<DOMException>(
    [DOMException.prototype],
    (value) => value instanceof DOMException,
    (out, error) => {
      out.byte(code.DOM_EXCEPTION);
      out.add(error);
      out.string(error.message);
      out.string(error.name);
      out.string(String(error.stack));
    },
    { contentOnly: true },
  ),
];

const byPrototype = new Map<object, Kind>(
  kinds.flatMap((k) => k.prototypes.map((proto) => [proto, k] as const)),
);

const sizeOfMap = getter(Map.prototype, 'size');
const sizeOfSet = getter(Set.prototype, 'size');

function getter(proto: object, name: string): (this: object) => number {
  return Object.getOwnPropertyDescriptor(proto, name)?.get as (this: object) => number;
}

/** Objects that cannot leave their process, by the test that knows them. */
const refused: readonly (readonly [(value: object) => boolean, string])[] = [
  [types.isPromise, 'a Promise cannot be sent: await it and send its value'],
  [types.isWeakMap, 'a WeakMap cannot be sent: its content cannot be listed'],
  [types.isWeakSet, 'a WeakSet cannot be sent: its content cannot be listed'],
  [types.isGeneratorObject, 'a generator cannot be sent: send an array of what it yields'],
  [types.isMapIterator, 'an iterator cannot be sent: send an array of what it yields'],
  [types.isSetIterator, 'an iterator cannot be sent: send an array of what it yields'],
  [types.isExternal, 'a native handle cannot be sent'],
  [(value) => value instanceof WeakRef, 'a WeakRef cannot be sent: send what it refers to'],
];

/**
 * The kind of a special object; undefined for an ordinary one.
 * @throws PicklingError for those that cannot leave their process
 * @internal
 */
export function kindOf(value: object, proto: object): Kind | undefined {
  const direct = byPrototype.get(proto);
  if (direct?.is(value)) return direct;
  for (const [is, why] of refused) if (is(value)) throw new PicklingError(why);
  return kinds.find((k) => k.is(value));
}

function unshared(buffer: ArrayBufferLike): void {
  if (types.isSharedArrayBuffer(buffer)) {
    throw new PicklingError(
      'a SharedArrayBuffer cannot be sent: its memory is shared between threads only; use multiprocessing/shared_memory',
    );
  }
}

/** A view of shared memory travels as such, and never by its content. */
function writeSharedView(out: Sink, view: ArrayBufferView, kind: number): boolean {
  const { buffer, byteOffset, byteLength } = view;
  if (ownerOf(buffer) === undefined) return false;
  assertSpawning(view);
  out.byte(code.SHARED_VIEW);
  out.byte(kind);
  out.value(buffer);
  out.number(byteOffset);
  out.number(byteLength);
  out.add(view);
  return true;
}

function writeView(out: Sink, view: ArrayBufferView): void {
  const { buffer, byteOffset, byteLength } = view;
  const index = code.viewClasses.findIndex((cls) => cls !== undefined && view instanceof cls);
  if (writeSharedView(out, view, index)) return;
  unshared(buffer);
  if (byteOffset === 0 && byteLength === buffer.byteLength) {
    // Views of a whole buffer share it on the other side, too.
    out.byte(code.VIEW);
    out.byte(index);
    out.value(buffer);
    out.add(view);
    return;
  }
  // A part of a buffer travels as that part alone.
  out.byte(code.OWN_VIEW);
  out.byte(index);
  out.add(view);
  out.bytes(new Uint8Array(buffer, byteOffset, byteLength));
}

function writeError(out: Sink, error: Error): void {
  let base: object | null = error;
  while (base !== null && !errorPrototypes.includes(base))
    base = Object.getPrototypeOf(base) as object | null;
  let present = 0;
  code.errorParts.forEach((part, bit) => {
    const own = Object.getOwnPropertyDescriptor(error, part);
    if (own !== undefined && !(part === 'name' && own.enumerable === true)) present |= 1 << bit;
  });
  out.byte(code.ERROR);
  out.byte(base === null ? 0 : errorPrototypes.indexOf(base));
  out.byte(present);
  out.add(error);
  code.errorParts.forEach((part, bit) => {
    if ((present & (1 << bit)) !== 0)
      out.part(`.${part}`, (error as unknown as Record<string, unknown>)[part]);
  });
}
