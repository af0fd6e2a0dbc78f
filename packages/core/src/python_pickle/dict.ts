/**
 * Python's dicts whose keys are texts: plain objects.
 */

/** @internal */
export function isDict(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}
