/**
 * The pickler: objects to bytes. Counterpart of Python's `pickle.Pickler`, as far as ForkingPickler uses it.
 *
 * What travels how is in docs and in the table of codes.ts. Own enumerable properties are an
 * object's state; an own getter is read, once, and its value travels (as with structuredClone and JSON);
 * getters of a class are code and stay there.
 */
import { types } from 'node:util';
import { type AnyFunction, type Name, rememberedName } from '../base/names.ts';
import { isLaunching } from '../process/spawning.ts';
import {
  type ClassRules,
  derivedClass,
  instanceClass,
  isPlainInstance,
  isRegisteredLate,
  type Reduced,
  reducers,
} from './classes.ts';
import * as code from './codes.ts';
import { getStateSymbol, reduceSymbol, setStateSymbol } from './codes.ts';
import { boundParts, namedProperties } from './function_inspector.ts';
import { type Kind, kindOf } from './kinds.ts';
import { knownName } from './known_names.ts';
import { at, PickleMessage, Refusal, segment } from './message.ts';
import { PACKED, pack } from './numbers.ts';
import { checkWrittenCall, sizeOfCall } from './permissions.ts';
import { nameOf } from './qualname.ts';
import { foreignNamespace, intrinsicOf } from './realms.ts';
import type { Shape } from './shapes.ts';

/** From this length on an array's extra properties are asked for at the inspector, which lists no elements. */
const longArray = 20_000;
const named: ClassRules = { byName: true, privates: false };

/** Pickles one object at a time. @internal */
export class Pickler extends PickleMessage {
  private reducing: Set<object> | undefined;

  protected override clear(): void {
    super.clear();
    this.reducing = undefined;
  }

  value(value: unknown): void {
    switch (typeof value) {
      case 'number':
        this.number(value);
        break;
      case 'string':
        this.string(value);
        break;
      case 'object':
        if (value === null) this.byte(code.NULL);
        else this.object(value);
        break;
      case 'boolean':
        this.byte(value ? code.TRUE : code.FALSE);
        break;
      case 'undefined':
        this.byte(code.UNDEFINED);
        break;
      case 'function':
        this.function(value);
        break;
      case 'bigint':
        this.bigint(value);
        break;
      case 'symbol':
        this.symbol(value);
    }
  }

  private object(value: object): void {
    if (this.reference(value)) return;
    const shape = this.recognise(value);
    if (shape !== undefined) {
      this.add(value);
      this.values(value as Record<string, unknown>, shape);
      return;
    }
    if (types.isProxy(value)) throw new Refusal('a Proxy cannot be sent: send what it stands for');
    const proto: unknown = Object.getPrototypeOf(value);
    if (proto === Object.prototype) this.plain(value as Record<string, unknown>);
    else if (proto === Array.prototype && Array.isArray(value)) this.array(value);
    else this.other(value, proto as object | null);
  }

  private plain(value: Record<string, unknown>): void {
    if (this.module(value)) return;
    if (Object.getOwnPropertySymbols(value).length > 0) {
      const enumerable = enumerableSymbols(value);
      if (typeof value[reduceSymbol as unknown as string] === 'function') {
        this.other(value, Object.prototype);
        return;
      }
      if (enumerable.length > 0) {
        this.byte(code.SYMBOL_PROPERTIES);
        this.add(value);
        this.properties(value, Object.keys(value));
        this.symbolProperties(value, enumerable);
        return;
      }
    }
    const keys = Object.keys(value);
    if ((keys.length === 0 || keys[0] === '0') && this.special(value, keys)) return;
    this.add(value);
    this.properties(value, keys)?.learn(value);
  }

  /** What has the prototype of a plain object and none of its own properties need not be one. @returns whether it was written */
  private special(value: object, keys: readonly string[]): boolean {
    const proto = Object.getPrototypeOf(value) as object;
    const kind = this.refusing(() => kindOf(value, proto));
    if (kind !== undefined) {
      this.builtin(value, proto, kind);
      return true;
    }
    if (keys.length > 0 || !(Symbol.toStringTag in value)) return false;
    const name = knownName(value) ?? namespaceName(value); // Math, JSON, Intl
    if (name === undefined) return false;
    this.global(value, name);
    return true;
  }

  /** Writes named properties as OBJECT, OBJECT_SHAPE or OBJECT_DICT does. @returns their shape, if they have one */
  protected properties(value: Record<string, unknown>, keys: readonly string[]): Shape | undefined {
    const shape = this.findShape(keys);
    if (shape === undefined) this.dictionary(value, keys);
    else this.values(value, shape);
    return shape;
  }

  private values(value: Record<string, unknown>, shape: Shape): void {
    this.shape(shape);
    const { keys } = shape;
    let i = 0;
    try {
      for (; i < keys.length; i++) this.value(value[keys[i] as string]);
    } catch (error) {
      throw at(error, segment(keys[i] ?? ''));
    }
  }

  private dictionary(value: Record<string, unknown>, keys: readonly string[]): void {
    this.byte(code.OBJECT_DICT);
    this.varint(keys.length);
    let i = 0;
    try {
      for (; i < keys.length; i++) {
        this.string(keys[i] as string);
        this.value(value[keys[i] as string]);
      }
    } catch (error) {
      throw at(error, segment(keys[i] ?? ''));
    }
  }

  protected symbolProperties(value: object, symbols: readonly symbol[]): void {
    if (symbols.length === 0) return;
    this.varint(symbols.length);
    for (const key of symbols) {
      try {
        this.symbol(key);
        this.value((value as Record<symbol, unknown>)[key]);
      } catch (error) {
        throw at(error, `[${String(key)}]`);
      }
    }
  }

  private array(value: readonly unknown[], cls?: AnyFunction): void {
    const { length } = value;
    const keys = length < longArray ? Object.keys(value) : undefined;
    let extra: string[] = [];
    let holes = false;
    if (keys === undefined) {
      extra = namedProperties(value);
      holes = hasHoles(value);
    } else if (keys.length !== length || (length > 0 && keys[length - 1] !== String(length - 1))) {
      const elements = keys.filter(isIndex).length;
      holes = elements !== length;
      extra = keys.slice(elements);
    }
    const symbols = enumerableSymbols(value);
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    if (extra.length > 0) this.byte(code.PROPERTIES);
    this.subclass(cls);
    if (holes) {
      this.sparseElements(value);
    } else {
      const packed = length < PACKED ? undefined : pack(value);
      this.byte(packed === undefined ? code.ARRAY : code.NUMBERS);
      this.add(value);
      if (packed === undefined) this.elements(value);
      else {
        this.byte(packed.width);
        this.bytes(packed.bytes);
      }
    }
    if (extra.length > 0) this.properties(value as unknown as Record<string, unknown>, extra);
    this.symbolProperties(value, symbols);
  }

  private elements(value: readonly unknown[]): void {
    const { length } = value;
    this.varint(length);
    let i = 0;
    try {
      for (; i < length; i++) this.value(value[i]);
    } catch (error) {
      throw at(error, `[${i}]`);
    }
  }

  private sparseElements(value: readonly unknown[]): void {
    const keys = Object.keys(value).filter(isIndex);
    this.byte(code.SPARSE_ARRAY);
    this.add(value);
    this.varint(value.length);
    this.varint(keys.length);
    for (const key of keys) {
      this.varint(Number(key));
      try {
        this.value(value[Number(key)]);
      } catch (error) {
        throw at(error, `[${key}]`);
      }
    }
  }

  private subclass(cls: AnyFunction | undefined): void {
    if (cls === undefined) return;
    this.byte(code.SUBCLASS);
    this.function(cls);
  }

  /** Everything but plain objects and plain arrays. */
  protected other(value: object, proto: object | null): void {
    const reducer = proto === null ? undefined : reducers.get(proto);
    if (reducer !== undefined) {
      this.reduced(value, reducer(value));
      return;
    }
    const own = (value as { [reduceSymbol]?: unknown })[reduceSymbol];
    if (typeof own === 'function') {
      this.reduced(value, (own as () => Reduced).call(value));
      return;
    }
    if (proto !== null && isPlainInstance(proto)) {
      this.instance(value, proto);
    } else if (Array.isArray(value)) {
      this.array(
        value,
        this.refusing(() => derivedClass(value, proto, this.classRules(proto))),
      );
    } else if (proto !== null && intrinsicOf(proto) === 'Object' && proto !== Object.prototype) {
      this.plain(value as Record<string, unknown>); // of another realm
    } else {
      const kind = this.refusing(() => kindOf(value, proto));
      if (kind !== undefined) this.builtin(value, proto, kind);
      else if (proto === null) this.nullObject(value);
      else if (isRegisteredLate(proto)) this.other(value, proto);
      else if (isConsole(value)) this.global(value, { module: 'globalThis', qualname: 'console' });
      else this.instance(value, proto);
    }
  }

  private nullObject(value: object): void {
    if (this.module(value)) return;
    if (types.isModuleNamespaceObject(value)) throw new Refusal('a module cannot be sent');
    const symbols = enumerableSymbols(value);
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    this.byte(code.NULL_OBJECT);
    this.add(value);
    this.properties(value as Record<string, unknown>, Object.keys(value));
    this.symbolProperties(value, symbols);
  }

  private instance(value: object, proto: object): void {
    const cls = this.refusing(() => instanceClass(value, proto, this.classRules(proto)));
    const hooks = value as { [getStateSymbol]?: unknown; [setStateSymbol]?: unknown };
    const getState = hooks[getStateSymbol];
    if (typeof getState === 'function' || typeof hooks[setStateSymbol] === 'function') {
      this.byte(code.INSTANCE_STATE);
      this.function(cls);
      this.add(value);
      const state: unknown =
        typeof getState === 'function' ? (getState as () => unknown).call(value) : { ...value };
      this.copied += sizeOfState(state);
      this.value(state);
      return;
    }
    const symbols = enumerableSymbols(value);
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    this.byte(code.INSTANCE);
    this.function(cls);
    this.add(value);
    this.properties(value as Record<string, unknown>, Object.keys(value));
    this.symbolProperties(value, symbols);
  }

  /** Objects that the engine made special: their class if it is derived, their content, their properties. */
  private builtin(value: object, proto: object | null, kind: Kind): void {
    const symbols = kind.contentOnly ? [] : enumerableSymbols(value);
    const extra = kind.contentOnly
      ? []
      : Object.keys(value).filter((key) => !kind.own.includes(key));
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    if (extra.length > 0) this.byte(code.PROPERTIES);
    if (proto !== null && !kind.prototypes.includes(proto))
      this.subclass(this.refusing(() => derivedClass(value, proto, this.classRules(proto))));
    this.refusing(() => kind.write(this, value));
    if (extra.length > 0) this.properties(value as Record<string, unknown>, extra);
    this.symbolProperties(value, symbols);
  }

  private reduced(value: object, result: Reduced): void {
    const [callable, args, state] = Array.isArray(result) ? result : [];
    if (typeof callable !== 'function' || !Array.isArray(args)) {
      throw new Refusal(
        `the reduce method of ${nameOfClass(value)} must return [callable, args, state?]`,
      );
    }
    this.reducing ??= new Set();
    if (this.reducing.has(value)) {
      throw new Refusal(
        `the arguments by which ${nameOfClass(value)} is made again contain itself: use the state`,
      );
    }
    this.reducing.add(value);
    if (!isLaunching()) {
      this.refusing(() => checkWrittenCall(callable, args, nameOfClass(value)));
      this.copied += sizeOfCall(callable, args) + sizeOfState(state);
    }
    if (state !== undefined) this.byte(code.REDUCE_STATE);
    this.byte(code.REDUCE);
    this.function(callable);
    this.elements(args);
    this.reducing.delete(value);
    this.add(value);
    if (state !== undefined) this.value(state);
  }

  /** @param self what it is bound to, if that is so */
  protected function(fn: AnyFunction, self?: unknown): void {
    if (this.reference(fn)) return;
    const name = knownName(fn);
    if (name === undefined && types.isProxy(fn))
      throw new Refusal('a Proxy cannot be sent: send what it stands for');
    if (name === undefined && String(fn.name).startsWith('bound ')) {
      const parts = boundParts(fn);
      if (parts !== undefined) {
        this.byte(code.BOUND);
        this.function(parts.target, parts.self);
        this.value(parts.self);
        this.elements(parts.args);
        this.add(fn);
        return;
      }
    }
    this.unbound(fn, self);
  }

  /** A function that is not a bound one: its name. */
  protected unbound(fn: AnyFunction, _self?: unknown): void {
    this.global(
      fn,
      this.refusing(() => nameOf(fn)),
    );
  }

  /** Writes a module's namespace or a built-in module, if the object is one and this pickler can. */
  protected module(_value: object): boolean {
    return false;
  }

  /** What is asked of the class of an instance with a prototype, for it to be sent. */
  protected classRules(_proto: object | null): ClassRules {
    return named;
  }

  private bigint(value: bigint): void {
    this.byte(code.BIGINT);
    const digits = (value < 0n ? -value : value).toString(16);
    this.byte(value < 0n ? 1 : 0);
    this.bytes(Buffer.from(digits, 'latin1'));
  }

  private symbol(value: symbol): void {
    const registered = Symbol.keyFor(value);
    const name = registered ?? value.description?.replace(/^Symbol\./, '') ?? '';
    if (registered === undefined && code.wellKnownSymbols.get(name) !== value) {
      throw new Refusal(
        `${String(value)} cannot be sent: a symbol is unique to its process unless it is made by Symbol.for()`,
      );
    }
    this.byte(code.SYMBOL);
    this.byte(registered === undefined ? 1 : 0);
    this.string(name);
  }

  /** Writes a part of an object, under a name in the path of a refusal. */
  part(path: string, value: unknown): void {
    try {
      this.value(value);
    } catch (error) {
      throw at(error, path);
    }
  }
}

function isIndex(key: string): boolean {
  const index = Number(key);
  return String(index) === key && index >= 0 && index < 2 ** 32 - 1 && Number.isInteger(index);
}

function hasHoles(array: readonly unknown[]): boolean {
  for (let i = 0; i < array.length; i++) if (array[i] === undefined && !(i in array)) return true;
  return false;
}

/** EventEmitter keeps its own bookkeeping under symbols; a missing one means "default". */
let emitterSymbols: readonly symbol[] | undefined;

/** @internal */
export function enumerableSymbols(value: object): readonly symbol[] {
  const symbols = Object.getOwnPropertySymbols(value);
  if (symbols.length === 0) return symbols;
  emitterSymbols ??= Object.getOwnPropertySymbols(new (process.getBuiltinModule('node:events'))());
  return symbols.filter(
    (key) =>
      Object.prototype.propertyIsEnumerable.call(value, key) && !emitterSymbols?.includes(key),
  );
}

function nameOfClass(value: object): string {
  return `a '${(value.constructor as AnyFunction | undefined)?.name ?? 'Object'}' object`;
}

/** How many properties a state has, or will have where it arrives. */
function sizeOfState(state: unknown): number {
  return typeof state === 'object' && state !== null ? Reflect.ownKeys(state).length + 1 : 0;
}

/** The program's console, or Node's own where the program has put another one in its place. */
function isConsole(value: object): boolean {
  return value === globalThis.console || rememberedName(value)?.qualname === 'console';
}

/** A namespace of another realm stands for our own. */
function namespaceName(value: object): Name | undefined {
  const qualname = foreignNamespace(value);
  return qualname === undefined ? undefined : { module: 'globalThis', qualname };
}
