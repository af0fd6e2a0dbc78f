/**
 * Parts of lists as Python's `[start:stop:step]`, and places from the end.
 */
import { indexError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';

/** Python's `slice`: what `getItem`, `setItem` and `delItem` of a list take for a part of it. */
export class Slice {
  readonly start: number | undefined;
  readonly stop: number | undefined;
  readonly step: number | undefined;

  /** @param start the first, from the end if negative @param stop the first that is not in it @param step 1, without */
  constructor(start?: number, stop?: number, step?: number) {
    this.start = start ?? undefined;
    this.stop = stop ?? undefined;
    this.step = step ?? undefined;
  }

  /** The places that it has in a list of that length. @throws ValueError for a step of 0 */
  places(length: number): number[] {
    const step = this.step ?? 1;
    if (step === 0) throw new ValueError('slice step cannot be zero');
    const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
    const clamp = (n: number) => Math.min(Math.max(n < 0 ? n + length : n, low), high);
    const start = this.start === undefined ? (step > 0 ? low : high) : clamp(this.start);
    const stop = this.stop === undefined ? (step > 0 ? high : low) : clamp(this.stop);
    const places: number[] = [];
    for (let i = start; step > 0 ? i < stop : i > stop; i += step) places.push(i);
    return places;
  }
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

nameExports(import.meta.url, { Slice });
