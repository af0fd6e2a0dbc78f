/**
 * Properties that a message gives an object: whatever their names, and without more memory than they are worth.
 */
import { UnpicklingError } from '../base/errors.ts';

/** Indices of a V8 object's elements up to which it may have room for all. */
const smallIndex = 64;

/**
 * Whether V8 would make room for elements that nobody has, when an object gets this property.
 * @param known how many properties it has got
 * @internal
 */
export function isFar(key: PropertyKey, known = 0): boolean {
  if (typeof key !== 'string') return false;
  const code = key.charCodeAt(0);
  return code >= 0x31 && code <= 0x39 && Number(key) > smallIndex + 2 * known;
}

/** Has V8 keep the elements of an object in a hash table. */
function setFar(object: object, key: PropertyKey, value: unknown): void {
  const property = { value, writable: true, enumerable: true, configurable: true };
  // It does so for one that is read-only, if only for a moment.
  Object.defineProperty(object, key, { ...property, writable: false });
  Object.defineProperty(object, key, property);
}

/**
 * Gives an object an own property, never by a setter of its class and never its prototype.
 * @param known how many properties it has got
 * @throws UnpicklingError for the length of an array
 * @internal
 */
export function setProperty(object: object, key: PropertyKey, value: unknown, known = 0): void {
  if (!(key in object)) {
    if (isFar(key, known)) setFar(object, key, value);
    else (object as Record<PropertyKey, unknown>)[key] = value;
    return;
  }
  if (key === 'length' && Array.isArray(object)) {
    throw new UnpicklingError('the message is damaged: it has another length for an array');
  }
  const property = { value, writable: true, enumerable: true, configurable: true };
  Object.defineProperty(object, key, property);
}

/**
 * Gives an empty array its length, with room for elements only if most of them will come.
 * @param count of the elements
 * @internal
 */
export function setLength(array: unknown[], length: number, count: number): void {
  if (length > 2 * count + 16) {
    setFar(array, '0', undefined);
    delete array[0];
  }
  array.length = length;
}
