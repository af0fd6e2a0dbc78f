/**
 * The modules that are loaded here, by specifier and by value, and what compilers make of them.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDirectory } from '@multiprocessing/posix';
import { require } from '../base/require.ts';

/** How an imported variable gets its value. @internal */
export interface ImportedFrom {
  /** Of the module that imports it. */
  readonly url: string;
  /** As it is written there. */
  readonly specifier: string;
  readonly by: 'import' | 'require';
  /** The members of the module that lead to it; none for the module itself. */
  readonly path: readonly string[];
  /** The attribute `type` of the import. */
  readonly type?: string | undefined;
  /** What a compiler has made of the module. */
  readonly copy?: CopyKind | undefined;
  /** Whether it is a promise of that. */
  readonly promise?: boolean;
}

/**
 * The objects that compilers make of what `require` gives: with it as the only member, `default`; with its members and it
 * as `default`; with its members. `require` is none of these: it is the function itself.
 */
export type CopyKind = 'default' | 'star' | 'members' | 'require';

/** By a specifier that is the same everywhere. @internal */
export function requiredAs(specifier: string): ImportedFrom {
  return { url: '', specifier, by: 'require', path: [] };
}

const nodeModule = () => process.getBuiltinModule('node:module');

const requires = new Map<string, NodeJS.Require>();

/** `require` of a module. @param url a `file:` URL or a path; that of anything else is that of the program's directory @internal */
export function requireOf(url: string): NodeJS.Require {
  let made = requires.get(url);
  if (made === undefined) {
    const isFile = url.startsWith('file:') || url.startsWith('/');
    made = nodeModule().createRequire(isFile ? url : join(startDirectory() ?? '/', '[eval]'));
    requires.set(url, made);
  }
  return made;
}

/** How a child gets a `require` function. @internal */
export function requireIn(value: unknown): ImportedFrom | undefined {
  if (typeof value !== 'function' || !('resolve' in value) || !('cache' in value)) return undefined;
  if (value.cache !== require.cache) return undefined;
  const { paths } = value.resolve as NodeJS.RequireResolve;
  // The folder from which it resolves is that whose node_modules it looks into first.
  const [first] = paths('a') ?? [];
  if (first === undefined) return undefined;
  return { ...requiredAs('node:module'), url: join(first, '../[require]'), copy: 'require' };
}

/** Whether a script is a CommonJS module that is loaded here. @internal */
export function isCommonJs(url: string): boolean {
  const path = url.startsWith('file:') ? fileURLToPath(url) : url;
  return require.cache[path] !== undefined;
}

/** Whether it is the name of a built-in module, each of which is a global at the prompt. @internal */
export function isBuiltinName(name: string): boolean {
  return nodeModule().builtinModules.includes(name);
}

const globalsOfNode = new Set(
  (
    'globalThis global process Buffer console performance crypto navigator localStorage sessionStorage fetch atob btoa ' +
    'structuredClone queueMicrotask setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate'
  ).split(' '),
);

/** Whether every process has a global of that name. Those that are not listed cannot be listed, as the language's. @internal */
export function isGlobalOfNode(name: string): boolean {
  return globalsOfNode.has(name);
}

const files = new Map<string, string>();

/** What `require` would give at once, as the module is loaded; undefined if it is not. @internal */
export function loaded(url: string, specifier: string): { exports: unknown } | undefined {
  if (nodeModule().isBuiltin(specifier))
    return { exports: process.getBuiltinModule(specifier) as unknown };
  const key = `${url}\n${specifier}`;
  let file = files.get(key);
  if (file === undefined) {
    try {
      file = requireOf(url).resolve(specifier);
    } catch {
      return undefined;
    }
    files.set(key, file);
  }
  const module = require.cache[file];
  return module === undefined ? undefined : { exports: module.exports as unknown };
}

/** A member of a member of a value; undefined also if there is none. @internal */
export function memberOf(value: unknown, path: readonly string[]): unknown {
  let member = value;
  try {
    for (const key of path) member = (member as Record<string, unknown> | undefined)?.[key];
  } catch {
    return undefined; // a getter that fails
  }
  return member;
}

const builtins = new Map<object, string>();
let listed = 0;

/** The `node:` URL of a built-in module. @internal */
export function builtinModule(value: object): string | undefined {
  const { moduleLoadList = [] } = process as { moduleLoadList?: string[] };
  if (listed !== moduleLoadList.length) {
    listed = moduleLoadList.length;
    listBuiltins(new Set(moduleLoadList));
  }
  return builtins.get(value);
}

function listBuiltins(loadedModules: ReadonlySet<string>): void {
  const { builtinModules } = nodeModule();
  for (const each of builtinModules) {
    const name = each.replace(/^node:/, '');
    if (!loadedModules.has(`NativeModule ${name}`) || name === 'sys' || name === 'punycode')
      continue;
    const exports: unknown = process.getBuiltinModule(`node:${name}`);
    if (typeof exports === 'object' && exports !== null && !builtins.has(exports))
      builtins.set(exports, `node:${name}`);
  }
}

/** A module's namespace, or what a compiler makes of one: an object of getters, or one that says `__esModule`. @internal */
export function isModuleLike(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  if (Object.prototype.toString.call(value) === '[object Module]') return true;
  const { default: whole, ...others } = Object.getOwnPropertyDescriptors(value) as Record<
    string,
    PropertyDescriptor
  >;
  if ('__esModule' in others) return true;
  const all = Object.values(others);
  if (all.length === 0) return whole !== undefined;
  return all.every(({ get }) => get !== undefined);
}

/** @internal */
export function hasSameMembers(exports: unknown, copy: Record<string, unknown>): boolean {
  if (typeof exports !== 'object' || exports === null) return false;
  const keys = Object.keys(copy);
  return (
    keys.length > 0 &&
    keys.every((key) => Object.hasOwn(exports, key) && (exports as typeof copy)[key] === copy[key])
  );
}

/** What a compiler has made of a module's exports, if it has made this. @internal */
export function copyKind(value: unknown, exports: unknown): CopyKind | undefined {
  if (typeof value !== 'object' || value === null || !('default' in value))
    return typeof value === 'object' && value !== null && hasSameMembers(exports, { ...value })
      ? 'members'
      : undefined;
  if (value.default === exports) return Object.keys(value).length === 1 ? 'default' : 'star';
  return value.default === (exports as { default?: unknown } | null)?.default
    ? 'members'
    : undefined;
}

/** Makes what a compiler makes. @internal */
export function copyOf(exports: unknown, kind: CopyKind): unknown {
  if (kind === 'default') return { default: exports };
  const copy = {};
  for (const key of Object.getOwnPropertyNames(Object(exports))) {
    const isOfFunctions =
      typeof exports === 'function' && !Object.prototype.propertyIsEnumerable.call(exports, key);
    if ((key === 'default' && kind === 'star') || isOfFunctions) continue;
    Object.defineProperty(copy, key, {
      enumerable: key !== '__esModule',
      get: () => (exports as Record<string, unknown>)[key],
    });
  }
  if (kind === 'star') Object.defineProperty(copy, 'default', { value: exports, enumerable: true });
  return copy;
}
