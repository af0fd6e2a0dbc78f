/**
 * Proxies that are written as what they stand for: `d.sync.key = 1`, `list.sync[0]`, `await d.async.key`. Deviations: D-147.
 */
import { typeError } from '../base/errors.ts';
import { Slice } from '../python_pickle/numbers.ts';
import { AttributeError } from '../python_pickle/python_error.ts';
import type { BaseProxy } from './proxy.ts';

/** A dict or namespace for who awaits. */
export type AsyncRecord<V> = { readonly [name: string]: Promise<V> };

/** A list for who awaits. */
export interface AsyncList<T> {
  readonly [index: number]: Promise<T>;
  readonly length: Promise<number>;
}

/** What a view says of itself. */
function refuse(what: string): never {
  throw typeError(`a view cannot ${what}: call the methods of the proxy`);
}

/** What views do not let be done to them. */
const FIXED = {
  defineProperty: () => refuse('have properties defined'),
  setPrototypeOf: () => refuse('have another prototype'),
  preventExtensions: () => refuse('be frozen'),
};

/** A dict as an object, which blocks. @internal */
export function dictView(proxy: BaseProxy): object {
  const call = (method: string, ...args: unknown[]) => proxy._callmethodSync(method, args);
  return new Proxy(Object.create(null) as object, {
    ...FIXED,
    get: (_, key) => (typeof key === 'symbol' ? undefined : call('get', key)),
    set: (_, key, value) => {
      if (typeof key === 'symbol') refuse('have symbols for keys');
      call('__setitem__', key, value);
      return true;
    },
    has: (_, key) => typeof key === 'string' && (call('__contains__', key) as boolean),
    deleteProperty: (_, key) => {
      if (typeof key === 'string' && call('__contains__', key)) call('__delitem__', key);
      return true;
    },
    ownKeys: () => (call('keys') as unknown[]).filter((key) => typeof key === 'string') as string[],
    getOwnPropertyDescriptor: (_, key) => {
      if (typeof key === 'symbol' || !call('__contains__', key)) return undefined;
      const value = call('get', key);
      return { value, writable: true, enumerable: true, configurable: true };
    },
  });
}

/** A dict for who awaits. @internal */
export function asyncDictView(proxy: BaseProxy): object {
  return asyncView((key) => proxy._callmethod('get', [key]));
}

/** Answers each name with a promise; but no view is one itself. */
function asyncView(get: (key: string) => Promise<unknown>): object {
  return new Proxy(Object.create(null) as object, {
    ...FIXED,
    get: (_, key) => (typeof key === 'symbol' || key === 'then' ? undefined : get(key)),
    set: () => refuse('be assigned to where one awaits'),
    has: () => refuse('be asked what it has where one awaits'),
    ownKeys: () => refuse('list what it has where one awaits'),
    deleteProperty: () => refuse('delete where one awaits'),
  });
}

/** A place in a list, written as a property. */
function placeOf(key: string | symbol): number | undefined {
  return typeof key === 'string' && /^-?\d+$/.test(key) ? Number(key) : undefined;
}

/** A list as an array, which blocks. What is no place and no length is done on a copy. @internal */
export function listView<T>(proxy: BaseProxy): T[] {
  const call = (method: string, ...args: unknown[]) => proxy._callmethodSync(method, args);
  const length = () => call('__len__') as number;
  const item = (place: number) => {
    const count = length();
    return place < count && place >= -count ? call('__getitem__', place) : undefined;
  };
  const target: T[] = [];
  return new Proxy(target, {
    ...FIXED,
    get: (_, key) => {
      if (key === 'length') return length();
      const place = placeOf(key);
      if (place !== undefined) return item(place);
      const own = CHANGES[key as keyof typeof CHANGES];
      if (own !== undefined) return (...args: unknown[]) => own(call, args);
      const value = (Array.prototype as unknown as Record<string | symbol, unknown>)[key];
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => value.apply(proxy._getvalueSync(), args);
    },
    set: (_, key, value) => {
      const place = placeOf(key);
      if (key === 'length') call('__delitem__', new Slice(value, null));
      else if (place === undefined) refuse('have other properties than those of a list');
      else if (place === length()) call('append', value);
      else call('__setitem__', place, value);
      return true;
    },
    has: (_, key) => {
      const place = placeOf(key);
      return place === undefined ? key in Array.prototype : place >= 0 && place < length();
    },
    deleteProperty: () => refuse('have holes'),
    ownKeys: () => [...Array(length()).keys()].map(String).concat('length'),
    getOwnPropertyDescriptor: (_, key) => {
      const place = placeOf(key);
      if (key === 'length')
        return { value: length(), writable: true, enumerable: false, configurable: false };
      if (place === undefined || place < 0 || place >= length()) return undefined;
      return { value: item(place), writable: true, enumerable: true, configurable: true };
    },
  });
}

type CallSync = (method: string, ...args: unknown[]) => unknown;

/** What changes a list has to change that one. */
const CHANGES = {
  push(call: CallSync, items: unknown[]): unknown {
    call('extend', items);
    return call('__len__');
  },
  pop(call: CallSync): unknown {
    return call('__len__') === 0 ? undefined : call('pop');
  },
  shift(call: CallSync): unknown {
    return call('__len__') === 0 ? undefined : call('pop', 0);
  },
  unshift(call: CallSync, items: unknown[]): unknown {
    call('__setitem__', new Slice(0, 0), items);
    return call('__len__');
  },
  reverse(call: CallSync): void {
    call('reverse');
  },
  splice: () => refuse('be spliced'),
  sort: () => refuse('be sorted'),
  fill: () => refuse('be filled'),
  copyWithin: () => refuse('be copied within'),
};

/** A list for who awaits. @internal */
export function asyncListView<T>(proxy: BaseProxy): AsyncList<T> {
  return asyncView((key) => {
    if (key === 'length') return proxy._callmethod('__len__');
    const place = placeOf(key);
    if (place === undefined) refuse('have other properties than those of a list');
    return proxy._callmethod('__getitem__', [place]);
  }) as AsyncList<T>;
}

/** A namespace as an object, which blocks. @internal */
export function namespaceView(proxy: BaseProxy): object {
  const call = (method: string, ...args: unknown[]) => proxy._callmethodSync(method, args);
  return new Proxy(Object.create(null) as object, {
    ...FIXED,
    get: (_, key) => (typeof key === 'symbol' ? undefined : call('__getattribute__', key)),
    set: (_, key, value) => {
      if (typeof key === 'symbol') refuse('have symbols for names');
      call('__setattr__', key, value);
      return true;
    },
    deleteProperty: (_, key) => {
      call('__delattr__', key);
      return true;
    },
    has: (_, key) => typeof key === 'string' && hasAttribute(call, key),
    ownKeys: () => Object.keys(proxy._getvalueSync() as object),
    getOwnPropertyDescriptor: (_, key) => {
      if (typeof key === 'symbol' || !hasAttribute(call, key)) return undefined;
      const value = call('__getattribute__', key);
      return { value, writable: true, enumerable: true, configurable: true };
    },
  });
}

function hasAttribute(call: CallSync, name: string): boolean {
  try {
    call('__getattribute__', name);
    return true;
  } catch (error) {
    if (error instanceof AttributeError) return false;
    throw error;
  }
}

/** A namespace for who awaits. @internal */
export function asyncNamespaceView(proxy: BaseProxy): object {
  return asyncView((name) => proxy._callmethod('__getattribute__', [name]));
}
