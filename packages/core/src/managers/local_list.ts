/**
 * Python's list, for the clients of a manager.
 */
import { isDeepStrictEqual } from 'node:util';
import { indexError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { Slice } from '../python_pickle/numbers.ts';
import { referentOf } from './referent.ts';
import { reprOf } from './repr.ts';
import { beginOf, placeIn, placesOf } from './slice.ts';

/** Python's list, in the manager's process: for callables that give everybody the same one. */
export class LocalList {
  #items: unknown[];

  /** @param items anything that can be iterated @throws TypeError */
  constructor(items: unknown = []) {
    this.#items = listOf(items);
  }

  /** A copy, for `#GETVALUE` and for other lists. @internal */
  value(): unknown[] {
    return this.#items.slice();
  }

  __getitem__(index: unknown): unknown {
    const items = this.#items;
    if (index instanceof Slice) return placesOf(index, items.length).map((at) => items[at]);
    return items[placeIn(items.length, index)];
  }

  __setitem__(index: unknown, value: unknown): void {
    const items = this.#items;
    if (!(index instanceof Slice)) {
      items[placeIn(items.length, index, 'list assignment')] = value;
      return;
    }
    const places = placesOf(index, items.length);
    const values = listOf(value);
    if ((index.step ?? 1) === 1) {
      items.splice(beginOf(index, items.length), places.length, ...values);
      return;
    }
    if (places.length !== values.length) {
      throw new ValueError(
        `attempt to assign sequence of size ${values.length} to extended slice of size ${places.length}`,
      );
    }
    for (const [i, at] of places.entries()) items[at] = values[i];
  }

  __delitem__(index: unknown): void {
    const items = this.#items;
    if (!(index instanceof Slice)) {
      items.splice(placeIn(items.length, index, 'list assignment'), 1);
      return;
    }
    const gone = new Set(placesOf(index, items.length));
    this.#items = items.filter((_, at) => !gone.has(at));
  }

  __contains__(value: unknown): boolean {
    return this.#find(value) >= 0;
  }

  __len__(): number {
    return this.#items.length;
  }

  __add__(other: unknown): unknown[] {
    return [...this.#items, ...listOf(other)];
  }

  __mul__(times: unknown): unknown[] {
    return repeated(this.#items, times);
  }

  __rmul__(times: unknown): unknown[] {
    return repeated(this.#items, times);
  }

  __iadd__(other: unknown): void {
    this.extend(other);
  }

  __imul__(times: unknown): void {
    this.#items = repeated(this.#items, times);
  }

  __reversed__(): unknown[] {
    return this.#items.toReversed();
  }

  __iter__(): Iterator<unknown> {
    return this.#items[Symbol.iterator]();
  }

  append(value: unknown): void {
    this.#items.push(value);
  }

  clear(): void {
    this.#items = [];
  }

  copy(): unknown[] {
    return this.value();
  }

  count(value: unknown): number {
    return this.#items.filter((item) => isDeepStrictEqual(item, value)).length;
  }

  extend(values: unknown): void {
    for (const value of listOf(values)) this.#items.push(value);
  }

  /** @throws ValueError when it is not there */
  index(value: unknown, start: unknown = 0, stop: unknown = undefined): number {
    const at = this.#find(value, new Slice(start, stop));
    if (at < 0) throw new ValueError(`${reprOf(value)} is not in list`);
    return at;
  }

  insert(index: unknown, value: unknown): void {
    const length = this.#items.length;
    const at = typeof index === 'number' && index < 0 ? Math.max(index + length, 0) : index;
    this.#items.splice(at as number, 0, value);
  }

  /** @throws RangeError, Python's IndexError */
  pop(index: unknown = -1): unknown {
    if (this.#items.length === 0) throw indexError('pop from empty list');
    return this.#items.splice(placeIn(this.#items.length, index, 'pop'), 1)[0];
  }

  /** @throws ValueError when it is not there */
  remove(value: unknown): void {
    const at = this.#find(value);
    if (at < 0) throw new ValueError('list.remove(x): x not in list');
    this.#items.splice(at, 1);
  }

  reverse(): void {
    this.#items.reverse();
  }

  /** @throws TypeError for what has no order */
  sort(options: { key?: ((item: never) => unknown) | null; reverse?: unknown } = {}): void {
    const { key, reverse = false } = options;
    const keyed = this.#items.map((item) => [key ? key(item as never) : item, item] as const);
    const sign = reverse ? -1 : 1;
    keyed.sort(([a], [b]) => sign * compare(a, b));
    this.#items = keyed.map(([, item]) => item);
  }

  #find(value: unknown, within = new Slice(null, null)): number {
    for (const at of placesOf(within, this.#items.length))
      if (isDeepStrictEqual(this.#items[at], value)) return at;
    return -1;
  }

  __repr__(seen: object[] = []): string {
    return reprOf(this.#items, seen);
  }
}

function listOf(given: unknown): unknown[] {
  const items = referentOf(given);
  if (items instanceof LocalList) return items.value();
  const iterable = items as Iterable<unknown> | null | undefined;
  if (typeof items !== 'string' && typeof iterable?.[Symbol.iterator] !== 'function')
    throw typeError(`a list is made of what can be iterated, not of ${reprOf(items)}`);
  return Array.from(iterable as Iterable<unknown>);
}

function repeated(items: readonly unknown[], times: unknown): unknown[] {
  if (!Number.isInteger(Number(times)))
    throw typeError(`can't multiply a list by ${reprOf(times)}: give a whole number`);
  const all: unknown[] = [];
  for (let i = 0; i < Number(times); i++) all.push(...items);
  return all;
}

/** Numbers, texts, and lists of them; as Python's, it has no order for anything else. */
function compare(a: unknown, b: unknown): number {
  const [left, right] = [kindOf(a), kindOf(b)];
  if (left !== right || left === undefined)
    throw typeError(`'<' not supported between ${reprOf(b)} and ${reprOf(a)}: give a key`);
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const order = compare(a[i], b[i]);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  return (a as number) < (b as number) ? -1 : Number((a as number) > (b as number));
}

function kindOf(value: unknown): string | undefined {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return 'number';
  if (Array.isArray(value)) return 'list';
  return value instanceof Date ? 'date' : undefined;
}

nameExports(import.meta.url, { LocalList });
