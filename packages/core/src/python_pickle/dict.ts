/**
 * Python's dicts whose keys are texts: plain objects.
 */

/** Indices of a V8 object's elements up to which it may have room for all. */
const smallIndex = 64;

/** @internal */
export function isDict(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** An own property whatever its name, and no room for thousands of elements because one is called '1000'. @internal */
export function setProperty(dict: Record<string, unknown>, key: string, value: unknown): void {
  const property = { value, writable: true, enumerable: true, configurable: true };
  const code = key.charCodeAt(0);
  if (code >= 0x31 && code <= 0x39 && Number(key) > smallIndex && !(key in dict)) {
    // Read-only for a moment: V8 keeps the elements of such an object in a hash table.
    Object.defineProperty(dict, key, { ...property, writable: false });
    Object.defineProperty(dict, key, property);
  } else if (key === '__proto__') {
    Object.defineProperty(dict, key, property);
  } else {
    dict[key] = value;
  }
}
