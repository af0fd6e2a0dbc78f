/**
 * `a[i]` for classes that keep their elements elsewhere. A Proxy at the end of the prototype chain sees the
 * properties that an object does not have. The object itself is none: it can have private members and be
 * pickled, and its methods are found without a detour.
 */

/** An object whose elements are asked for by index. @internal */
export interface Indexed {
  _get(index: number): unknown;
  _set(index: number, value: unknown): void;
}

/** The whole number that a property name stands for, negative ones too. */
function indexOf(key: string | symbol): number | undefined {
  if (typeof key !== 'string') return undefined;
  const index = Number(key);
  return Number.isInteger(index) && String(index) === key ? index : undefined;
}

function isIndexed(object: object): object is Indexed {
  return '_get' in object;
}

/** The prototype of the base class of such classes, in the place of Object.prototype. @internal */
export const indexing: object = new Proxy(Object.prototype, {
  get(target, key, receiver: object) {
    const index = indexOf(key);
    if (index !== undefined && isIndexed(receiver)) return receiver._get(index);
    return Reflect.get(target, key, receiver) as unknown;
  },
  set(target, key, value, receiver: object) {
    const index = indexOf(key);
    if (index === undefined || !isIndexed(receiver)) {
      return Reflect.set(target, key, value, receiver);
    }
    receiver._set(index, value);
    return true;
  },
  getPrototypeOf: (target) => target,
});
