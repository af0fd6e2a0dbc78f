/**
 * What a class of managers knows of the types that it can make; `BaseManager.register` of multiprocessing/managers.py.
 */
import { inspect } from 'node:util';
import { checkOptions } from '../base/arguments.ts';
import { AssertionError, typeError, ValueError } from '../base/errors.ts';
import type { ProxyType } from './proxy_type.ts';

/** What makes the object: a function, or a class. */
// biome-ignore lint/suspicious/noExplicitAny: what it takes is its own matter
export type Callable = ((...args: any[]) => unknown) | (new (...args: any[]) => unknown);

/** Options of `register`. */
export interface RegisterOptions {
  /** A class of proxies for it; `AutoProxy`, without: the methods that the object has. */
  proxytype?: ProxyType | undefined;
  /** The methods that proxies may call; all whose names do not begin with '_', without. */
  exposed?: readonly string[] | undefined;
  /** The methods whose results are shared, too, and as what. */
  methodToTypeid?: Readonly<Record<string, string>> | undefined;
  /** Whether the manager has a method of this name that makes one; it does, without. */
  createMethod?: boolean | undefined;
}

/** @internal */
export interface Registered {
  readonly callable: Callable | undefined;
  readonly exposed: readonly string[] | undefined;
  readonly methodToTypeid: Readonly<Record<string, string>> | undefined;
  readonly proxytype: ProxyType | undefined;
}

/** By their names. @internal */
export type Registry = Map<string, Registered>;

const OPTIONS = ['proxytype', 'exposed', 'methodToTypeid', 'createMethod'];

/** @throws TypeError, AssertionError @internal */
function registration(typeid: unknown, callable: unknown, options: RegisterOptions): Registered {
  checkOptions(options, OPTIONS, 'register');
  if (typeof typeid !== 'string' || typeid === '')
    throw typeError(`typeid must be a name, not ${inspect(typeid)}`);
  if (callable !== undefined && typeof callable !== 'function')
    throw typeError(`callable must be a function or a class, not ${inspect(callable)}`);
  const { proxytype } = options;
  if (proxytype !== undefined && typeof proxytype !== 'function')
    throw typeError(`proxytype must be a class of proxies, not ${inspect(proxytype)}`);
  const ofType = proxytype as
    | { _exposed_?: readonly string[]; _methodToTypeid_?: object }
    | undefined;
  const exposed = options.exposed ?? ofType?._exposed_;
  if (exposed !== undefined && !isNames(exposed))
    throw typeError(`exposed must be a list of names of methods, not ${inspect(exposed)}`);
  const methodToTypeid = options.methodToTypeid ?? ofType?._methodToTypeid_;
  for (const [name, value] of Object.entries(methodToTypeid ?? {})) {
    if (typeof value !== 'string')
      throw new AssertionError(
        `methodToTypeid: ${name} is ${inspect(value)}, which is not a string`,
      );
  }
  return {
    callable: callable as Callable | undefined,
    exposed: exposed === undefined ? undefined : [...exposed],
    methodToTypeid: methodToTypeid as Record<string, string> | undefined,
    proxytype,
  };
}

function isNames(names: unknown): names is string[] {
  return Array.isArray(names) && names.every((name) => typeof name === 'string');
}

/** Calls a function, or makes an instance of a class. @internal */
export function make(callable: Callable, args: readonly unknown[]): unknown {
  return isClass(callable)
    ? Reflect.construct(callable, args)
    : (callable as (...args: unknown[]) => unknown)(...args);
}

const NATIVE = /^function [A-Z]\w*\(\) \{ \[native code\] \}$/;

/** Whether it cannot do without `new`: a class, or one of the language's own. */
function isClass(callable: Callable): boolean {
  const source = Function.prototype.toString.call(callable);
  return source.startsWith('class') || (NATIVE.test(source) && 'prototype' in callable);
}

/** A class of managers, as far as it registers types. */
interface Registering {
  _registry: Registry;
  readonly prototype: object;
}

/** What the methods that make objects call. */
interface Creating {
  _create(typeid: string, args: readonly unknown[]): unknown;
  _createSync(typeid: string, args: readonly unknown[]): unknown;
}

/** Names that are no names of types besides those of what managers have. */
const RESERVED: readonly string[] = [...Object.getOwnPropertyNames(Object.prototype), 'then'];

/** @param base what has the methods of all managers @throws TypeError, AssertionError, ValueError @internal */
export function registerIn(
  cls: Registering,
  base: Registering,
  typeid: string,
  callable: Callable | undefined,
  options: RegisterOptions,
): void {
  const registered = registration(typeid, callable, options);
  const { createMethod = true } = options;
  if (createMethod && (RESERVED.includes(typeid) || Object.hasOwn(base.prototype, typeid)))
    throw new ValueError(`typeid: managers have a method '${typeid}' already`);
  if (!Object.hasOwn(cls, '_registry')) cls._registry = new Map(cls._registry);
  cls._registry.set(typeid, registered);
  if (!createMethod) return;
  define(cls.prototype, typeid, function (...args) {
    return this._create(typeid, args);
  });
  define(cls.prototype, `${typeid}Sync`, function (...args) {
    return this._createSync(typeid, args);
  });
}

function define(
  prototype: object,
  name: string,
  value: (this: Creating, ...args: unknown[]) => unknown,
): void {
  Object.defineProperty(value, 'name', { value: name });
  Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
}
