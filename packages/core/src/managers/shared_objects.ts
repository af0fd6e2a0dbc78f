/**
 * The objects of a manager and who refers to them. An object is there as long as a client has a proxy of it, or another object of the
 * manager holds one. Deviations: D-140.
 */
import { urandom } from '@multiprocessing/posix';
import { AssertionError } from '../base/errors.ts';
import { RemoteError } from './errors.ts';
import { textOf } from './methods.ts';
import type { ProxyType } from './proxy_type.ts';

/** Whom a reference is of: a connection, or all that come and go by connections of their own. @internal */
export type Owner = object;

/** An object that clients share. @internal */
export interface Entry {
  readonly id: string;
  readonly typeid: string;
  readonly obj: unknown;
  readonly exposed: ReadonlySet<string>;
  readonly methodToTypeid: Readonly<Record<string, string>> | undefined;
  readonly proxytype: ProxyType | undefined;
  readonly references: Map<Owner, number>;
  count: number;
  /** Whether an object of this manager may hold a proxy of it. */
  isNested: boolean;
}

/** @internal */
export class SharedObjects {
  /** Those that clients refer to. */
  readonly #objects = new Map<string, Entry>();
  /** Those that are found again, if something in the manager still holds them. */
  readonly #nested = new Map<string, WeakRef<Entry>>();
  readonly #collected = new FinalizationRegistry<string>((id) => {
    if (this.#nested.get(id)?.deref() === undefined) this.#nested.delete(id);
  });
  /** An object that is made or returned again is the same one. */
  readonly #entries = new WeakMap<object, Entry>();
  /** What each owner refers to. */
  readonly #owners = new Map<Owner, Set<Entry>>();
  /** Other managers at the same address have other ones. */
  readonly #prefix = Buffer.from(urandom(4)).toString('hex');
  #serial = 0;
  readonly #dispose: (obj: unknown) => void;

  /** @param dispose is given what nobody refers to any more */
  constructor(dispose: (obj: unknown) => void) {
    this.#dispose = dispose;
  }

  /** How many clients refer to. */
  get size(): number {
    return this.#objects.size;
  }

  /** The entry of an object, which nobody refers to yet. */
  add(made: Pick<Entry, 'typeid' | 'obj' | 'exposed' | 'methodToTypeid' | 'proxytype'>): Entry {
    const known = isObject(made.obj) ? this.#entries.get(made.obj) : undefined;
    if (known !== undefined && known.typeid === made.typeid) return known;
    const id = `${this.#prefix}${(++this.#serial).toString(16).padStart(8, '0')}`;
    const entry = { ...made, id, references: new Map(), count: 0, isNested: false };
    if (isObject(made.obj)) this.#entries.set(made.obj, entry);
    return entry;
  }

  has(id: string): boolean {
    return this.#objects.has(id) || this.#nested.get(id)?.deref() !== undefined;
  }

  /** @throws RemoteError */
  find(id: unknown): Entry {
    const entry = this.#objects.get(id as string) ?? this.#nested.get(id as string)?.deref();
    if (entry !== undefined) return entry;
    throw new RemoteError(
      `the manager has no object ${String(id)}: no proxy referred to it any more, or it was of a manager at this address before`,
    );
  }

  /** Says that something in the manager has a proxy of it: who finds it there may refer to it again. */
  nest(entry: Entry): void {
    if (entry.isNested) return;
    entry.isNested = true;
    this.#nested.set(entry.id, new WeakRef(entry));
    this.#collected.register(entry, entry.id);
  }

  /** One reference more. */
  refer(entry: Entry, owner: Owner): void {
    entry.references.set(owner, (entry.references.get(owner) ?? 0) + 1);
    entry.count++;
    this.#objects.set(entry.id, entry);
    let owned = this.#owners.get(owner);
    if (owned === undefined) {
      owned = new Set();
      this.#owners.set(owner, owned);
    }
    owned.add(entry);
  }

  /** One less. @throws AssertionError when there is none */
  release(entry: Entry, owner: Owner): void {
    const count = entry.references.get(owner) ?? 0;
    if (count === 0)
      throw new AssertionError(`object ${entry.id} has no reference that could be given back`);
    this.#drop(entry, owner, count - 1);
  }

  #drop(entry: Entry, owner: Owner, left: number): void {
    entry.count -= (entry.references.get(owner) ?? 0) - left;
    if (left > 0) {
      entry.references.set(owner, left);
      return;
    }
    entry.references.delete(owner);
    this.#owners.get(owner)?.delete(entry);
    if (entry.count > 0) return;
    this.#objects.delete(entry.id);
    if (!entry.isNested) this.#dispose(entry.obj);
  }

  /** Gives back all references of an owner. */
  releaseAll(owner: Owner): void {
    const owned = this.#owners.get(owner);
    if (owned === undefined) return;
    for (const entry of [...owned]) this.#drop(entry, owner, 0);
    this.#owners.delete(owner);
  }

  /** One line for each object and one for its text, as CPython's `debug_info`. */
  info(): string {
    return [...this.#objects.values()]
      .map(
        ({ id, count, obj }) => `  ${id}:       refcount=${count}\n    ${textOf(obj).slice(0, 75)}`,
      )
      .join('\n');
  }

  clear(): void {
    for (const { obj } of this.#objects.values()) this.#dispose(obj);
    this.#objects.clear();
    this.#owners.clear();
  }
}

function isObject(obj: unknown): obj is object {
  return typeof obj === 'object' && obj !== null;
}
