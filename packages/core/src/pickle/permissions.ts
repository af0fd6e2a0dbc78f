/**
 * What a message may name and call, for a reader that need not trust its writer in everything.
 *
 * Deviations: D-112.
 *
 * A message is no code: of the functions that it can name, none may make code of text, of bytes or of the name of a
 * program. Of the language's and Node's own it calls only those that make data of data; functions of the program's modules it may
 * call, and which modules those are can be said. The message by which a child is launched is exempt: it comes from
 * who has chosen the program.
 */
import { types } from 'node:util';
import { PicklingError, UnpicklingError } from '../base/errors.ts';
import { type AnyFunction, type Name, ORIGINS, rememberedName, SHARED_FDS } from '../base/names.ts';
import { reduceSymbol } from './codes.ts';
import { knownName } from './known_names.ts';
import type { ModuleList } from './module_list.ts';
import { LIBRARY } from './modules.ts';
import { foreignNamespace, nativeName } from './realms.ts';

/** How far a message is trusted. @internal */
export interface Rules {
  /** Whether it comes from this process's parent, at its launch. */
  readonly fromParent: boolean;
  /** The modules that it may name; undefined for any. */
  readonly allowed: ModuleList | undefined;
}

/** Of any other process. @internal */
export const ANYBODY: Rules = { fromParent: false, allowed: undefined };
/** Of the parent, by which it launches this process. @internal */
export const PARENT: Rules = { fromParent: true, allowed: undefined };

/** Built-in modules that are there to run code which they are given: as text, as a file, as a program. */
const codeModules = new Set(
  'child_process cluster inspector inspector/promises module repl test vm wasi worker_threads'
    .split(' ')
    .map((name) => `node:${name}`),
);

/** Functions that do, by the path to them from the global object. */
const codePaths = (
  'Function eval Reflect.apply Reflect.construct Function.prototype.apply Function.prototype.bind Function.prototype.call ' +
  'WebAssembly.Instance WebAssembly.Module WebAssembly.compile WebAssembly.compileStreaming WebAssembly.instantiate ' +
  'WebAssembly.instantiateStreaming process.binding process._linkedBinding process.dlopen process.execve ' +
  'process.getBuiltinModule'
).split(' ');

/** The same functions in whatever realm, and those that no path leads to. */
const codeNames = new Set([
  'Function',
  'AsyncFunction',
  'GeneratorFunction',
  'AsyncGeneratorFunction',
  'eval',
]);

/** The language's own that make data of data, and those of Node. What is not listed no message calls. */
const dataPaths = new Set(
  (
    'Array Array.of BigInt BigInt.asIntN BigInt.asUintN Boolean Date Date.UTC JSON.parse Map Number Number.parseFloat ' +
    'Number.parseInt Object Object.fromEntries RegExp Set String String.fromCharCode String.fromCodePoint Symbol.for URL ' +
    'URLSearchParams parseFloat parseInt ArrayBuffer DataView Int8Array Uint8Array Uint8ClampedArray Int16Array Uint16Array ' +
    'Int32Array Uint32Array Float16Array Float32Array Float64Array BigInt64Array BigUint64Array Error AggregateError ' +
    'EvalError RangeError ReferenceError SyntaxError TypeError URIError SuppressedError Buffer Buffer.alloc Buffer.from ' +
    'DOMException Intl.Collator Intl.DateTimeFormat Intl.ListFormat Intl.Locale Intl.NumberFormat Intl.PluralRules ' +
    'Intl.RelativeTimeFormat Intl.Segmenter'
  ).split(' '),
);

/** Where Node's own of these are found, too. */
const dataModules = new Set(['globalThis', 'node:buffer', 'node:url']);

/** Looked up when they are asked for first, and again when modules have been loaded since. */
let codeFunctions = new WeakSet<object>();
let modulesSeen = -1;

function findCodeFunctions(): WeakSet<object> {
  const { moduleLoadList = [] } = process as { moduleLoadList?: readonly string[] };
  if (moduleLoadList.length === modulesSeen) return codeFunctions;
  modulesSeen = moduleLoadList.length;
  codeFunctions = new WeakSet();
  for (const path of codePaths) {
    let value: unknown = globalThis;
    for (const key of path.split('.'))
      value = (value as Record<string, unknown> | undefined)?.[key];
    if (typeof value === 'function') codeFunctions.add(value);
  }
  const loaded = new Set(moduleLoadList);
  for (const module of codeModules) {
    // What is not loaded no module of the program can have exported.
    if (!loaded.has(`NativeModule ${module.slice(5)}`)) continue;
    const exports = process.getBuiltinModule(module) as object | undefined;
    if (exports !== undefined) addFunctions(codeFunctions, exports);
  }
  if (loaded.has('NativeModule v8'))
    codeFunctions.add(process.getBuiltinModule('node:v8').setFlagsFromString);
  return codeFunctions;
}

function addFunctions(to: WeakSet<object>, exports: object): void {
  if (typeof exports === 'function') to.add(exports);
  for (const { value } of Object.values(Object.getOwnPropertyDescriptors(exports))) {
    if (typeof value !== 'function') continue;
    to.add(value);
    const proto: unknown = (value as AnyFunction).prototype;
    if (typeof proto !== 'object' || proto === null) continue;
    for (const member of Object.values(Object.getOwnPropertyDescriptors(proto)))
      if (typeof member.value === 'function' && member.value !== value) to.add(member.value);
  }
}

/** Functions that have been looked at. */
const harmless = new WeakSet<object>();

/** Whether a function makes code of what it is given, as `eval` does. */
function makesCode(value: object): boolean {
  if (harmless.has(value)) return false;
  if (typeof value !== 'function') return false;
  if (codeNames.has(nativeName(value) ?? '') || findCodeFunctions().has(value)) return true;
  harmless.add(value);
  return false;
}

const CODE = 'it makes code of what it is given, and a message is no code';

/** Why a message may not name this; undefined when it may. */
function whyNotNamed(name: Name, value: object): string | undefined {
  return codeModules.has(name.module) || makesCode(value) ? CODE : undefined;
}

/** Before a name is written. @throws PicklingError @internal */
export function checkWrittenName(name: Name, value: object): void {
  const why = whyNotNamed(name, value);
  if (why === undefined) return;
  throw new PicklingError(
    `'${name.qualname}' of ${name.module} cannot be sent: ${why}; export a function that calls it as you need it`,
  );
}

/** Before the modules of a message are imported. @throws UnpicklingError @internal */
export function checkNames(names: readonly Name[], { fromParent, allowed }: Rules): void {
  for (const name of names) {
    const isOwn = name.module === SHARED_FDS || name.module === ORIGINS;
    const module = isOwn ? `${LIBRARY}resource_sharer` : name.module;
    if (!/^(file:|node:)/.test(module) && module !== 'globalThis' && !module.startsWith(LIBRARY)) {
      throw new UnpicklingError(
        `a message names the module '${short(module)}', which is not one that can be imported here: only files are, and` +
          ' what belongs to Node',
      );
    }
    if (!fromParent && codeModules.has(module)) {
      throw new UnpicklingError(
        `a message names the module '${module}', which no message may: it runs code`,
      );
    }
    if (allowed !== undefined && !allowed.allows(module)) {
      throw new UnpicklingError(
        `a message names the module '${short(module)}', which is not among the allowedModules of who receives it`,
      );
    }
  }
}

function short(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}

/** When a name has been found. @throws UnpicklingError @internal */
export function checkFound(name: Name, value: object, { fromParent }: Rules): void {
  if (fromParent || !makesCode(value)) return;
  throw new UnpicklingError(
    `a message names '${name.qualname}' of ${short(name.module)}, which no message may: ${CODE}`,
  );
}

/** Why a message may not call a function with these arguments; undefined when it may. */
function whyNotCalled(fn: AnyFunction, args: readonly unknown[]): string | undefined {
  if (makesCode(fn)) return CODE;
  const name = knownName(fn);
  if (name === undefined || !/^(globalThis$|node:)/.test(name.module)) return undefined;
  const { module, qualname } = name;
  const makesData = dataPaths.has(qualname) || qualname.startsWith('Math.');
  if (!dataModules.has(module) || !makesData)
    return 'of what belongs to the language and to Node only classes and functions that make data may be called';
  return args.some(isAlive) ? 'it may be given data only' : undefined;
}

/** Whether a value is, or has in the way of a conversion, a function; or can be found by a name. */
function isAlive(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  // Of another realm it is this realm's for who reads it.
  if ((types.isProxy(value) || knownName(value)) ?? foreignNamespace(value)) return true;
  return ['toString', 'valueOf', 'toJSON', Symbol.toPrimitive, Symbol.iterator].some(
    (key) => typeof Object.getOwnPropertyDescriptor(value, key)?.value === 'function',
  );
}

function reducesItself(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || types.isProxy(value)) return false;
  return reduceSymbol in value;
}

function calledSo(fn: AnyFunction): string {
  return knownName(fn)?.qualname ?? String(fn.name);
}

/** Before a call is written, which a reduce method asks for. @throws PicklingError @internal */
export function checkWrittenCall(fn: AnyFunction, args: readonly unknown[], by: string): void {
  // What reduces itself may become a function for who reads it: as such it is asked for.
  const why = whyNotCalled(
    fn,
    args.map((arg) => (reducesItself(arg) ? reducesItself : arg)),
  );
  if (why === undefined) return;
  throw new PicklingError(
    `the reduce method of ${by} returns '${calledSo(fn)}', which a message may not call: ${why}; return a function that your` +
      ' module exports',
  );
}

/** Before a call that a message asks for. @throws UnpicklingError @internal */
export function checkCall(fn: AnyFunction, args: readonly unknown[]): void {
  const why = whyNotCalled(fn, args);
  if (why === undefined) return;
  throw new UnpicklingError(
    `a message calls '${short(calledSo(fn))}', which no message may: ${why}`,
  );
}

/** How much a call of the language's own makes of what it is given, in elements. @internal */
export function sizeOfCall(fn: AnyFunction, args: readonly unknown[]): number {
  if (!dataModules.has(knownName(fn)?.module ?? '')) return 0;
  const [first] = args;
  if (typeof first === 'number') return /(Array|Buffer|alloc)$/.test(fn.name) ? first : 0;
  if (typeof first !== 'object' || first === null) return 0;
  try {
    const { length, size } = first as { length?: unknown; size?: unknown };
    return Math.max(0, Number(length ?? size ?? 0) || 0);
  } catch {
    return 0; // what has a getter that throws, as a typed array's for what is none, has nothing to be copied
  }
}

/**
 * How many elements a message may have copied, by states and calls that come again and again.
 * @param length of the message, in bytes
 * @internal
 */
export function copyLimit(length: number): number {
  return 65_536 + 4 * length;
}

/** Whether an object is one that a name leads to, so that a message may not put anything on it. @internal */
export function hasName(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  if (value === globalThis || value === process || types.isModuleNamespaceObject(value))
    return true;
  if (rememberedName(value) !== undefined) return true;
  const cls: unknown = Object.getOwnPropertyDescriptor(value, 'constructor')?.value;
  return typeof cls === 'function' && cls.prototype === value;
}
