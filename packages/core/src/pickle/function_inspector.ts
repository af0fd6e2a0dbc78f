/**
 * What only V8's inspector can say about a value: in which script a function stands, which variables
 * of its module it sees, what a bound function is bound to, which private members an object has.
 *
 * The session is in-process, in the calling thread, and synchronous. Nothing of it exists before the
 * first question. Asking about a function takes less than a millisecond. The way from a script's number to its URL and source
 * is longer: scripts.ts.
 */
import { isInspectorDenied } from '@multiprocessing/posix';
import type { AnyFunction } from '../base/names.ts';
import { findScript, newSession, post, type Script } from './scripts.ts';

interface Remote {
  objectId?: string;
  value?: unknown;
  unserializableValue?: string;
  description?: string;
}

interface Property {
  name: string;
  value?: Remote;
}

interface Properties {
  result: Property[];
  internalProperties?: Property[];
  privateProperties?: Property[];
}

/** Where a function stands. */
export interface FunctionLocation {
  readonly script: Script & { readonly id: string };
  readonly line: number;
  readonly column: number;
  /** V8's names of the scopes around it, innermost first: `Closure (outer)`, `Module`, `Global`. */
  readonly scopes: readonly string[];
  /** The variables of these scopes that V8 keeps, copied; reading one may throw. */
  readonly variables: readonly object[];
  /** Those of the ES module, exported ones always among them. */
  readonly moduleScope: object | undefined;
}

const holderKey = Symbol.for('multiprocessing.inspect');

interface Holder {
  subject: unknown;
  result?: unknown;
}

type Call = <T>(method: string, params?: object) => T;

/** Opens a session for the time of one question. */
function withSession<T>(subject: unknown, ask: (call: Call, holder: Holder, id: string) => T): T {
  const session = newSession();
  const globals = globalThis as { [holderKey]?: Holder | undefined };
  const before = globals[holderKey];
  const holder: Holder = { subject };
  session.connect();
  try {
    const call: Call = (method, params) => post(session, method, params);
    Object.defineProperty(globals, holderKey, { value: holder, configurable: true });
    const { result } = call<{ result: Remote }>('Runtime.evaluate', {
      expression: 'globalThis[Symbol.for("multiprocessing.inspect")].subject',
      silent: true,
    });
    return ask(call, holder, result.objectId ?? '');
  } finally {
    session.disconnect();
    delete globals[holderKey];
    if (before !== undefined) {
      Object.defineProperty(globals, holderKey, { value: before, configurable: true });
    }
  }
}

/** The variables' names and values are copied into the holder by a function that runs beside them. */
const copyScopes =
  'function () { globalThis[Symbol.for("multiprocessing.inspect")].result = Array.from(this, (scope) => scope.object) }';
const copyMethods =
  'function () { globalThis[Symbol.for("multiprocessing.inspect")].result = Array.from(this, (method) => method.value) }';
const copyArguments =
  'function (...all) { globalThis[Symbol.for("multiprocessing.inspect")].result = all }';

/** Where a function stands; undefined for native and bound functions. @internal */
export function locateFunction(fn: AnyFunction): FunctionLocation | undefined {
  const found = withSession(fn, (call, holder, objectId) => {
    const { internalProperties = [] } = properties(call, objectId);
    const internal = (name: string) => internalProperties.find((p) => p.name === name)?.value;
    const location = internal('[[FunctionLocation]]')?.value as
      | { scriptId: string; lineNumber: number; columnNumber: number }
      | undefined;
    if (location === undefined) return undefined;
    const scopesId = internal('[[Scopes]]')?.objectId;
    const scopes = scopesId === undefined ? [] : properties(call, scopesId).result;
    const named = scopes.flatMap((p) => p.value?.description ?? []);
    if (scopesId !== undefined) {
      call('Runtime.callFunctionOn', {
        objectId: scopesId,
        functionDeclaration: copyScopes,
        silent: true,
      });
    }
    return { location, scopes: named, variables: (holder.result ?? []) as object[] };
  });
  if (found === undefined) return undefined;
  const { scriptId: id, lineNumber: line, columnNumber: column } = found.location;
  const script = findScript(id, {
    text: Function.prototype.toString.call(fn),
    line,
    column,
    inModule: found.scopes.includes('Module'),
  });
  return {
    script: { id, ...script },
    line,
    column,
    scopes: found.scopes,
    variables: found.variables,
    moduleScope: found.variables[found.scopes.indexOf('Module')],
  };
}

/** What `fn.bind(self, ...args)` was made of; undefined if the function is not a bound one. @internal */
export function boundParts(
  fn: AnyFunction,
): { target: AnyFunction; self: unknown; args: unknown[] } | undefined {
  return withSession(fn, (call, holder, objectId) => {
    const { internalProperties = [] } = properties(call, objectId);
    const internal = (name: string) => internalProperties.find((p) => p.name === name)?.value;
    const target = internal('[[TargetFunction]]');
    const args = internal('[[BoundArgs]]');
    if (target?.objectId === undefined || args === undefined) return undefined;
    const self = internal('[[BoundThis]]') ?? {};
    copyAll(call, target.objectId, [target, self, args]);
    const [realTarget, realSelf, realArgs] = holder.result as [AnyFunction, unknown, unknown[]];
    return { target: realTarget, self: realSelf, args: Array.from(realArgs) };
  });
}

const keepNamed =
  'function (name) { globalThis[Symbol.for("multiprocessing.inspect")].result = this.filter((fn) => Object.getOwnPropertyDescriptor(fn, "name")?.value === name) }';

/** All functions of this thread that have a name: V8 looks through its heap for them. @internal */
export function functionsNamed(name: string): AnyFunction[] {
  return withSession(Function.prototype, (call, holder, prototypeObjectId) => {
    const { objects } = call<{ objects: Remote }>('Runtime.queryObjects', { prototypeObjectId });
    call('Runtime.callFunctionOn', {
      objectId: objects.objectId,
      functionDeclaration: keepNamed,
      arguments: [{ value: name }],
      silent: true,
    });
    return (holder.result ?? []) as AnyFunction[];
  });
}

/** What an object has of private members (`#x`). @internal */
export interface PrivateState {
  /** The names of all, methods as one entry. */
  readonly names: readonly string[];
  /** The fields: those of what its class extends come first, and may have the same names. */
  readonly fields: readonly (readonly [name: string, value: unknown])[];
}

/** The private members of an object. @internal */
export function privateState(object: object): PrivateState {
  if (isInspectorDenied()) return { names: privateNamesInSources(object), fields: [] };
  return withSession(object, (call, holder, objectId) => {
    const { privateProperties = [], internalProperties = [] } = call<Properties>(
      'Runtime.getProperties',
      { objectId, ownProperties: true, nonIndexedPropertiesOnly: true },
    );
    const names = privateProperties.map((p) => p.name);
    if (internalProperties.some(isPrivateMethods)) names.push('private methods');
    const fields = privateProperties.filter((p) => p.value !== undefined);
    if (fields.length === 0) return { names, fields: [] };
    copyAll(
      call,
      objectId,
      fields.map((p) => p.value as Remote),
    );
    const values = holder.result as unknown[];
    return { names, fields: fields.map(({ name }, i) => [name, values[i]] as const) };
  });
}

/** The private names that the sources of an object's classes have: it may have all of them. */
function privateNamesInSources(object: object): string[] {
  const names = new Set<string>();
  let prototype: unknown = Object.getPrototypeOf(object);
  for (; prototype !== null; prototype = Object.getPrototypeOf(prototype)) {
    const made: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
    if (typeof made !== 'function') continue;
    for (const name of Function.prototype.toString.call(made).match(/#[\w$]+/g) ?? [])
      names.add(name);
  }
  return [...names];
}

const isPrivateMethods = ({ name }: Property) => name === '[[PrivateMethods]]';

/** The private methods of an object. @internal */
export function privateMethods(object: object): readonly AnyFunction[] {
  return withSession(object, (call, holder, objectId) => {
    const list = properties(call, objectId).internalProperties?.find(isPrivateMethods)?.value;
    if (list?.objectId === undefined) return [];
    call('Runtime.callFunctionOn', {
      objectId: list.objectId,
      functionDeclaration: copyMethods,
      silent: true,
    });
    return (holder.result ?? []) as AnyFunction[];
  });
}

/** Puts values into the holder. @param objectId of any object of the realm */
function copyAll(call: Call, objectId: string, values: readonly Remote[]): void {
  call('Runtime.callFunctionOn', {
    objectId,
    functionDeclaration: copyArguments,
    arguments: values.map(asArgument),
    silent: true,
  });
}

/** An array's own properties that are not elements, without listing the elements. @internal */
export function namedProperties(array: readonly unknown[]): string[] {
  if (isInspectorDenied()) return Object.keys(array).filter((key) => !/^\d+$/.test(key));
  return withSession(array, (call, _holder, objectId) => {
    const { result } = call<Properties>('Runtime.getProperties', {
      objectId,
      ownProperties: true,
      nonIndexedPropertiesOnly: true,
    });
    return result
      .map((p) => p.name)
      .filter((name) => Object.prototype.propertyIsEnumerable.call(array, name));
  });
}

function properties(call: Call, objectId: string): Properties {
  return call<Properties>('Runtime.getProperties', { objectId, ownProperties: true });
}

function asArgument({ objectId, value, unserializableValue }: Remote): Remote {
  if (objectId !== undefined) return { objectId };
  return unserializableValue !== undefined ? { unserializableValue } : { value };
}
