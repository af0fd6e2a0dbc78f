/**
 * From a name back to the object: what pickle's `find_class` does with `sys.modules` and `__import__`.
 *
 * A name is a module and a dotted path. Looked up in this order: what this process named or resolved
 * before; the namespaces it remembers; the variables of a module of which it knows a function (so a
 * message that names the main module resolves while that module is still evaluating, when importing it
 * would wait for itself); and only then the module is imported.
 */
import { fileURLToPath } from 'node:url';
import { calledByChildren } from '@multiprocessing/posix';
import { importing } from '../base/bootstrapping.ts';
import { loadedBundle } from '../base/bundle.ts';
import { UnpicklingError } from '../base/errors.ts';
import { hasRoom, LATE_ROOMS, lateRoom } from '../base/late_rooms.ts';
import {
  findOrigin,
  type Name,
  ORIGINS,
  rememberedValue,
  rememberValue,
  SHARED_FDS,
} from '../base/names.ts';
import { require } from '../base/require.ts';
import { processWide } from '../base/state.ts';
import { loadModule } from '../process/load_module.ts';
import { isMainModule, neverImportsMain } from '../process/main_module.ts';
import { fdSharer } from './session.ts';

type Finder = (module: string, qualname: string) => unknown;

interface State {
  namespaces: Map<string, object>;
  importer: (url: string) => Promise<object>;
  inspectModule: Finder;
}

const state = processWide(
  'reduction.modules',
  (): State => ({
    namespaces: new Map(),
    importer: loadModule,
    inspectModule: () => undefined,
  }),
);

/**
 * Remembers an imported module's namespace, so that messages that name it need no import.
 * @param url the URL under which other processes name it
 */
export function rememberModule(url: string, namespace: object): void {
  state.namespaces.set(url, namespace);
}

/** Replaces `import(url)` as the way to load a module that a message names. */
export function setModuleImporter(importer: (url: string) => Promise<object>): void {
  state.importer = importer;
}

/** How a module that is loaded and not remembered can be looked into (set by qualname.ts). @internal */
export function setModuleInspector(inspect: Finder): void {
  state.inspectModule = inspect;
}

/** The namespaces that this process remembers, by URL. @internal */
export function rememberedModules(): ReadonlyMap<string, object> {
  return state.namespaces;
}

/** What a name stands for as far as this process knows without loading anything. @internal */
export function findLoaded(name: Name): unknown {
  if (name.module === SHARED_FDS) return fdSharer().find(name.qualname);
  if (name.module === ORIGINS) return findOrigin(name.qualname);
  const isOwn = name.module === import.meta.url;
  const known = rememberedValue(name) ?? (isOwn ? lateValue(name) : undefined);
  if (known !== undefined) return known;
  const builtin = builtinModule(name.module);
  // Of a built-in module `default` is what it exports.
  if (builtin !== undefined && name.qualname === 'default') return builtin;
  const namespace = state.namespaces.get(name.module) ?? builtin;
  const value =
    namespace === undefined
      ? state.inspectModule(name.module, name.qualname)
      : lookUp(namespace, name.qualname);
  if (value !== undefined) rememberValue(name, value);
  return value;
}

/** What is named by a room of this library that is not loaded yet: they all have the name of one file. */
function lateValue(name: Name): unknown {
  if (loadedBundle() === undefined) return undefined;
  for (const room of LATE_ROOMS) {
    if (hasRoom(room)) continue;
    lateRoom(room);
    const value = rememberedValue(name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** Whether nothing has to be imported for a name. @internal */
export function isAtHand(name: Name): boolean {
  if (name.module === SHARED_FDS) return fdSharer().isHere(name.qualname);
  return findLoaded(name) !== undefined || isLoaded(name.module);
}

/**
 * Makes the object that a name stands for available to findLoaded, importing its module if need be.
 * @throws UnpicklingError if the module cannot be imported
 * @internal
 */
async function ensureLoaded(name: Name): Promise<void> {
  if (isAtHand(name)) return;
  if (name.module === SHARED_FDS) return fdSharer().fetch(name.qualname);
  checkImportable(name);
  try {
    rememberModule(name.module, await load(name.module));
  } catch (error) {
    throw cannotImport(name, error);
  }
}

/**
 * Makes what a message names available, and makes the message's object. What it does not take of that, fds, is let go.
 * @throws UnpicklingError
 * @internal
 */
export async function loadWith<T>(names: readonly Name[], load: () => T): Promise<T> {
  let isRead = false;
  try {
    for (const name of names) await ensureLoaded(name);
    const object = load();
    isRead = true;
    return object;
  } finally {
    for (const { module, qualname } of names) {
      if (module === SHARED_FDS) fdSharer().settle(qualname, isRead);
    }
  }
}

/** What is no file is there, or nowhere (permissions.ts). */
function isLoaded(module: string): boolean {
  return state.namespaces.has(module) || !module.startsWith('file:');
}

function load(url: string): Promise<object> {
  return importing(() => state.importer(url));
}

/** ensureLoaded without waiting: by `require`, which loads ES modules too unless they await. @internal */
export function ensureLoadedSync(name: Name): void {
  if (name.module === SHARED_FDS || isAtHand(name)) return; // an fd is fetched when it is taken
  checkImportable(name);
  try {
    const exported: unknown = require(fileURLToPath(name.module));
    rememberModule(name.module, isNamespace(exported) ? exported : { default: exported });
  } catch (error) {
    throw new UnpicklingError(
      `cannot load ${name.module}, where '${name.qualname}' lives, synchronously:` +
        ' import that module before, or receive the message asynchronously',
      { cause: error },
    );
  }
}

/**
 * What a name stands for, in a process where its module has been loaded.
 * @throws UnpicklingError if the module has no such export
 * @internal
 */
export function resolveName(name: Name): unknown {
  const value = findLoaded(name);
  if (value !== undefined) return value;
  throw new UnpicklingError(`cannot find '${name.qualname}' in ${name.module}: is it exported?`);
}

/** Walks a dotted path. A CommonJS module's own exports are the default export of its namespace. @internal */
export function lookUp(namespace: object, qualname: string): unknown {
  const roots = namespace as { default?: unknown; 'module.exports'?: unknown };
  const path = qualname.split('.');
  for (let root = 0; root < 3; root++) {
    let value: unknown;
    try {
      value = root === 0 ? namespace : root === 1 ? roots['module.exports'] : roots.default;
      for (const key of path) value = ownValue(value, key);
    } catch {
      continue; // a variable that has no value yet, while its module is evaluating
    }
    if (typeof value === 'function' || (typeof value === 'object' && value !== null)) {
      // `default` of a CommonJS module is module.exports; TypeScript's own default export is one step further.
      const inner = value as { __esModule?: unknown; default?: unknown };
      if (qualname === 'default' && typeof value !== 'function' && inner.__esModule === true)
        continue;
      return value;
    }
  }
  return undefined;
}

/** Of its own only: what everything has leads to everything, as the constructor of a function to all code. */
function ownValue(object: unknown, key: string): unknown {
  const holder = Object(object) as Record<string, unknown>;
  return object !== null && object !== undefined && Object.hasOwn(holder, key)
    ? holder[key]
    : undefined;
}

/** How the modules of this library begin, where it is a bundle. @internal */
export const LIBRARY = 'multiprocessing:';

function builtinModule(module: string): object | undefined {
  if (module === 'globalThis') return globalThis;
  if (module.startsWith(LIBRARY)) return loadedBundle()?.subpath(module.slice(LIBRARY.length));
  return module.startsWith('node:') ? process.getBuiltinModule(module) : undefined;
}

function isNamespace(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** In the child of an emulated fork the main module would run again, from its first line. */
function checkImportable({ module, qualname }: Name): void {
  if (!neverImportsMain() || !isMainModule(module)) return;
  throw new UnpicklingError(
    `'${qualname}' is of the main module, which is not imported in the child of an emulated fork: use it in the target,` +
      ' so that it comes along, or keep it in a module of its own',
  );
}

function cannotImport({ module, qualname }: Name, cause: unknown): UnpicklingError {
  if (cause instanceof UnpicklingError) return cause;
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new UnpicklingError(`cannot import ${module}, where '${qualname}' lives${why}`, { cause });
}

calledByChildren(lookUp, ownValue, builtinModule, ensureLoaded);
