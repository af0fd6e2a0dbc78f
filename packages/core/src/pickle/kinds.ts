/**
 * The objects that the engine or Node made special, whose content is not in their properties: how each
 * is recognised and written. unpickle_kinds.ts is the other half.
 *
 * They are known by what the engine keeps inside of them, and read by it too: their prototype may be that of another
 * realm or of a derived class, or none at all.
 */
import { types } from 'node:util';
import { PicklingError } from '../base/errors.ts';
import { assertSpawning } from '../process/spawning.ts';
import * as code from './codes.ts';
import { intrinsicOf } from './realms.ts';
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
    const size = sizeOfMap.call(map);
    out.varint(size);
    let i = 0;
    for (const [key, item] of Map.prototype.entries.call(map) as MapIterator<[unknown, unknown]>) {
      if (i === size) break; // a getter has put something into it
      out.part(`<key ${i}>`, key);
      out.part(typeof key === 'string' ? `.get(${JSON.stringify(key)})` : `<value ${i}>`, item);
      i++;
    }
    if (i < size) throw changed('Map');
  }),
  kind<Set<unknown>>([Set.prototype], types.isSet, (out, set) => {
    out.byte(code.SET);
    out.add(set);
    const size = sizeOfSet.call(set);
    out.varint(size);
    let i = 0;
    for (const item of Set.prototype.values.call(set) as SetIterator<unknown>) {
      if (i === size) break;
      out.part(`<element ${i++}>`, item);
    }
    if (i < size) throw changed('Set');
  }),
  kind<Date>([Date.prototype], types.isDate, (out, date) => {
    out.byte(code.DATE);
    out.add(date);
    out.float(Date.prototype.getTime.call(date));
  }),
  kind<RegExp>([RegExp.prototype], types.isRegExp, (out, regexp) => {
    out.byte(code.REGEXP);
    out.add(regexp);
    out.string(sourceOf.call(regexp));
    out.string(flags.map(([flag, has]) => (has.call(regexp) ? flag : '')).join(''));
    const { lastIndex } = regexp as { lastIndex: unknown };
    out.number(typeof lastIndex === 'number' ? lastIndex : 0);
  }),
  kind<Error>(errorPrototypes, types.isNativeError, writeError, {
    own: code.errorParts.filter((part) => part !== 'name'),
  }),
  kind<Buffer>(
    [Buffer.prototype],
    (value) => types.isUint8Array(value) && value instanceof Buffer,
    (out, buffer) => {
      if (writeSharedView(out, buffer, code.BUFFER_KIND)) return;
      unshared(partsOf(buffer).buffer);
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
      const bytes = bytesOf(buffer);
      out.byte(code.ARRAY_BUFFER);
      out.add(buffer);
      out.bytes(bytes);
    },
  ),
  kind<object>(
    [Boolean, Number, String, BigInt, Symbol].map((cls): object => cls.prototype as object),
    types.isBoxedPrimitive,
    (out, boxed) => {
      out.byte(code.BOXED);
      out.add(boxed);
      out.value(unboxed(boxed));
    },
    { contentOnly: true },
  ),
  kind<URL>(
    [URL.prototype],
    (value) => value instanceof URL && answers(hrefOf, value),
    (out, url) => {
      out.byte(code.URL_OBJECT);
      out.add(url);
      out.string(hrefOf.call(url));
    },
    { contentOnly: true },
  ),
  kind<URLSearchParams>(
    [URLSearchParams.prototype],
    (value) => value instanceof URLSearchParams && answers(textOfParams, value),
    (out, params) => {
      out.byte(code.URL_SEARCH_PARAMS);
      out.add(params);
      out.string(textOfParams.call(params));
    },
    { contentOnly: true },
  ),
  kind<DOMException>(
    [DOMException.prototype],
    (value) => value instanceof DOMException && answers(domName, value),
    (out, error) => {
      out.byte(code.DOM_EXCEPTION);
      out.add(error);
      out.string(domMessage.call(error));
      out.string(domName.call(error));
      out.string(String(error.stack));
    },
    { contentOnly: true },
  ),
];

const byPrototype = new Map<object, Kind>(
  kinds.flatMap((k) => k.prototypes.map((proto) => [proto, k] as const)),
);

const sizeOfMap = getter<number>(Map.prototype, 'size');
const sizeOfSet = getter<number>(Set.prototype, 'size');
const sourceOf = getter<string>(RegExp.prototype, 'source');
const hrefOf = getter<string>(URL.prototype, 'href');
const textOfParams = URLSearchParams.prototype.toString as (this: object) => string;
const domMessage = getter<string>(DOMException.prototype, 'message');
const domName = getter<string>(DOMException.prototype, 'name');

/** In the order in which they are written; a class may have a `flags` of its own. */
const flags = [
  ['d', 'hasIndices'],
  ['g', 'global'],
  ['i', 'ignoreCase'],
  ['m', 'multiline'],
  ['s', 'dotAll'],
  ['u', 'unicode'],
  ['v', 'unicodeSets'],
  ['y', 'sticky'],
].map(([flag, name]) => [flag, getter<boolean>(RegExp.prototype, name as string)] as const);

function getter<T>(proto: object, name: string): (this: object) => T {
  return Object.getOwnPropertyDescriptor(proto, name)?.get as (this: object) => T;
}

/** Whether an object is what its prototype says: whether it has what a getter reads. */
function answers(get: (this: object) => unknown, value: object): boolean {
  try {
    get.call(value);
    return true;
  } catch {
    return false;
  }
}

function changed(what: string): PicklingError {
  return new PicklingError(`a ${what} has become smaller while it was sent: send a copy of it`);
}

function unboxed(boxed: object): unknown {
  if (types.isNumberObject(boxed)) return Number.prototype.valueOf.call(boxed);
  if (types.isStringObject(boxed)) return String.prototype.valueOf.call(boxed);
  if (types.isBooleanObject(boxed)) return Boolean.prototype.valueOf.call(boxed);
  if (types.isBigIntObject(boxed)) return BigInt.prototype.valueOf.call(boxed);
  return Symbol.prototype.valueOf.call(boxed);
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
export function kindOf(value: object, proto: object | null): Kind | undefined {
  const direct = proto === null ? undefined : byPrototype.get(proto);
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

/** @throws PicklingError if its memory is gone */
function bytesOf(buffer: ArrayBufferLike): Uint8Array {
  try {
    return new Uint8Array(buffer);
  } catch (cause) {
    throw new PicklingError(GONE, { cause });
  }
}

const GONE =
  'an ArrayBuffer cannot be sent when its memory has been transferred or taken away: send it before, or a copy';

type ViewParts = Pick<ArrayBufferView, 'buffer' | 'byteOffset' | 'byteLength'>;
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const [viewGetters, arrayGetters] = [DataView.prototype, typedArray].map((proto) => ({
  buffer: getter<ArrayBufferLike>(proto, 'buffer'),
  byteOffset: getter<number>(proto, 'byteOffset'),
  byteLength: getter<number>(proto, 'byteLength'),
})) as [Getters<ViewParts>, Getters<ViewParts>];
const nameOfArray = getter<string | undefined>(typedArray, Symbol.toStringTag as unknown as string);

type Getters<T> = { readonly [K in keyof T]: (this: object) => T[K] };

/** Where a view lies, whatever properties it has besides. @throws PicklingError if its memory is gone @internal */
export function partsOf(view: ArrayBufferView): ViewParts {
  const get = types.isDataView(view) ? viewGetters : arrayGetters;
  const buffer = get.buffer.call(view);
  try {
    const [byteOffset, byteLength] = [get.byteOffset.call(view), get.byteLength.call(view)];
    if (byteLength === 0) new Uint8Array(buffer); // throws: of the typed array itself it cannot be told
    return { buffer, byteOffset, byteLength };
  } catch (cause) {
    throw new PicklingError(GONE, { cause });
  }
}

/** A view of shared memory travels as such, and never by its content. */
function writeSharedView(out: Sink, view: ArrayBufferView, kind: number): boolean {
  const { buffer, byteOffset, byteLength } = partsOf(view);
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
  const { buffer, byteOffset, byteLength } = partsOf(view);
  const index = code.viewNames.indexOf((nameOfArray.call(view) ?? 'DataView') as 'DataView');
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
  const index = errorClass(error);
  let present = 0;
  code.errorParts.forEach((part, bit) => {
    const own = Object.getOwnPropertyDescriptor(error, part);
    if (own !== undefined && !(part === 'name' && own.enumerable === true)) present |= 1 << bit;
  });
  out.byte(code.ERROR);
  out.byte(index);
  out.byte(present);
  out.add(error);
  code.errorParts.forEach((part, bit) => {
    if ((present & (1 << bit)) !== 0)
      out.part(`.${part}`, (error as unknown as Record<string, unknown>)[part]);
  });
}

/** The class of the language that an error is of, or is derived from. */
function errorClass(error: Error): number {
  for (
    let proto = Object.getPrototypeOf(error) as object | null;
    proto !== null && !types.isProxy(proto);
    proto = Object.getPrototypeOf(proto) as object | null
  ) {
    const own = errorPrototypes.indexOf(proto);
    if (own >= 0) return own;
    const name = intrinsicOf(proto);
    const index = name === undefined ? -1 : code.errorClasses.findIndex((cls) => cls.name === name);
    if (index >= 0) return index;
  }
  return 0;
}
