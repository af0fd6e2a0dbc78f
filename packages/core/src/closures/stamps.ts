/**
 * Instances with private members, in the child: only the class itself can give an object its private members, while it
 * constructs one. So its code is extended (source.ts): as long as a mark is set the constructor does nothing and no field is given a value.
 * Of a class that extends nothing the object is constructed that way; one that extends something gives its members to
 * what its parent returns, and for that moment its parent is a function that returns the object that is there already.
 */
import type { AnyFunction } from '../base/names.ts';
import { anything } from './probe.ts';

/** What the code of a class gives to who makes it. @internal */
export interface PrivateAccess {
  /** Sets the mark, or takes it back. */
  readonly mark: (value: typeof named | undefined) => void;
  /** Gets private fields and methods, and sets fields. */
  readonly get: Readonly<Record<string, (object: object) => unknown>>;
  readonly set: Readonly<Record<string, (object: object, value: unknown) => void>>;
}

interface Stamp extends PrivateAccess {
  readonly extends: boolean;
  /** The private fields in their order. */
  readonly fields: readonly string[];
}

/** The classes that were made here from a message with instances of theirs. */
const stamps = new WeakMap<AnyFunction, Stamp>();

/** @internal */
export function addStamp(cls: AnyFunction, stamp: Stamp): void {
  stamps.set(cls, stamp);
}

/**
 * Gives an object the private members of classes.
 * @param object undefined: it is to be made
 * @param classes from the parent to that of the object
 * @internal
 */
export function stamp(object: object | undefined, classes: readonly AnyFunction[]): object {
  const own = classes.at(-1) as AnyFunction;
  let stamped = object;
  for (const cls of classes) {
    const found = stamps.get(cls);
    if (found === undefined) continue;
    if (found.extends) {
      stamped ??= Object.create(own.prototype as object) as object;
      give(stamped, cls, found);
    } else {
      stamped = construct(cls, own, found);
    }
  }
  return stamped ?? (Object.create(own.prototype as object) as object);
}

/** Sets the private fields of an object that was stamped. @internal */
export function setPrivates(
  object: object,
  classes: readonly AnyFunction[],
  next: () => unknown,
): void {
  for (const cls of classes) {
    const { fields = [], set } = stamps.get(cls) ?? {};
    for (const name of fields) set?.[name]?.(object, next());
  }
}

/** The mark, which stands for the helper of a compiler: it gives a function its name. */
function named(fn: AnyFunction, value: string): AnyFunction {
  return Object.defineProperty(fn, 'name', { value, configurable: true });
}

/** By objects and classes, the functions that fields were given as the class itself makes them. */
const made = new WeakMap<object, Map<AnyFunction, Map<string, AnyFunction>>>();

function keepFunctions(object: object, cls: AnyFunction, { get, fields }: Stamp): void {
  const functions = new Map<string, AnyFunction>();
  for (const name of [...Object.keys(object), ...fields]) {
    const value: unknown = name.startsWith('#') ? get[name]?.(object) : Reflect.get(object, name);
    if (typeof value === 'function') functions.set(name, value);
  }
  if (functions.size === 0) return;
  const all = made.get(object) ?? new Map<AnyFunction, Map<string, AnyFunction>>();
  made.set(object, all.set(cls, functions));
}

/**
 * A function that only its class can make.
 * @param object of an object that was stamped: a private method, or a function for a field; else a method
 * @internal
 */
export function member(cls: AnyFunction, object: unknown, name: string): unknown {
  if (typeof object === 'object' && object !== null)
    return made.get(object)?.get(cls)?.get(name) ?? stamps.get(cls)?.get[name]?.(object);
  const key = name.replace(/^static /, '');
  const holder: object = key === name ? (cls.prototype as object) : cls;
  return Object.getOwnPropertyDescriptor(holder, key)?.value;
}

/** How many private fields the classes have. @internal */
export function countPrivates(classes: readonly AnyFunction[]): number {
  return classes.reduce((sum, cls) => sum + (stamps.get(cls)?.fields.length ?? 0), 0);
}

function construct(cls: AnyFunction, own: AnyFunction, found: Stamp): object {
  found.mark(named);
  try {
    const object = Reflect.construct(cls, parametersOf(cls), own) as object;
    keepFunctions(object, cls, found);
    for (const key of Reflect.ownKeys(object)) Reflect.deleteProperty(object, key);
    return object;
  } finally {
    found.mark(undefined);
  }
}

function give(object: object, cls: AnyFunction, found: Stamp): void {
  const { mark } = found;
  // A view that has just been made has nothing but its elements, which may be many.
  const before = ArrayBuffer.isView(object) ? {} : Object.getOwnPropertyDescriptors(object);
  const parent = Object.getPrototypeOf(cls) as object;
  Object.setPrototypeOf(cls, asItIs);
  mark(named);
  given = object;
  try {
    Reflect.construct(cls, parametersOf(cls));
  } finally {
    given = undefined;
    mark(undefined);
    Object.setPrototypeOf(cls, parent);
  }
  keepFunctions(object, cls, found);
  for (const key of Reflect.ownKeys(object))
    if (!Object.hasOwn(before, key)) Reflect.deleteProperty(object, key);
  Object.defineProperties(object, before);
}

/** The object that is given members at this moment. */
let given: object | undefined;

/** A parent whose constructor makes nothing. */
function asItIs(): object | undefined {
  return given;
}

/** So that no default value of a parameter is evaluated. */
function parametersOf(cls: AnyFunction): unknown[] {
  return Array.from({ length: Math.max(cls.length, MANY) }, () => anything);
}

const MANY = 16;
