/**
 * Counterpart of pickle.py's `_Pickler`, for plain data and what the table of types holds. Deviations: D-066, D-068.
 *
 * Containers are remembered when they begin, so that shared ones stay shared and cycles work; tuples and frozensets
 * when they end, as in CPython.
 */
import { inspect, types } from 'node:util';
import { partsOf } from '../pickle/kinds.ts';
import { at, publicError, Refusal, segment } from '../pickle/message.ts';
import { intrinsicOf } from '../pickle/realms.ts';
import { isKnownSpecial, notData, notPlain, withArticle } from './advice.ts';
import * as op from './opcodes.ts';
import { Tuple } from './tuple.ts';
import { GlobalName, nameOf, type PythonTypes, type Reduced } from './types.ts';
import { PythonWriter, shortText } from './writer.ts';

/** So many items go with one opcode, as CPython's; its reader has no more of them on its stack. */
const batch = 1000;

/** How a pickle is written. @internal */
export interface Writing {
  readonly protocol: number;
  readonly maxDepth: number;
  readonly types: PythonTypes;
  readonly context: unknown;
}

/** Pickles one object at a time. @internal */
export class PythonPickler extends PythonWriter {
  private maxDepth = 0;
  private depth = 0;
  /** How many objects have numbers. */
  private numbers = 0;
  /** Under which number an object, or the key of one, can be found again. */
  private readonly memo = new Map<object | string, number>();
  /** Sets that went as frozensets, and tuples that hold only what can be hashed. */
  private readonly frozen = new Set<object>();
  /** How often a tuple or frozenset has begun and not ended. */
  private readonly open = new Map<object, number>();
  /** Under which numbers classes and functions can be found again. */
  private readonly names = new Map<string, number>();
  private writing: Writing | undefined;

  /** @throws PicklingError if there is something in the object that is no plain data */
  dumps(obj: unknown, writing: Writing): Buffer {
    const { protocol } = writing;
    this.protocol = protocol;
    this.maxDepth = writing.maxDepth;
    this.writing = writing;
    this.begin();
    try {
      this.byte(op.PROTO);
      this.byte(protocol);
      this.value(obj, false);
      this.byte(op.STOP);
      return this.end();
    } catch (error) {
      this.abort();
      throw publicError(error);
    } finally {
      this.depth = 0;
      this.writing = undefined;
      this.numbers = 0;
      this.memo.clear();
      this.frozen.clear();
      this.open.clear();
      if (this.names.size > 0) this.names.clear();
    }
  }

  /** @param hashed whether Python is going to hash it: then a Set goes as a frozenset */
  private value(value: unknown, hashed: boolean): void {
    switch (typeof value) {
      case 'string':
        this.text(value);
        break;
      case 'number':
        if (Number.isSafeInteger(value) && !Object.is(value, -0)) this.integer(value);
        else this.double(value);
        break;
      case 'boolean':
        this.byte(value ? op.NEWTRUE : op.NEWFALSE);
        break;
      case 'undefined':
        this.byte(op.NONE);
        break;
      case 'bigint':
        this.bigint(value);
        break;
      case 'object':
        if (value === null) this.byte(op.NONE);
        else this.object(value, hashed);
        break;
      default:
        throw notData(value);
    }
  }

  //
  // Objects
  //

  private object(value: object, hashed: boolean): void {
    const index = this.memo.get(value);
    if (index !== undefined) {
      this.recall(index);
      return;
    }
    if (++this.depth > this.maxDepth) {
      throw new Refusal(`the object is nested more than ${this.maxDepth} levels deep`);
    }
    if (types.isProxy(value)) throw proxyRefusal();
    const proto = Object.getPrototypeOf(value) as object | null;
    if (Array.isArray(value)) {
      if (proto === Tuple.prototype) this.tuple(value, hashed);
      else if (isOwn(proto, 'Array')) this.list(value);
      else this.instance(value, proto);
    } else if (isOwn(proto, 'Object')) {
      this.plain(value as Record<string, unknown>, hashed);
    } else this.special(value, proto, hashed);
    this.depth--;
  }

  /** What is no plain object by what it has inside, whatever its prototype. @throws Refusal when it is none of the plain data */
  private special(value: object, proto: object | null, hashed: boolean): void {
    if (types.isUint8Array(value)) {
      this.binary(bytesIn(value));
      this.remember(value);
    } else if (types.isMap(value) && isOwn(proto, 'Map', 'Object')) this.map(value);
    else if (types.isSet(value) && isOwn(proto, 'Set', 'Object')) this.set(value, hashed);
    else this.instance(value, proto);
  }

  //
  // What the table of types holds
  //

  /** @throws Refusal if the table has no row for it */
  private instance(value: object, proto: object | null): void {
    const { types: table, protocol, context } = this.writing as Writing;
    const type = table.ofInstance(proto) ?? table.ofInstance(ofThisRealm(value, proto));
    if (type?.reduce === undefined) throw notPlain(value);
    const reduced = type.reduce(value, { protocol, context });
    this.begun(value);
    this.globalName(reduced.name ?? nameOf(type));
    this.args(reduced.args);
    this.byte(reduced.newobj ? op.NEWOBJ : op.REDUCE);
    this.ended(value);
    this.remember(value);
    this.contents(reduced);
  }

  private args(args: readonly unknown[]): void {
    const { length } = args;
    if (length > 3) this.byte(op.MARK);
    for (let i = 0; i < length; i++) {
      const arg = args[i];
      if (arg instanceof GlobalName) this.globalName(arg.name);
      else this.item(args, i, false);
    }
    if (length === 0) this.byte(op.EMPTY_TUPLE);
    else this.byte(length > 3 ? op.TUPLE : op.TUPLE1 + length - 1);
  }

  /** What the object gets when it has been made: only then may it hold itself. */
  private contents({ items, pairs, state }: Reduced): void {
    if (items !== undefined) {
      this.batches(items.length, op.APPENDS, (i) => this.item(items, i, false));
    }
    if (pairs !== undefined) this.pairs([...pairs]);
    if (state !== undefined) {
      this.value(state, false);
      this.byte(op.BUILD);
    }
  }

  private globalName(name: string): void {
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

  private list(items: readonly unknown[]): void {
    this.byte(op.EMPTY_LIST);
    this.remember(items);
    this.batches(items.length, op.APPENDS, (i) => this.item(items, i, false));
  }

  private item(items: readonly unknown[], i: number, hashed: boolean): void {
    try {
      this.value(items[i], hashed);
    } catch (error) {
      throw at(error, `[${i}]`);
    }
  }

  private tuple(items: readonly unknown[], hashed: boolean): void {
    const { length } = items;
    if (length === 0) {
      this.byte(op.EMPTY_TUPLE);
      return;
    }
    this.begun(items);
    if (length > 3) this.byte(op.MARK);
    for (let i = 0; i < length; i++) this.item(items, i, hashed);
    const index = this.memo.get(items);
    if (index !== undefined) {
      // It holds itself, by way of a list or dict that has written it: away with the items.
      if (length > 3) this.byte(op.POP_MARK);
      else for (let i = 0; i < length; i++) this.byte(op.POP);
      this.recall(index);
    } else {
      this.byte(length > 3 ? op.TUPLE : op.TUPLE1 + length - 1);
      this.remember(items);
    }
    this.ended(items);
  }

  private plain(value: Record<string, unknown>, hashed: boolean): void {
    if (Object.getOwnPropertySymbols(value).length > 0) {
      throw new Refusal(
        'an object with symbols for names cannot be sent to Python: send a copy with texts for names',
      );
    }
    const keys = Object.keys(value);
    if ((keys.length === 0 || keys[0] === '0') && isSpecial(value)) {
      this.special(value, Object.getPrototypeOf(value) as object | null, hashed);
      return;
    }
    this.byte(op.EMPTY_DICT);
    this.remember(value);
    this.batches(keys.length, op.SETITEMS, (i) => {
      const key = keys[i] as string;
      this.name(key);
      try {
        this.value(value[key], false);
      } catch (error) {
        throw at(error, segment(key));
      }
    });
  }

  /** The key of an object: most come again. */
  private name(key: string): void {
    const index = this.memo.get(key);
    if (index !== undefined) {
      this.recall(index);
      return;
    }
    this.text(key);
    if (key.length <= shortText) this.remember(key);
  }

  private map(map: Map<unknown, unknown>): void {
    this.byte(op.EMPTY_DICT);
    this.remember(map);
    const entries = Map.prototype.entries.call(map) as MapIterator<[unknown, unknown]>;
    const size = sizeOfMap.call(map);
    this.batches(size, op.SETITEMS, (i) => {
      const entry = entries.next().value;
      if (entry === undefined) throw new Refusal('a Map has been changed while it was sent');
      this.pair(entry, i);
    });
  }

  private pairs(pairs: readonly (readonly [unknown, unknown])[]): void {
    this.batches(pairs.length, op.SETITEMS, (i) => this.pair(pairs[i] as [unknown, unknown], i));
  }

  private pair(entry: readonly [unknown, unknown], i: number): void {
    this.key(entry[0], `<key ${i}>`);
    try {
      this.value(entry[1], false);
    } catch (error) {
      throw at(error, `.get(${inspect(entry[0], { depth: 0 })})`);
    }
  }

  private set(set: Set<unknown>, hashed: boolean): void {
    const items = [...(Set.prototype.values.call(set) as SetIterator<unknown>)];
    if (hashed) this.begun(set);
    if (this.protocol < 4) {
      this.global(this.protocol < 3 ? '__builtin__' : 'builtins', hashed ? 'frozenset' : 'set');
      this.byte(op.EMPTY_LIST);
      this.batches(items.length, op.APPENDS, (i) => this.key(items[i], `<element ${i}>`));
      this.byte(op.TUPLE1);
      this.byte(op.REDUCE);
      this.remember(set);
    } else if (hashed) {
      this.byte(op.MARK);
      for (const [i, item] of items.entries()) this.key(item, `<element ${i}>`);
      this.byte(op.FROZENSET);
      this.remember(set);
    } else {
      this.byte(op.EMPTY_SET);
      this.remember(set);
      this.batches(items.length, op.ADDITEMS, (i) => this.key(items[i], `<element ${i}>`));
    }
    if (hashed) this.ended(set);
  }

  /** The key of a Map or an element of a Set. */
  private key(value: unknown, path: string): void {
    try {
      this.checkHashable(value);
      this.value(value, true);
    } catch (error) {
      throw at(error, path);
    }
  }

  /** Python would say `unhashable type: 'list'`, but to the reader. */
  private checkHashable(value: unknown): void {
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

  /** @throws Refusal for an instance that Python cannot hash */
  private isKnownHashable(value: object): boolean {
    const proto = Object.getPrototypeOf(value) as object | null;
    if (isOwn(proto, 'Object', 'Array', 'Map')) return false;
    const type = this.writing?.types.ofInstance(proto);
    if (type?.hashable !== false) return type?.reduce !== undefined;
    const name = type.cls?.name ?? nameOf(type);
    throw new Refusal(`${withArticle(name)} cannot be a key or an element in Python`);
  }

  //
  // Helpers
  //

  private batches(count: number, opcode: number, write: (i: number) => void): void {
    for (let from = 0; from < count; from += batch) {
      this.byte(op.MARK);
      const to = Math.min(count, from + batch);
      for (let i = from; i < to; i++) write(i);
      this.byte(opcode);
    }
  }

  private begun(value: object): void {
    const times = (this.open.get(value) ?? 0) + 1;
    // Once more is right for one that holds itself in a list: the second time meets the list again.
    if (times > 2) throw new Refusal('a tuple or frozenset cannot hold itself in Python');
    this.open.set(value, times);
  }

  private ended(value: object): void {
    this.open.set(value, (this.open.get(value) ?? 1) - 1);
  }

  /** What is on top of the reader's stack gets the next number. */
  private remember(value: object | string): void {
    this.memo.set(value, this.numbers);
    this.numberIt();
  }

  private numberIt(): void {
    const index = this.numbers++;
    if (this.protocol >= 4) this.byte(op.MEMOIZE);
    else this.numbered(index, op.BINPUT, op.LONG_BINPUT);
  }

  private recall(index: number): void {
    this.numbered(index, op.BINGET, op.LONG_BINGET);
  }
}

/** Whether a prototype is that of a class of the language, in whatever realm; none at all counts as that of an object. */
function isOwn(proto: object | null, ...names: string[]): boolean {
  if (proto === Object.prototype || proto === null) return names.includes('Object');
  return names.includes(intrinsicOf(proto) ?? '');
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

function proxyRefusal(): Refusal {
  return new Refusal('a Proxy cannot be sent to Python: send what it stands for');
}

/** By what it has inside: its class may lack the getters. @throws Refusal if its memory is gone */
function bytesIn(view: Uint8Array): Uint8Array {
  try {
    const { buffer, byteOffset, byteLength } = partsOf(view);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    throw new Refusal((error as Error).message, { cause: error });
  }
}

/** Whether an object is more than its properties, though it has the prototype of a plain one or none. */
function isSpecial(value: object): boolean {
  return (
    ArrayBuffer.isView(value) || types.isMap(value) || types.isSet(value) || isKnownSpecial(value)
  );
}

const sizeOfMap = Object.getOwnPropertyDescriptor(Map.prototype, 'size')?.get as (
  this: object,
) => number;
