/**
 * Objects of other realms: those of the contexts of node:vm, and so all that tests under jest make. A realm has its own
 * `Object`, `Map` and so on, which are none of ours; what an object is, is told by what the engine keeps inside of it.
 */
import { types } from 'node:util';
import type { AnyFunction } from '../base/names.ts';

/** What the language's own prototypes are called, once it has been found out. */
const known = new WeakMap<object, string>();

/**
 * The name of the class of the language whose prototype this is, in whatever realm: `'Map'` for a `Map.prototype`.
 * The text of a native function is the engine's, and its `prototype` cannot be replaced: nobody can pretend to be one.
 * @internal
 */
export function intrinsicOf(proto: object): string | undefined {
  let name = known.get(proto);
  if (name === undefined && !types.isProxy(proto)) {
    const cls: unknown = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value;
    if (typeof cls !== 'function' || types.isProxy(cls)) return undefined;
    const own = Object.getOwnPropertyDescriptor(cls, 'prototype');
    if (own?.value !== proto || own.writable !== false) return undefined;
    name = nativeName(cls);
    if (name !== undefined) known.set(proto, name);
  }
  return name;
}

/** What the engine calls one of its functions; undefined for others, and for those that have no name. @internal */
export function nativeName(fn: AnyFunction): string | undefined {
  return /^function (\w+)\(\) \{ \[native code\] \}$/.exec(
    Function.prototype.toString.call(fn),
  )?.[1];
}

/** Whether a prototype is the `Object.prototype` of this realm or of another one. @internal */
export function isObjectPrototype(proto: object): boolean {
  return proto === Object.prototype || intrinsicOf(proto) === 'Object';
}

/** Whether an object has been made in another realm: whether its ancestors end in another `Object.prototype`. @internal */
export function isForeign(value: object): boolean {
  let last = value;
  while (!types.isProxy(last)) {
    const proto = Object.getPrototypeOf(last) as object | null;
    if (proto === null) break;
    last = proto;
  }
  return last !== Object.prototype && intrinsicOf(last) === 'Object';
}

const namespaces = ['Math', 'JSON', 'Reflect', 'Atomics', 'Intl', 'WebAssembly'];

/** Which of the language's namespaces an object of another realm is. @internal */
export function foreignNamespace(value: object): string | undefined {
  const tag = Object.getOwnPropertyDescriptor(value, Symbol.toStringTag);
  if (tag === undefined || tag.enumerable || tag.writable || !isForeign(value)) return undefined;
  return namespaces.find((name) => name === tag.value);
}
