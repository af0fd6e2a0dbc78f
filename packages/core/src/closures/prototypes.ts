/**
 * What a function and its prototype have that the function's source does not give them.
 */
import { types } from 'node:util';
import type { AnyFunction } from '../base/names.ts';
import { wellKnownSymbols } from '../pickle/codes.ts';
import { enumerableSymbols } from '../pickle/pickler.ts';
import { isObjectPrototype } from '../pickle/realms.ts';
import type { FunctionSource } from './source.ts';

interface Made {
  readonly fn: AnyFunction;
  readonly source: FunctionSource;
}

/** Of a prototype, what has to be sent. @internal */
export interface Prototype {
  /** Undefined if it is the prototype of another function, which is the parent then. */
  readonly values: Readonly<Record<string, unknown>> | undefined;
  /** Accessors, which nothing calls (on the prototype they may fail), and what has a symbol for its name. */
  readonly others: readonly Other[];
  readonly parent: unknown;
}

type Other = readonly [
  key: PropertyKey,
  property: { get?: unknown; set?: unknown; value?: unknown },
];

const wellKnown: ReadonlySet<symbol> = new Set(wellKnownSymbols.values());

/** The names of own properties of a function, and of those static ones that have another value by now. @internal */
export function extraProperties({ fn, source }: Made): string[] {
  return Object.keys(fn).filter(
    (key) => !(source.isClass && isUnchanged(fn, key, `static ${key}`, source)),
  );
}

/** The function that an object is the prototype of, as far as it says so. @internal */
export function ownerOf(value: object): AnyFunction | undefined {
  const owner: unknown = Object.getOwnPropertyDescriptor(value, 'constructor')?.value;
  if (typeof owner !== 'function' || types.isProxy(owner)) return undefined;
  const isOwner = Object.getOwnPropertyDescriptor(owner, 'prototype')?.value === value;
  return isOwner ? (owner as AnyFunction) : undefined;
}

/** @returns undefined if there is nothing to send @internal */
export function prototypeOf({ fn, source }: Made): Prototype | undefined {
  const prototype: unknown = Object.getOwnPropertyDescriptor(fn, 'prototype')?.value;
  if (typeof prototype !== 'object' || prototype === null || source.isGenerator) return undefined;
  const owner = ownerOf(prototype); // a class keeps its own, whatever that says
  if (owner !== undefined && owner !== fn && !source.isClass)
    return { values: undefined, others: [], parent: prototype };
  const values: Record<string, unknown> = {};
  const others: Other[] = [];
  for (const key of [...Object.getOwnPropertyNames(prototype), ...symbolsOf(prototype)]) {
    if (key === 'constructor' || (source.isClass && isKept(prototype, key, source))) continue;
    const { get, set, value } = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
    if ((get ?? set) !== undefined) others.push([key, { get, set }]);
    else if (typeof key === 'symbol') others.push([key, { value: value as unknown }]);
    else Object.defineProperty(values, key, { value: value as unknown, enumerable: true });
  }
  const parent = Object.getPrototypeOf(prototype) as object | null;
  const usual = source.isClass || (parent !== null && isObjectPrototype(parent));
  if (Object.keys(values).length + others.length === 0 && usual) return undefined;
  return { values, others, parent: usual ? undefined : parent };
}

/** Those that can be sent, and those for which an object is refused. */
function symbolsOf(prototype: object): symbol[] {
  const enumerable = enumerableSymbols(prototype);
  return Object.getOwnPropertySymbols(prototype).filter(
    (key) => wellKnown.has(key) || Symbol.keyFor(key) !== undefined || enumerable.includes(key),
  );
}

function isKept(prototype: object, key: PropertyKey, source: FunctionSource): boolean {
  if (typeof key !== 'string' || !source.classMembers.has(key)) return source.hasComputed;
  return isUnchanged(prototype, key, key, source);
}

/** Of an accessor that has both functions the source is known of one. */
function isUnchanged(
  holder: object,
  key: string,
  member: string,
  { classMembers }: FunctionSource,
): boolean {
  const text = classMembers.get(member);
  if (text === undefined) return false;
  const { value, get, set } = Object.getOwnPropertyDescriptor(holder, key) ?? {};
  return [value, get, set].some(
    (fn: unknown) => typeof fn === 'function' && Function.prototype.toString.call(fn) === text,
  );
}

/** Gives a function's prototype what `prototypeOf` has found. @internal */
export function restorePrototype(
  fn: AnyFunction,
  values: unknown,
  others: unknown,
  parent: unknown,
): void {
  if (values === undefined) {
    fn.prototype = parent;
    return;
  }
  const prototype = fn.prototype as object;
  if (parent !== undefined) Object.setPrototypeOf(prototype, parent as object | null);
  const enumerable = !/^class\b/.test(Function.prototype.toString.call(fn));
  const all = Object.entries(values as object).map(([key, value]): Other => [key, { value }]);
  for (const [key, property] of [...all, ...(others as Prototype['others'])]) {
    const rest = 'value' in property ? { writable: true } : {};
    const descriptor = { ...property, ...rest, enumerable, configurable: true };
    Object.defineProperty(prototype, key, descriptor as PropertyDescriptor);
  }
}
