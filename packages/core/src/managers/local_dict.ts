/**
 * Python's dict and set, for the clients of a manager.
 */
import { typeError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { KeyError } from '../python_pickle/python_error.ts';
import { keyOf } from './keys.ts';
import { referentOf } from './referent.ts';
import { dictText, reprOf } from './repr.ts';

type Pair = readonly [key: unknown, value: unknown];

/** Python's dict, in the manager's process: for callables that give everybody the same one. Keys are the same when they have the same value. */
export class LocalDict {
  #items = new Map<unknown, Pair>();

  /** @param items a Map, pairs, or an object @param more a second object, Python's keywords @throws TypeError */
  constructor(items?: unknown, more?: unknown) {
    this.update(items, more);
  }

  /** A copy, for `#GETVALUE`. @internal */
  value(): Map<unknown, unknown> {
    return new Map(this.#items.values());
  }

  /** @throws KeyError */
  __getitem__(key: unknown): unknown {
    const pair = this.#items.get(keyOf(key));
    if (pair === undefined) throw new KeyError(key);
    return pair[1];
  }

  __setitem__(key: unknown, value: unknown): void {
    const known = keyOf(key);
    this.#items.set(known, [this.#items.get(known)?.[0] ?? key, value]);
  }

  /** @throws KeyError */
  __delitem__(key: unknown): void {
    if (!this.#items.delete(keyOf(key))) throw new KeyError(key);
  }

  __contains__(key: unknown): boolean {
    return this.#items.has(keyOf(key));
  }

  __len__(): number {
    return this.#items.size;
  }

  __iter__(): Iterator<unknown> {
    return this.keys()[Symbol.iterator]();
  }

  __reversed__(): unknown[] {
    return this.keys().reverse();
  }

  __or__(other: unknown): Map<unknown, unknown> {
    return new LocalDict(this.#items.values(), other).value();
  }

  __ror__(other: unknown): Map<unknown, unknown> {
    return new LocalDict(other, this).value();
  }

  __ior__(other: unknown): void {
    this.update(other);
  }

  clear(): void {
    this.#items.clear();
  }

  copy(): Map<unknown, unknown> {
    return this.value();
  }

  /** Makes a dict of these keys, and changes nothing. */
  fromkeys(keys: Iterable<unknown>, value: unknown = null): Map<unknown, unknown> {
    return new LocalDict(Array.from(keys, (key) => [key, value])).value();
  }

  get(key: unknown, otherwise?: unknown): unknown {
    const pair = this.#items.get(keyOf(key));
    return pair === undefined ? otherwise : pair[1];
  }

  items(): Pair[] {
    return [...this.#items.values()];
  }

  keys(): unknown[] {
    return Array.from(this.#items.values(), ([key]) => key);
  }

  values(): unknown[] {
    return Array.from(this.#items.values(), ([, value]) => value);
  }

  /** @throws KeyError, without a second argument */
  pop(...args: [key: unknown, otherwise?: unknown]): unknown {
    const known = keyOf(args[0]);
    const pair = this.#items.get(known);
    if (pair === undefined && args.length < 2) throw new KeyError(args[0]);
    this.#items.delete(known);
    return pair === undefined ? args[1] : pair[1];
  }

  /** @throws KeyError when it is empty */
  popitem(): Pair {
    const known = [...this.#items.keys()].at(-1);
    const pair = this.#items.get(known);
    if (pair === undefined) throw new KeyError('popitem(): dictionary is empty');
    this.#items.delete(known);
    return pair;
  }

  setdefault(key: unknown, value: unknown = null): unknown {
    if (!this.__contains__(key)) this.__setitem__(key, value);
    return this.__getitem__(key);
  }

  update(items?: unknown, more?: unknown): void {
    for (const [key, value] of pairsOf(items)) this.__setitem__(key, value);
    for (const [key, value] of pairsOf(more)) this.__setitem__(key, value);
  }

  __repr__(seen: object[] = []): string {
    return dictText(this.#items.values(), seen);
  }
}

function pairsOf(given: unknown): Iterable<Pair> {
  const items = referentOf(given);
  if (items === undefined || items === null) return [];
  if (items instanceof LocalDict) return items.items();
  if (typeof items !== 'object')
    throw typeError(`a dict is made of a Map, of pairs or of an object, not of ${reprOf(items)}`);
  if (typeof (items as Iterable<Pair>)[Symbol.iterator] !== 'function')
    return Object.entries(items);
  return Array.from(items as Iterable<Pair>, (pair) => {
    if (!Array.isArray(pair) || pair.length !== 2)
      throw typeError(`a dict is made of pairs, and ${reprOf(pair)} is none`);
    return pair as unknown as Pair;
  });
}

/** Python's set, in the manager's process. */
export class LocalSet {
  #items = new Map<unknown, unknown>();

  constructor(items: unknown = []) {
    this.#items = elementsOf(items);
  }

  /** A copy, for `#GETVALUE`. @internal */
  value(): Set<unknown> {
    return new Set(this.#items.values());
  }

  #with(others: unknown[], keep: (key: unknown, others: Map<unknown, unknown>[]) => boolean) {
    const maps = others.map(elementsOf);
    return new Set([...this.#items].filter(([key]) => keep(key, maps)).map(([, item]) => item));
  }

  #become(items: Iterable<unknown>): void {
    this.#items = elementsOf(items);
  }

  union(...others: unknown[]): Set<unknown> {
    const all = new Map(this.#items);
    for (const other of others)
      for (const [k, v] of elementsOf(other)) if (!all.has(k)) all.set(k, v);
    return new Set(all.values());
  }

  intersection(...others: unknown[]): Set<unknown> {
    return this.#with(others, (key, maps) => maps.every((map) => map.has(key)));
  }

  difference(...others: unknown[]): Set<unknown> {
    return this.#with(others, (key, maps) => !maps.some((map) => map.has(key)));
  }

  symmetric_difference(other: unknown): Set<unknown> {
    const mine = this.difference(other);
    for (const [key, item] of elementsOf(other)) if (!this.#items.has(key)) mine.add(item);
    return mine;
  }

  update(...others: unknown[]): void {
    this.#become(this.union(...others));
  }

  intersection_update(...others: unknown[]): void {
    this.#become(this.intersection(...others));
  }

  difference_update(...others: unknown[]): void {
    this.#become(this.difference(...others));
  }

  symmetric_difference_update(other: unknown): void {
    this.#become(this.symmetric_difference(other));
  }

  isdisjoint(other: unknown): boolean {
    return this.intersection(other).size === 0;
  }

  issubset(other: unknown): boolean {
    return this.difference(other).size === 0;
  }

  issuperset(other: unknown): boolean {
    return new LocalSet(other).issubset(this);
  }

  add(item: unknown): void {
    const key = keyOf(item);
    if (!this.#items.has(key)) this.#items.set(key, item);
  }

  clear(): void {
    this.#items.clear();
  }

  copy(): Set<unknown> {
    return this.value();
  }

  discard(item: unknown): void {
    this.#items.delete(keyOf(item));
  }

  /** @throws KeyError */
  remove(item: unknown): void {
    if (!this.#items.delete(keyOf(item))) throw new KeyError(item);
  }

  /** @throws KeyError when it is empty */
  pop(): unknown {
    for (const [key, item] of this.#items) {
      this.#items.delete(key);
      return item;
    }
    throw new KeyError('pop from an empty set');
  }

  __contains__(item: unknown): boolean {
    return this.#items.has(keyOf(item));
  }

  __len__(): number {
    return this.#items.size;
  }

  __iter__(): Iterator<unknown> {
    return [...this.#items.values()][Symbol.iterator]();
  }

  __and__(other: unknown): Set<unknown> {
    return this.intersection(other);
  }

  __or__(other: unknown): Set<unknown> {
    return this.union(other);
  }

  __sub__(other: unknown): Set<unknown> {
    return this.difference(other);
  }

  __xor__(other: unknown): Set<unknown> {
    return this.symmetric_difference(other);
  }

  __rand__(other: unknown): Set<unknown> {
    return this.intersection(other);
  }

  __ror__(other: unknown): Set<unknown> {
    return this.union(other);
  }

  __rsub__(other: unknown): Set<unknown> {
    return new LocalSet(other).difference(this);
  }

  __rxor__(other: unknown): Set<unknown> {
    return this.symmetric_difference(other);
  }

  __iand__(other: unknown): void {
    this.intersection_update(other);
  }

  __ior__(other: unknown): void {
    this.update(other);
  }

  __isub__(other: unknown): void {
    this.difference_update(other);
  }

  __ixor__(other: unknown): void {
    this.symmetric_difference_update(other);
  }

  __repr__(seen: object[] = []): string {
    return reprOf(this.value(), seen);
  }
}

function elementsOf(given: unknown): Map<unknown, unknown> {
  const items = referentOf(given);
  const iterable = items instanceof LocalSet ? items.value() : (items as Iterable<unknown>);
  if (typeof iterable?.[Symbol.iterator] !== 'function')
    throw typeError(`a set is made of what can be iterated, not of ${reprOf(items)}`);
  const all = new Map<unknown, unknown>();
  for (const item of iterable) {
    const key = keyOf(item);
    if (!all.has(key)) all.set(key, item);
  }
  return all;
}

nameExports(import.meta.url, { LocalDict, LocalSet });
