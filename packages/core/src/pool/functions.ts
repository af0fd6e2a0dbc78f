/**
 * The functions of a pool: each is pickled once and stands in a file in memory that all workers have. A task says which one it
 * calls, and where that stands; a worker reads it when it first meets it.
 */
import { close, readAt, sealedMemfd, writeAt } from '@multiprocessing/posix';
import type { AnyFunction } from '../base/names.ts';
import { loadsFromParent } from '../closures/closures.ts';
import { Finalize } from '../util/finalize.ts';

/** Bytes of the file at its beginning; it grows. */
const FILE_BYTES = 1 << 16;
/** Functions that a worker keeps made, the last used ones. */
const KEPT = 256;
/** Functions that stay in the file though no call uses them: they may well be called again. */
const RESTING = 64;
/** Each begins at a multiple of so many bytes. */
const STEP = 64;

/** A function that is in the file. @internal */
export interface Entry {
  readonly id: number;
  /** Where it stands, bytes. */
  readonly at: number;
  readonly length: number;
}

interface Held extends Entry {
  readonly key: string;
  /** Calls that use it. */
  uses: number;
}

/** @internal */
export function openFunctionFile(): number {
  return sealedMemfd('multiprocessing-pool', FILE_BYTES, { mayGrow: true });
}

/** The parent's side: gives functions their places. @internal */
export class FunctionTable {
  readonly fd: number;
  readonly #closing: Finalize<[number]>;
  #ids = 0;
  /** By what it is pickled as. */
  readonly #held = new Map<string, Held>();
  /** Those of them that no call uses, the last used ones last. */
  readonly #resting = new Set<Held>();
  /** Free places, in order: [where, bytes]. The last one has no end. */
  #free: [number, number][] = [[0, Infinity]];

  constructor() {
    this.fd = openFunctionFile();
    this.#closing = new Finalize(this, close, { args: [this.fd] });
  }

  close(): void {
    this.#closing.call();
  }

  /** Has a function in the file until `release`. @param pieces of its message @throws OSError */
  use(pieces: readonly Uint8Array[]): Entry {
    const bytes = Buffer.concat([lengthsOf(pieces), ...pieces]);
    const key = bytes.toString('latin1');
    const known = this.#held.get(key);
    if (known !== undefined) return this.again(known);
    const at = this.#claim(bytes.length);
    try {
      writeAt(this.fd, bytes, at);
    } catch (error) {
      this.#give(at, bytes.length);
      throw error;
    }
    const held = { id: ++this.#ids, at, length: bytes.length, key, uses: 1 };
    this.#held.set(key, held);
    return held;
  }

  /** The same for a function that is there. */
  again(entry: Entry): Entry {
    const held = entry as Held;
    if (held.uses++ === 0) this.#resting.delete(held);
    return held;
  }

  /** Whether a function is still there. */
  has(entry: Entry): boolean {
    return (entry as Held).uses > 0 || this.#resting.has(entry as Held);
  }

  /** No task of a call is on its way any more. */
  release(entry: Entry): void {
    const held = entry as Held;
    if (--held.uses > 0) return;
    this.#resting.add(held);
    if (this.#resting.size <= RESTING) return;
    const [oldest] = this.#resting as Iterable<Held> as [Held];
    this.#resting.delete(oldest);
    this.#held.delete(oldest.key);
    this.#give(oldest.at, oldest.length);
  }

  #claim(length: number): number {
    const size = sizeOf(length);
    const index = this.#free.findIndex(([, bytes]) => bytes >= size);
    const [at, bytes] = this.#free[index] as [number, number];
    if (bytes === size) this.#free.splice(index, 1);
    else this.#free[index] = [at + size, bytes - size];
    return at;
  }

  #give(at: number, length: number): void {
    const all = [...this.#free, [at, sizeOf(length)] as [number, number]].sort(([a], [b]) => a - b);
    const joined: [number, number][] = [];
    for (const [begin, bytes] of all) {
      const last = joined.at(-1);
      if (last !== undefined && last[0] + last[1] === begin) last[1] += bytes;
      else joined.push([begin, bytes]);
    }
    this.#free = joined;
  }
}

function sizeOf(length: number): number {
  return Math.ceil(length / STEP) * STEP;
}

/** Before the pieces: how many there are, and how long each is. */
function lengthsOf(pieces: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(
    Float64Array.of(pieces.length, ...pieces.map(({ length }) => length)).buffer,
  );
}

function piecesOf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getFloat64(0, true);
  let at = (1 + count) * 8;
  return Array.from({ length: count }, (_, i) => {
    const length = view.getFloat64((1 + i) * 8, true);
    // Of its own: a large array keeps the memory that it is given.
    const piece = bytes.slice(at, at + length);
    at += length;
    return piece;
  });
}

/** A worker's side. @internal */
export class FunctionCache {
  readonly #fd: number;
  readonly #made = new Map<number, AnyFunction>();
  readonly #coming = new Map<number, Promise<AnyFunction>>();
  #last = 0;
  #lastFn: AnyFunction | undefined;

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Whether a function is there already. */
  has(id: number): boolean {
    return id === this.#last || this.#made.has(id);
  }

  /** @returns the function, or a promise of it when something has to be imported first @throws UnpicklingError, OSError */
  get(id: number, at: number, length: number): AnyFunction | Promise<AnyFunction> {
    if (id === this.#last) return this.#lastFn as AnyFunction;
    const known = this.#made.get(id);
    if (known === undefined) return this.#coming.get(id) ?? this.#make(id, at, length);
    this.#made.delete(id);
    return this.#keep(id, known);
  }

  #make(id: number, at: number, length: number): AnyFunction | Promise<AnyFunction> {
    const bytes = new Uint8Array(length);
    readAt(this.#fd, bytes, at);
    const [message, ...beside] = piecesOf(bytes) as [
      Uint8Array<ArrayBuffer>,
      ...Uint8Array<ArrayBuffer>[],
    ];
    const made = loadsFromParent(message, beside) as AnyFunction | Promise<AnyFunction>;
    if (!(made instanceof Promise)) return this.#keep(id, made);
    const coming = made
      .then((fn) => this.#keep(id, fn))
      .finally(() => {
        this.#coming.delete(id);
      });
    this.#coming.set(id, coming);
    return coming;
  }

  #keep(id: number, fn: AnyFunction): AnyFunction {
    this.#made.set(id, fn);
    if (this.#made.size > KEPT) this.#made.delete(this.#made.keys().next().value as number);
    this.#last = id;
    this.#lastFn = fn;
    return fn;
  }
}
