/**
 * The names that are known without a search: those in the table (base/names.ts), of what this library exports, of the
 * language's own and of Node's. qualname.ts finds the others.
 */
import { loadedBundle } from '../base/bundle.ts';
import { type AnyFunction, type Name, remember, rememberedName } from '../base/names.ts';
import { processWide } from '../base/state.ts';
import { importsMain } from '../process/main_module.ts';
import { locateFunction } from './function_inspector.ts';
import { LIBRARY } from './modules.ts';

/** The parts of the library and the built-in modules that were indexed already. */
const indexed = processWide('indexedModules', () => new Set<string>());

/** The name that is known without any search. @internal */
export function knownName(value: object): Name | undefined {
  return rememberedName(value) ?? builtinName(value);
}

/** What this library exports, where it is a bundle: its modules are none that could be imported. @internal */
export function findInLibrary(fn: AnyFunction): Name | undefined {
  const bundle = loadedBundle();
  if (bundle === undefined) return undefined;
  for (const [part, exports] of Object.entries(bundle.exports)) {
    const module = LIBRARY + part;
    if (indexed.has(module)) continue;
    indexed.add(module);
    for (const [qualname, value] of Object.entries(exports)) {
      if (typeof value === 'function') remember(value, { module, qualname });
    }
  }
  return rememberedName(fn);
}

/**
 * The language's own globals. They are listed because Node loads some of its own (fetch, FormData) when
 * they are first looked at, which takes 25 ms; those are looked at when a function has such a name.
 */
const languageGlobals = (
  'Object Function Array Number String Boolean Symbol BigInt Math JSON Reflect Atomics Intl Date RegExp Promise Proxy ' +
  'Map Set WeakMap WeakSet WeakRef FinalizationRegistry Iterator ArrayBuffer SharedArrayBuffer DataView ' +
  'Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array Float16Array Float32Array ' +
  'Float64Array BigInt64Array BigUint64Array Error AggregateError EvalError RangeError ReferenceError SyntaxError ' +
  'TypeError URIError SuppressedError DisposableStack AsyncDisposableStack eval isFinite isNaN parseFloat parseInt ' +
  'decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape console URL URLSearchParams'
).split(' ');

/** Globals and the built-in modules loaded so far, indexed by identity when first needed. */
function builtinName(value: object): Name | undefined {
  if (!indexed.has('globalThis')) {
    indexed.add('globalThis');
    const globals = Object.create(null) as Record<string, unknown>;
    for (const key of languageGlobals) globals[key] = (globalThis as Record<string, unknown>)[key];
    index('globalThis', globals, 2);
  }
  const name = rememberedName(value);
  if (name !== undefined || typeof value !== 'function') return name;
  const global: unknown = Object.getOwnPropertyDescriptor(globalThis, value.name)?.value;
  if (global === value && isGlobalOfChildren(value))
    return remember(value, { module: 'globalThis', qualname: value.name });
  const loaded = new Set((process as { moduleLoadList?: string[] }).moduleLoadList);
  for (const module of process.getBuiltinModule('node:module').builtinModules) {
    const url = `node:${module}`;
    if (module.startsWith('_') || module === 'sys' || module === 'punycode' || indexed.has(url))
      continue;
    if (!loaded.has(`NativeModule ${module}`)) continue;
    indexed.add(url);
    const exports = process.getBuiltinModule(url) as object | undefined;
    if (exports !== undefined) index(url, exports, 2);
  }
  return rememberedName(value);
}

/** What the program itself has made a global is one in children, too, if they import its main module. */
function isGlobalOfChildren(fn: AnyFunction): boolean {
  return (
    importsMain() ||
    /\[native code\]/.test(Function.prototype.toString.call(fn)) ||
    locateFunction(fn)?.script.url.startsWith('node:') === true
  );
}

function index(module: string, container: object, depth: number, prefix = ''): void {
  if (typeof container === 'function' && prefix === '')
    remember(container, { module, qualname: 'default' });
  for (const key of ownKeys(container)) {
    // Own data properties only: Node's lazy globals and modules are getters, and stay unloaded.
    const value: unknown = Object.getOwnPropertyDescriptor(container, key)?.value;
    if ((typeof value !== 'function' && typeof value !== 'object') || value === null) continue;
    if (key === 'constructor' || key === 'caller' || key === 'arguments') continue;
    if (key === 'prototype') {
      index(module, value, 1, `${prefix}prototype.`);
      continue;
    }
    if (!builtinWorthNaming(value) || rememberedName(value) !== undefined) continue;
    const qualname = prefix + key;
    remember(value, { module, qualname });
    if (depth > 1) index(module, value, depth - 1, `${qualname}.`);
  }
}

/** Functions, and of the objects those that are namespaces (Math, JSON, Intl, console). */
function builtinWorthNaming(value: object): boolean {
  if (typeof value === 'function') return true;
  return (
    value === console ||
    (Symbol.toStringTag in value && Object.getPrototypeOf(value) === Object.prototype)
  );
}

/** The names under which an object may have something that can be found by them. @internal */
export function ownKeys(object: object): string[] {
  try {
    return Object.getOwnPropertyNames(object).filter((key) => key !== '' && !key.includes('.'));
  } catch {
    return []; // a Proxy with a trap of its own mind
  }
}
