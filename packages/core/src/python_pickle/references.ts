/**
 * The middle of the pickler for Python's format: what has been written already, under which number it can be found again,
 * and what Python can hash.
 */
import { types } from 'node:util';
import { Refusal } from '../pickle/message.ts';
import { intrinsicOf } from '../pickle/realms.ts';
import { withArticle } from './advice.ts';
import * as op from './opcodes.ts';
import { Tuple } from './tuple.ts';
import { nameOf, type PythonType, type PythonTypes } from './types.ts';
import { PythonWriter } from './writer.ts';

/** How a pickle is written. @internal */
export interface Writing {
  readonly protocol: number;
  readonly maxDepth: number;
  readonly types: PythonTypes;
  readonly context: unknown;
}

/** Up to this depth nobody looks whether a tuple holds itself: one that does gets deeper. */
const untracked = 32;

/** Writes numbers in place of what has been written. @internal */
export abstract class PythonReferences extends PythonWriter {
  protected depth = 0;
  protected writing: Writing | undefined;
  /** How many objects have numbers. */
  private numbers = 0;
  /** Under which number an object, or the key of one, can be found again. */
  protected readonly memo = new Map<object | string, number>();
  /** Sets that went as frozensets, and tuples that hold only what can be hashed. */
  private readonly frozen = new Set<object>();
  /** How often a tuple or frozenset has begun and not ended. */
  private readonly open = new Map<object, number>();
  /** Under which numbers classes and functions can be found again. */
  private readonly names = new Map<string, number>();

  protected forget(): void {
    this.depth = 0;
    this.writing = undefined;
    this.numbers = 0;
    this.memo.clear();
    if (this.frozen.size > 0) this.frozen.clear();
    if (this.open.size > 0) this.open.clear();
    if (this.names.size > 0) this.names.clear();
  }

  protected globalName(name: string): void {
    const index = this.names.get(name);
    if (index !== undefined) {
      this.recall(index);
      return;
    }
    const [module, qualname] = this.spelled(name);
    const dot = qualname.lastIndexOf('.');
    if (dot < 0 || this.protocol > 3) {
      this.global(module, qualname);
    } else {
      // Readers of these protocols do not look into classes by themselves.
      this.globalName('builtins.getattr');
      this.globalName(`${module}:${qualname.slice(0, dot)}`);
      this.text(qualname.slice(dot + 1));
      this.byte(op.TUPLE2);
      this.byte(op.REDUCE);
    }
    this.names.set(name, this.numbers);
    this.numberIt();
  }

  /** Python would say `unhashable type: 'list'`, but to the reader. */
  protected checkHashable(value: unknown): void {
    if (typeof value !== 'object' || value === null || this.frozen.has(value)) return;
    if (types.isProxy(value)) throw proxyRefusal();
    if (value instanceof Tuple) {
      this.frozen.add(value);
      for (const item of value) this.checkHashable(item);
    } else if (types.isSet(value)) {
      if (this.memo.has(value)) {
        throw new Refusal(
          'a Set that is elsewhere in the object, too, cannot be a key or an element in Python',
        );
      }
      this.frozen.add(value);
    } else if (this.isKnownHashable(value)) {
      // As what it is: Python hashes it by its own class.
    } else if (Array.isArray(value)) {
      throw new Refusal(
        'a list cannot be a key of a dict or an element of a set in Python: make it a Tuple.from(it)',
      );
    } else if (!types.isUint8Array(value)) {
      throw new Refusal('a dict cannot be a key of a dict or an element of a set in Python');
    }
  }

  /** How an instance is written, one of another realm's classes of the language, too. */
  protected rowOf(value: object, proto: object | null): PythonType | undefined {
    const table = this.writing?.types;
    return table?.ofInstance(proto) ?? table?.ofInstance(ofThisRealm(value, proto));
  }

  /** @throws Refusal for an instance that Python cannot hash */
  private isKnownHashable(value: object): boolean {
    const proto = Object.getPrototypeOf(value) as object | null;
    if (isOwn(proto, 'Object', 'Array', 'Map')) return false;
    const type = this.rowOf(value, proto);
    if (type?.hashable !== false) return type?.reduce !== undefined;
    const name = type.cls?.name ?? nameOf(type);
    throw new Refusal(`${withArticle(name)} cannot be a key or an element in Python`);
  }

  protected begun(value: object): void {
    if (this.depth <= untracked) return;
    const times = (this.open.get(value) ?? 0) + 1;
    // Once more is right for one that holds itself in a list: the second time meets the list again.
    if (times > 2) throw new Refusal('a tuple or frozenset cannot hold itself in Python');
    this.open.set(value, times);
  }

  protected ended(value: object): void {
    if (this.depth > untracked) this.open.set(value, (this.open.get(value) ?? 1) - 1);
  }

  /** What is on top of the reader's stack gets the next number. */
  protected remember(value: object | string): void {
    this.memo.set(value, this.numbers);
    this.numberIt();
  }

  private numberIt(): void {
    const index = this.numbers++;
    if (this.protocol >= 4) this.byte(op.MEMOIZE);
    else this.numbered(index, op.BINPUT, op.LONG_BINPUT);
  }

  protected recall(index: number): void {
    this.numbered(index, op.BINGET, op.LONG_BINGET);
  }
}

/** The prototype that a class of the language has here, if this is an instance of the one of another realm. */
function ofThisRealm(value: object, proto: object | null): object | null {
  let above = proto;
  while (above !== null) {
    const name = intrinsicOf(above);
    const cls = name && (globalThis as unknown as Record<string, { prototype?: object }>)[name];
    if (cls) return cls.prototype ?? null;
    // Of what is derived only errors are sent.
    above = types.isNativeError(value) ? (Object.getPrototypeOf(above) as object | null) : null;
  }
  return null;
}

/** Whether a prototype is that of a class of the language, in whatever realm; none at all counts as that of an object. */
export function isOwn(proto: object | null, ...names: string[]): boolean {
  if (proto === Object.prototype || proto === null) return names.includes('Object');
  return names.includes(intrinsicOf(proto) ?? '');
}

export function proxyRefusal(): Refusal {
  return new Refusal('a Proxy cannot be sent to Python: send what it stands for');
}
