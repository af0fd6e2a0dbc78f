/**
 * Parts of lists as Python's `[start:stop:step]`, and places from the end.
 */
import { indexError, typeError, ValueError } from '../base/errors.ts';
import type { Slice } from '../python_pickle/numbers.ts';

/** The places that a slice has in a list of that length. @throws ValueError for a step of 0, TypeError @internal */
export function placesOf({ start, stop, step }: Slice, length: number): number[] {
  const by = whole(step) ?? 1;
  if (by === 0) throw new ValueError('slice step cannot be zero');
  const [low, high] = by > 0 ? [0, length] : [-1, length - 1];
  const clamp = (n: number) => Math.min(Math.max(n < 0 ? n + length : n, low), high);
  const [first, last] = [whole(start), whole(stop)];
  const from = first === undefined ? (by > 0 ? low : high) : clamp(first);
  const to = last === undefined ? (by > 0 ? high : low) : clamp(last);
  const places: number[] = [];
  for (let i = from; by > 0 ? i < to : i > to; i += by) places.push(i);
  return places;
}

/** Where a slice begins. @internal */
export function beginOf({ start }: Slice, length: number): number {
  const first = whole(start) ?? 0;
  return Math.min(Math.max(first < 0 ? first + length : first, 0), length);
}

function whole(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number)) throw typeError('slice indices must be whole numbers or null');
  return number;
}

/** A place in a list. @throws TypeError, RangeError (Python's IndexError) @internal */
export function placeIn(length: number, index: unknown, what = 'list'): number {
  const place = typeof index === 'bigint' ? Number(index) : index;
  if (typeof place !== 'number' || !Number.isInteger(place))
    throw typeError(`${what} indices must be whole numbers or slices, not ${typeof index}`);
  const at = place < 0 ? place + length : place;
  if (at < 0 || at >= length) throw indexError(`${what} index out of range`);
  return at;
}
