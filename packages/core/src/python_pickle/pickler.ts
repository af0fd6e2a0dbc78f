/**
 * Counterpart of pickle.py's `_Pickler`, for plain data and what the table of types holds. Deviations: D-066, D-068.
 *
 * Containers are remembered when they begin, so that shared ones stay shared and cycles work; tuples and frozensets
 * when they end, as in CPython.
 */
import { inspect, types } from 'node:util';
import { partsOf } from '../pickle/kinds.ts';
import { at, publicError, Refusal, segment } from '../pickle/message.ts';
import { isKnownSpecial, notData, notPlain } from './advice.ts';
import * as op from './opcodes.ts';
import { isOwn, PythonReferences, proxyRefusal, type Writing } from './references.ts';
import { Tuple } from './tuple.ts';
import { GlobalName, nameOf, type PythonType, type Reduced } from './types.ts';
import { shortText } from './writer.ts';

/** So many items go with one opcode, as CPython's; its reader has no more of them on its stack. */
const batch = 1000;

type Reduce = NonNullable<PythonType['reduce']>;

/** Pickles one object at a time. @internal */
export class PythonPickler extends PythonReferences {
  private maxDepth = 0;

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
      this.forget();
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
    } else if (proto === Object.prototype || proto === null) {
      this.plain(value as Record<string, unknown>, hashed);
    } else {
      const row = (this.writing as Writing).types.ofPrototype(proto);
      if (row?.reduce !== undefined) this.reduced(value, row);
      else if (isOwn(proto, 'Object')) this.plain(value as Record<string, unknown>, hashed);
      else this.special(value, proto, hashed);
    }
    this.depth--;
  }

  /** What is no plain object by what it has inside, whatever its prototype. @throws Refusal when it is none of the plain data */
  private special(value: object, proto: object | null, hashed: boolean): void {
    if (types.isUint8Array(value)) {
      this.binary(bytesIn(value, proto));
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
    const row = this.rowOf(value, proto);
    if (row?.reduce === undefined) throw notPlain(value);
    this.reduced(value, row);
  }

  private reduced(value: object, type: PythonType): void {
    const reduced = (type.reduce as Reduce)(value, this.writing as Writing);
    this.begun(value);
    this.globalName(reduced.name ?? nameOf(type));
    this.args(reduced.args);
    this.byte(reduced.newobj ? op.NEWOBJ : op.REDUCE);
    this.ended(value);
    const index = this.memo.get(value);
    if (index !== undefined) {
      // It is in its own arguments, by way of a list or dict that has written it.
      this.byte(op.POP);
      this.recall(index);
      return;
    }
    this.remember(value);
    this.contents(reduced);
  }

  private args(args: readonly unknown[]): void {
    const { length } = args;
    if (length > 3) this.byte(op.MARK);
    for (let i = 0; i < length; i++) {
      const arg = args[i];
      if (arg instanceof GlobalName) this.globalName(arg.name);
      else this.range(args, i, i + 1, false);
    }
    if (length === 0) this.byte(op.EMPTY_TUPLE);
    else this.byte(length > 3 ? op.TUPLE : op.TUPLE1 + length - 1);
  }

  /** What the object gets when it has been made: only then may it hold itself. */
  private contents({ items, pairs, state }: Reduced): void {
    if (items !== undefined) this.appends(items);
    if (pairs !== undefined) this.pairs([...pairs]);
    if (state !== undefined) {
      this.value(state, false);
      this.byte(op.BUILD);
    }
  }

  private list(items: readonly unknown[]): void {
    this.byte(op.EMPTY_LIST);
    this.remember(items);
    this.appends(items);
  }

  private appends(items: readonly unknown[]): void {
    const { length } = items;
    for (let from = 0; from < length; from += batch) {
      this.byte(op.MARK);
      this.range(items, from, Math.min(length, from + batch), false);
      this.byte(op.APPENDS);
    }
  }

  private range(items: readonly unknown[], from: number, to: number, hashed: boolean): void {
    let i = from;
    try {
      for (; i < to; i++) this.value(items[i], hashed);
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
    this.range(items, 0, length, hashed);
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
    if ((keys.length === 0 || keys[0] === '0') && isKnownSpecial(value)) {
      this.special(value, Object.getPrototypeOf(value) as object | null, hashed);
      return;
    }
    this.byte(op.EMPTY_DICT);
    this.remember(value);
    const { length } = keys;
    let i = 0;
    while (i < length) {
      this.byte(op.MARK);
      const to = Math.min(length, i + batch);
      i = this.properties(value, keys, i, to);
      this.byte(op.SETITEMS);
    }
  }

  private properties(value: Record<string, unknown>, keys: string[], from: number, to: number) {
    let i = from;
    try {
      for (; i < to; i++) {
        const key = keys[i] as string;
        this.name(key);
        this.value(value[key], false);
      }
    } catch (error) {
      throw at(error, segment(keys[i] as string));
    }
    return to;
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
    this.key(entry[0], 'key', i);
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
      this.batches(items.length, op.APPENDS, (i) => this.key(items[i], 'element', i));
      this.byte(op.TUPLE1);
      this.byte(op.REDUCE);
      this.remember(set);
    } else if (hashed) {
      this.byte(op.MARK);
      for (const [i, item] of items.entries()) this.key(item, 'element', i);
      this.byte(op.FROZENSET);
      this.remember(set);
    } else {
      this.byte(op.EMPTY_SET);
      this.remember(set);
      this.batches(items.length, op.ADDITEMS, (i) => this.key(items[i], 'element', i));
    }
    if (hashed) this.ended(set);
  }

  /** The key of a Map or an element of a Set. */
  private key(value: unknown, what: string, i: number): void {
    if (typeof value === 'number' || typeof value === 'string') {
      this.value(value, true);
      return;
    }
    try {
      this.checkHashable(value);
      this.value(value, true);
    } catch (error) {
      throw at(error, `<${what} ${i}>`);
    }
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
}

/** By what it has inside: its class may lack the getters. @throws Refusal if its memory is gone */
function bytesIn(view: Uint8Array, proto: object | null): Uint8Array {
  if ((proto === Buffer.prototype || proto === Uint8Array.prototype) && view.length > 0)
    return view;
  try {
    const { buffer, byteOffset, byteLength } = partsOf(view);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    throw new Refusal((error as Error).message, { cause: error });
  }
}

const sizeOfMap = Object.getOwnPropertyDescriptor(Map.prototype, 'size')?.get as (
  this: object,
) => number;
