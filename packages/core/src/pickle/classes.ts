/**
 * Classes in messages: who reduces what (Python's copyreg and dispatch table), and whether the
 * instances of a class can be made again from their state.
 */
import { types } from 'node:util';
import { PicklingError, typeError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { processWide } from '../base/state.ts';
import { privateState } from './function_inspector.ts';
import { describe, isBuiltin, nameOf } from './qualname.ts';
import { intrinsicOf, isObjectPrototype } from './realms.ts';

/** What a reduce function returns: a callable that travels by name, its arguments, and a state to apply. */
export type Reduced = readonly [callable: AnyFunction, args: readonly unknown[], state?: unknown];

/** Registered reduce functions by prototype. @internal */
export const reducers = processWide(
  'reduction.reducers',
  () => new Map<object, (value: object) => Reduced>(),
);

/** Prototypes whose instances are known to be nothing but their properties. */
let plainInstances = new WeakMap<object, AnyFunction>();
/** Prototypes of classes derived from built-in ones that have been looked at. */
const derived = new WeakMap<object, AnyFunction>();

/**
 * Registers how the direct instances of a class are pickled. As in CPython's dispatch table, the class
 * must match exactly: instances of derived classes are not concerned.
 * @param cls any class but Object, Array and Function
 * @param reduce returns `[callable, args]` or `[callable, args, state]`; the callable must be exported
 */
export function registerReducer<T extends object>(
  cls: abstract new (...args: never[]) => T,
  reduce: (value: T) => Reduced,
): void {
  const proto: unknown = typeof cls === 'function' ? cls.prototype : undefined;
  const reserved =
    proto === Object.prototype || proto === Array.prototype || proto === Function.prototype;
  if (typeof proto !== 'object' || proto === null || reserved) {
    throw typeError('register() takes a class other than Object, Array and Function');
  }
  if (typeof reduce !== 'function')
    throw typeError('register() takes a reduce function as its second argument');
  reducers.set(proto, reduce as (value: object) => Reduced);
  plainInstances = new WeakMap();
}

const late: ((proto: object) => boolean)[] = [];

/**
 * Has somebody asked when an object of a class comes that nobody knows: they may register it then, and their module need
 * not be loaded for programs without such objects.
 * @param register is given the object's prototype and says whether it has registered it
 * @internal
 */
export function registerLate(register: (proto: object) => boolean): void {
  late.push(register);
}

/** Asks them. @returns whether the class has a reducer now @internal */
export function isRegisteredLate(proto: object): boolean {
  return late.some((register) => register(proto));
}

/** Whether instanceClass has accepted this prototype. @internal */
export function isPlainInstance(proto: object): boolean {
  return plainInstances.has(proto);
}

/** What a pickler asks of the class of an instance. @internal */
export interface ClassRules {
  /** Whether the class has to have a name. */
  readonly byName: boolean;
  /** Whether the pickler itself sees to private members. */
  readonly privates: boolean;
}

/**
 * The class of an ordinary instance.
 * @throws PicklingError if its state is not all in its properties
 * @internal
 */
export function instanceClass(value: object, proto: object, rules: ClassRules): AnyFunction {
  const known = plainInstances.get(proto);
  if (known !== undefined) return known;
  const cls = classOf(value, proto);
  for (
    let p: object | null = proto;
    p !== null && !isObjectPrototype(p);
    p = Object.getPrototypeOf(p) as object | null
  ) {
    const ancestor: unknown = p.constructor;
    if (typeof ancestor !== 'function' || isEventEmitter(ancestor)) continue;
    if (isBuiltin(ancestor)) throw cannotSend(cls, 'it belongs to this process');
  }
  checkClass(cls, value, rules);
  if (!rules.privates) plainInstances.set(proto, cls);
  return cls;
}

/**
 * The class that a Map, Error, ... of a derived class is restored to; undefined where the engine's own will do.
 * @internal
 */
export function derivedClass(
  value: object,
  proto: object | null,
  rules: ClassRules,
): AnyFunction | undefined {
  if (proto === null || intrinsicOf(proto) !== undefined) return undefined;
  const native: unknown = proto.constructor;
  // Of Node: for an error class that it keeps to itself the nearest class that has a name.
  if (typeof native === 'function' && isBuiltin(native)) {
    const parent = Object.getPrototypeOf(proto) as object | null;
    const named = (globalThis as Record<string, unknown>)[native.name];
    if (named === native || typeof named === 'function' || parent === null) return undefined;
    return types.isNativeError(value) ? derivedClass(value, parent, rules) : undefined;
  }
  let cls = derived.get(proto);
  if (cls === undefined) {
    cls = classOf(value, proto);
    checkClass(cls, value, rules);
    if (!rules.privates) derived.set(proto, cls);
  }
  return cls;
}

function checkClass(cls: AnyFunction, value: object, { byName, privates }: ClassRules): void {
  if (byName) nameOf(cls);
  const hidden = privates ? [] : privateState(value).names;
  if (hidden.length > 0) throw privateRefusal(cls, hidden);
}

/** @param hidden the names of the private members @internal */
export function privateRefusal(cls: AnyFunction, hidden: readonly string[]): PicklingError {
  return cannotSend(
    cls,
    `its class has private members (${hidden.join(', ')}), which only its constructor can make`,
  );
}

function classOf(value: object, proto: object): AnyFunction {
  const cls: unknown = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value;
  if (typeof cls !== 'function' || cls.prototype !== proto) {
    const tag = Object.prototype.toString.call(value).slice(8, -1);
    throw new PicklingError(
      `${tag === 'Object' ? 'an object with a prototype of its own' : `a '${tag}' object`} cannot be sent:` +
        ' its prototype is not that of a class',
    );
  }
  return cls;
}

function cannotSend(cls: AnyFunction, why: string): PicklingError {
  return new PicklingError(
    `cannot pickle '${cls.name || describe(cls)}' object: ${why}; give the class a` +
      " [Symbol.for('multiprocessing.reduce')]() method, or register a reduce function for it",
  );
}

/** @internal */
export function isEventEmitter(cls: unknown): boolean {
  return cls === process.getBuiltinModule('node:events');
}
