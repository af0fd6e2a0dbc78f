/**
 * Counterpart of `ShareableList` in multiprocessing/shared_memory.py: a list of fixed length whose items lie in shared
 * memory, byte for byte as CPython puts them there. Deviations: D-056, D-057, D-058.
 *
 *     8 bytes          the number of items, N
 *     (N + 1) * 8      where each item begins in the data, and where the data end
 *     data             each item in a slot of its own
 *     N * 8            each item's struct format
 *     N                each item's code (shareable_items.ts)
 */
import { inspect } from 'node:util';
import { checkOptions } from '../base/arguments.ts';
import { indexError, typeError, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import {
  encode,
  FORMAT_WIDTH,
  formatAt,
  itemsEqual,
  read,
  type Shareable,
  type Slot,
  WORD,
  write,
} from './shareable_items.ts';
import { checkSegment, SharedMemory, type SharedMemoryOptions } from './shared_memory.ts';

export type { Shareable } from './shareable_items.ts';

/** How many items `toString` shows. */
const SHOWN = 100;

type ShareableListOptions = Pick<SharedMemoryOptions, 'name' | 'anyOwner'>;

/**
 * A list of numbers, bigints, texts, booleans, bytes and nulls that several processes see; Python's
 * `multiprocessing.shared_memory.ShareableList`. Its length is fixed, and so is the room of each item. `list[-1]` is
 * the last item. It can be pickled at any time, by its name.
 */
export class ShareableList<T extends Shareable = Shareable> {
  /** The memory that it lies in: to be closed by each process, and unlinked by one. */
  readonly shm: SharedMemory;
  /** Where each item begins, from the start of the data; then where the data end. */
  readonly #offsets: Float64Array;
  readonly #bytes: Buffer;

  /** An item; see `at` and `set`. */
  [index: number]: T;

  /**
   * @param items what a new list holds; without, the list of that name is attached to
   * @param options.name of the segment; a new one gets a random name without
   * @param options.anyOwner as that of SharedMemory
   * @throws TypeError for an item of another type; ValueError for an integer of more than 64 bits, for an item of more
   *   than 9,999,991 bytes, and for a segment that holds no list
   * @throws OSError as SharedMemory
   */
  constructor(items?: Iterable<T> | null, options: ShareableListOptions = {}) {
    checkOptions(options, ['name', 'anyOwner'], 'ShareableList');
    const { name, anyOwner } = options;
    if (name !== undefined && (items === undefined || items === null)) {
      this.shm = new SharedMemory({ name, anyOwner });
      this.#bytes = bytesOf(this.shm);
      try {
        this.#offsets = readOffsets(this.#bytes, name);
      } catch (error) {
        this.shm.close();
        throw error;
      }
      return;
    }
    const encoded = Array.from(checkIterable(items ?? []), encode);
    this.#offsets = new Float64Array(encoded.length + 1);
    for (const [i, { width }] of encoded.entries()) {
      this.#offsets[i + 1] = (this.#offsets[i] as number) + width;
    }
    const count = encoded.length;
    const size = this.#formatsStart + count * (FORMAT_WIDTH + 1);
    this.shm = new SharedMemory({ name, create: true, size });
    this.#bytes = bytesOf(this.shm);
    this.#bytes.writeBigInt64LE(BigInt(count), 0);
    for (const [i, offset] of this.#offsets.entries()) {
      this.#bytes.writeBigInt64LE(BigInt(offset), (i + 1) * WORD);
    }
    for (const [i, item] of encoded.entries()) write(this.#bytes, this.#slot(i), item);
  }

  /** The number of items. */
  get length(): number {
    return this.#offsets.length - 1;
  }

  /**
   * Reads one item, as `list[index]`.
   * @param index negative from the end
   * @throws RangeError (ERR_MP_INDEX) when there is none; ValueError when its bytes are damaged
   */
  at(index: number): T {
    return read(this.#open(), this.#slot(this.#position(index, 'index out of range'))) as T;
  }

  /**
   * Writes one item, as `list[index] = value`.
   * @throws RangeError (ERR_MP_INDEX) when there is none; ValueError when the value does not fit into its slot
   */
  set(index: number, value: T): void {
    const position = this.#position(index, 'assignment index out of range');
    write(this.#open(), this.#slot(position), encode(value, position));
  }

  /** The struct formats of all items, as one string; Python's `format`. */
  get format(): string {
    const bytes = this.#open();
    let text = '';
    for (let i = 0; i < this.length; i++) text += formatAt(bytes, this.#slot(i));
    return text;
  }

  /** How many items equal the value: bytes by content, numbers and bigints by value. */
  count(value: T): number {
    let count = 0;
    for (const item of this) if (itemsEqual(item, value)) count++;
    return count;
  }

  /** Where the value is first. @throws ValueError when it is not there */
  index(value: T): number {
    let position = 0;
    for (const item of this) {
      if (itemsEqual(item, value)) return position;
      position++;
    }
    throw new ValueError(`${inspect(value)} is not in this list`);
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }

  /** How it is pickled: by its name. */
  [reduceSymbol](): [typeof attachList, [ShareableListClass, string, bigint]] {
    const { name, _inode } = this.shm;
    return [attachList, [this.constructor as ShareableListClass, name, _inode]];
  }

  toString(): string {
    const items: string[] = [];
    for (let i = 0; i < Math.min(this.length, SHOWN); i++) items.push(inspect(this.at(i)));
    if (this.length > SHOWN) items.push(`... ${this.length - SHOWN} more`);
    return `${this.constructor.name}([${items.join(', ')}], name=${inspect(this.shm.name)})`;
  }

  [inspect.custom](): string {
    return this.shm.buf === undefined
      ? `${this.constructor.name}(closed, name=${inspect(this.shm.name)})`
      : this.toString();
  }

  get #dataStart(): number {
    return (this.length + 2) * WORD;
  }

  get #formatsStart(): number {
    return this.#dataStart + (this.#offsets[this.length] as number);
  }

  #slot(position: number): Slot {
    const begin = this.#offsets[position] as number;
    const formats = this.#formatsStart;
    return {
      position,
      begin: this.#dataStart + begin,
      width: (this.#offsets[position + 1] as number) - begin,
      format: formats + position * FORMAT_WIDTH,
      code: formats + this.length * FORMAT_WIDTH + position,
    };
  }

  #position(index: number, message: string): number {
    if (!Number.isInteger(index))
      throw typeError(`index must be an integer, not ${inspect(index)}`);
    const position = index < 0 ? index + this.length : index;
    if (position >= 0 && position < this.length) return position;
    throw indexError(`${message}: ${index}, and the list has ${this.length} items`);
  }

  #open(): Buffer {
    if (this.shm.buf !== undefined) return this.#bytes;
    throw new ValueError('this list is closed: attach to it anew by its name, if it is there');
  }
}

type ShareableListClass = new (items: undefined, options: ShareableListOptions) => ShareableList;

/** Of whichever user it is, it is the one that the sender has. @internal */
export function attachList(cls: ShareableListClass, name: string, inode: bigint): ShareableList {
  const list = new cls(undefined, { name, anyOwner: true });
  checkSegment(list.shm, inode);
  return list;
}

nameExports(import.meta.url, { ShareableList, attachList });

const INDEX = /^-?\d+$/;

// `list[index]`, at the end of the prototype chain: a property that neither a list nor its class has is looked for here.
// A Proxy in the place of each list would make everything else slower, and would not see its private members.
Object.setPrototypeOf(
  ShareableList.prototype,
  new Proxy(Object.prototype, {
    get(target, key, list: unknown) {
      if (typeof key === 'string' && INDEX.test(key))
        return (list as ShareableList).at(Number(key));
      return Reflect.get(target, key, list);
    },
    set(target, key, value: Shareable, list: unknown) {
      if (typeof key !== 'string' || !INDEX.test(key)) return Reflect.set(target, key, value, list);
      (list as ShareableList).set(Number(key), value);
      return true;
    },
  }),
);

function checkIterable<T>(items: Iterable<T>): Iterable<T> {
  if (typeof (items as { [Symbol.iterator]?: unknown })[Symbol.iterator] === 'function')
    return items;
  throw typeError(`items must be iterable, not ${inspect(items)}`);
}

function bytesOf({ buf }: SharedMemory): Buffer {
  return Buffer.from(buf.buffer, buf.byteOffset, buf.byteLength);
}

/** What a segment says of where its items are, checked: any process may have written it. */
function readOffsets(bytes: Buffer, name: string): Float64Array {
  const fail = () => new ValueError(`segment '${name}' does not hold a ShareableList`);
  if (bytes.length < 2 * WORD) throw fail();
  const count = Number(bytes.readBigInt64LE(0));
  const around = (count + 2) * WORD + count * (FORMAT_WIDTH + 1);
  if (count < 0 || around > bytes.length) throw fail();
  const offsets = new Float64Array(count + 1);
  let last = 0;
  for (let i = 0; i <= count; i++) {
    const offset = Number(bytes.readBigInt64LE((i + 1) * WORD));
    if (offset < last || (i === 0 && offset !== 0)) throw fail();
    offsets[i] = offset;
    last = offset;
  }
  if (around + last > bytes.length) throw fail();
  return offsets;
}
