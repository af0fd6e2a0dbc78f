/**
 * Namespace, Value and Array of multiprocessing/managers.py: what a manager holds for its clients.
 */
import { ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { Slice } from '../python_pickle/numbers.ts';
import { reprOf } from './repr.ts';
import { placeIn, placesOf } from './slice.ts';

/** An object with attributes; Python's `managers.Namespace`. */
export class Namespace {
  [name: string]: unknown;

  /** @param attributes what it begins with */
  constructor(attributes: Readonly<Record<string, unknown>> = {}) {
    Object.assign(this, attributes);
  }

  /** @internal */
  static textOf(namespace: Namespace, seen: object[] = []): string {
    const items = Object.entries(namespace)
      .filter(([name]) => !name.startsWith('_'))
      .map(([name, value]) => `${name}=${reprOf(value, seen)}`);
    return `Namespace(${items.sort().join(', ')})`;
  }
}

/** Python's `managers.Value`: one value, of any type. @internal */
export class LocalValue {
  readonly #typecode: unknown;
  #value: unknown;

  constructor(typecode: unknown, value: unknown) {
    this.#typecode = typecode;
    this.#value = value;
  }

  get(): unknown {
    return this.#value;
  }

  set(value: unknown): void {
    this.#value = value;
  }

  __repr__(): string {
    return `Value(${reprOf(this.#typecode)}, ${reprOf(this.#value)})`;
  }
}

const TYPES = {
  b: Int8Array,
  B: Uint8Array,
  h: Int16Array,
  H: Uint16Array,
  i: Int32Array,
  I: Uint32Array,
  l: BigInt64Array,
  L: BigUint64Array,
  q: BigInt64Array,
  Q: BigUint64Array,
  f: Float32Array,
  d: Float64Array,
} as const;

/** Python's `array.array`: numbers of one C type. @internal */
export class LocalArray {
  readonly #typecode: string;
  readonly #items: (number | bigint)[];
  /** Takes one number as the C type does. */
  readonly #cell: Record<0, number | bigint>;

  /** @throws ValueError for an unknown type code, or a number that is none of it */
  constructor(typecode: string, items: Iterable<number | bigint>) {
    const Type = Object.hasOwn(TYPES, typecode) ? TYPES[typecode as keyof typeof TYPES] : undefined;
    if (Type === undefined) {
      throw new ValueError(
        `bad typecode ${reprOf(typecode)}: must be one of ${Object.keys(TYPES).join(', ')}`,
      );
    }
    this.#typecode = typecode;
    this.#cell = new Type(1) as unknown as Record<0, number | bigint>;
    this.#items = Array.from(items, (item) => this.#checked(item));
  }

  #checked(item: unknown): number | bigint {
    const isWhole = !(this.#typecode === 'f' || this.#typecode === 'd');
    if (typeof item !== 'number' && typeof item !== 'bigint')
      throw new TypeError(`an array of ${this.#typecode} has numbers, not ${reprOf(item)}`);
    if (isWhole && typeof item === 'number' && !Number.isInteger(item))
      throw new TypeError(`an array of ${this.#typecode} has whole numbers, not ${item}`);
    const isBig = typeof this.#cell[0] === 'bigint';
    this.#cell[0] = isBig ? BigInt(item) : Number(item);
    const held = this.#cell[0];
    if (isWhole && BigInt(held) !== BigInt(item))
      throw new ValueError(`${item} is too large for an array of ${this.#typecode}`);
    return isBig && Number.isSafeInteger(Number(held)) ? Number(held) : held;
  }

  /** @internal */
  value(): (number | bigint)[] {
    return this.#items.slice();
  }

  __len__(): number {
    return this.#items.length;
  }

  __getitem__(index: unknown): unknown {
    const items = this.#items;
    if (index instanceof Slice) return placesOf(index, items.length).map((at) => items[at]);
    return items[placeIn(items.length, index, 'array')];
  }

  __setitem__(index: unknown, value: unknown): void {
    const items = this.#items;
    if (!(index instanceof Slice)) {
      items[placeIn(items.length, index, 'array assignment')] = this.#checked(value);
      return;
    }
    const places = placesOf(index, items.length);
    const values = Array.from(value as Iterable<unknown>, (item) => this.#checked(item));
    if (values.length !== places.length)
      throw new ValueError('a part of an array can be set to as many numbers as it has only');
    for (const [i, at] of places.entries()) items[at] = values[i] as number;
  }

  __repr__(): string {
    return `array(${reprOf(this.#typecode)}, ${reprOf(this.#items)})`;
  }
}

nameExports(import.meta.url, { Namespace, LocalValue, LocalArray });
