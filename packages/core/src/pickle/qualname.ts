/**
 * Where a function or class lives: the counterpart of Python's `__module__` and `__qualname__`, and of
 * pickle's `whichmodule` and `save_global`.
 *
 * JavaScript functions do not know their module. V8 does, and tells it through the inspector
 * (function_inspector.ts). From there the exports of the module are searched for the very function. It
 * all is synchronous and imports nothing, so that it works while the main module is still evaluating.
 * A function is searched for once; afterwards its name is known (known_names.ts).
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describeInspectorDenied, isInspectorDenied } from '@multiprocessing/posix';
import { PicklingError } from '../base/errors.ts';
import { type AnyFunction, type Name, remember } from '../base/names.ts';
import { require } from '../base/require.ts';
import { processWide } from '../base/state.ts';
import { isChildProcess, isMainModule, noteNamed } from '../process/main_module.ts';
import { isLaunching } from '../process/spawning.ts';
import { isTestFile } from '../process/test_runners.ts';
import { fileOf, findInFile } from './evaluated.ts';
import { type FunctionLocation, functionsNamed, locateFunction } from './function_inspector.ts';
import { findInLibrary, knownName, ownKeys } from './known_names.ts';
import { exportedVariables, forgetExports } from './module_exports.ts';
import { lookUp, rememberedModules, setModuleInspector } from './modules.ts';
import { isForeign } from './realms.ts';
import { distrustSource, scriptSource } from './scripts.ts';

/** How deep an export is searched: `a`, `a.b`, `a.b.c` (and `C.prototype.m`). */
const maxDepth = 3;
/** How many objects are looked at before the search gives up. */
const maxObjects = 5000;

const cache = processWide('reduction.functions', () => ({
  /** Whether functions without a name are the engine's or Node's. */
  builtin: new WeakMap<object, boolean>(),
  /** One known function per ES module: the way into the module's variables. */
  anchors: new Map<string, AnyFunction>(),
}));

/**
 * Returns the name under which another process finds a function or class.
 * @throws PicklingError if it has none, with the reason and what to do
 */
export function nameOf(fn: AnyFunction): Name {
  const found = findName(fn);
  if ('module' in found) return found;
  throw refusal(fn, found.location, importableUrl(found.location.script.url));
}

/**
 * Returns the name under which another process finds a function or class, or else where it stands.
 * @throws PicklingError if it is not the program's own
 * @internal
 */
export function findName(fn: AnyFunction): Name | { readonly location: FunctionLocation } {
  const found = find(fn);
  if ('module' in found) noteNamed(found.module);
  return found;
}

/**
 * Looks for the name of a function that a message is going to name.
 * @internal
 */
export function findNameBefore(fn: unknown): void {
  try {
    if (typeof fn === 'function') findName(fn as AnyFunction);
  } catch {
    // who sends it is told
  }
}

function find(fn: AnyFunction): Name | { readonly location: FunctionLocation } {
  const known = knownName(fn);
  if (known !== undefined) return known;
  const remembered = findInRemembered(fn);
  if (remembered !== undefined) return remember(fn, remembered);
  const own = findInLibrary(fn);
  if (own !== undefined) return own;
  if (isInspectorDenied()) return findWithoutInspector(fn);
  const location = locateFunction(fn);
  if (location === undefined) {
    throw new PicklingError(
      isForeign(fn)
        ? `${describe(fn)} cannot be sent: it is native code of another realm, as each context of node:vm is one: send this` +
            " realm's own"
        : `${describe(fn)} cannot be sent: it is native code`,
    );
  }
  const { url, isModule } = location.script;
  if (url.startsWith('node:')) {
    throw new PicklingError(`${describe(fn)} cannot be sent: it is internal to Node.js (${url})`);
  }
  const module = importableUrl(url);
  if (module !== undefined && isTestModule(module)) return { location };
  const qualname = isModule
    ? findInModule(fn, location)
    : (findInCommonJs(fn, url) ?? findEvaluated(fn, location)?.qualname);
  if (module === undefined || qualname === undefined) return { location };
  if (isModule) cache.anchors.set(module, fn);
  return remember(fn, { module, qualname });
}

/** Whether a child that imported a module would register this process's tests once more. */
function isTestModule(module: string): boolean {
  const path = fileOf(module);
  return path !== undefined && isTestFile(path);
}

/** Among what CommonJS modules export. @throws PicklingError if it is not there */
function findWithoutInspector(fn: AnyFunction): Name {
  for (const path of Object.keys(require.cache)) {
    const qualname = isTestFile(path) ? undefined : findInCommonJs(fn, path);
    if (qualname !== undefined) return remember(fn, { module: pathToFileURL(path).href, qualname });
  }
  throw new PicklingError(`${describe(fn)} cannot be sent: ${describeInspectorDenied()}`);
}

/** Whether a function is the engine's or Node's own, rather than the program's. @internal */
export function isBuiltin(fn: AnyFunction): boolean {
  const name = knownName(fn);
  if (name?.module.startsWith('node:')) return true;
  // The program's own functions can be globals, too.
  if (name !== undefined && name.module !== 'globalThis') return false;
  let builtin = cache.builtin.get(fn);
  if (builtin === undefined && isInspectorDenied()) {
    builtin = /\{ \[native code\] \}$/.test(Function.prototype.toString.call(fn));
  }
  if (builtin === undefined) {
    const location = locateFunction(fn);
    builtin = location === undefined || location.script.url.startsWith('node:');
    cache.builtin.set(fn, builtin);
  }
  return builtin;
}

/** How a message calls a function. @internal */
export function describe(fn: AnyFunction): string {
  const text = Function.prototype.toString.call(fn);
  if (/^class\b/.test(text)) return fn.name === '' ? 'an anonymous class' : `class '${fn.name}'`;
  if (fn.name !== '') return `function '${fn.name}'`;
  const short = text.replace(/\s+/g, ' ');
  return `an anonymous function (${short.length > 40 ? `${short.slice(0, 40)}...` : short})`;
}

function refusal(
  fn: AnyFunction,
  location: FunctionLocation,
  module: string | undefined,
): PicklingError {
  const what = describe(fn);
  // By value it goes to a child that is being launched, and nowhere else.
  const how = '; or let it travel by value: `ctx.allowClosures = true`';
  const orElse = isLaunching() ? how : `${how}, in the args of a Process`;
  const at = `${location.script.url}:${location.line + 1}`;
  const byName = 'functions and classes are sent by name';
  if (module === undefined) {
    return new PicklingError(
      `${what} cannot be sent: it stands in ${location.script.url || 'evaluated code'}, which another process` +
        ` cannot import; ${byName}: move it into a module file and export it${orElse}`,
    );
  }
  if (isTestModule(module)) {
    return new PicklingError(
      `${what} cannot be sent: it stands in a file of tests, ${module}, and a child that imported that would run them` +
        ` again; ${byName}: move it into a module of its own and export it${orElse}`,
    );
  }
  const transformed = findEvaluated(fn, location)?.reason;
  if (transformed !== undefined) {
    return new PicklingError(
      `${what} cannot be sent: a test runner has transformed this module, ${module}, ${transformed}; ${byName}:` +
        ` move it into a module that node can load${orElse}`,
    );
  }
  const outer = enclosing(location);
  if (outer !== undefined) {
    return new PicklingError(
      `${what} cannot be sent: it is local to ${outer} (${at}); ${byName}: move it to the top level of its` +
        ` module and export it, and pass what it closes over as arguments${orElse}`,
    );
  }
  if (fn.name === '' || /^an anonymous/.test(what)) {
    return new PicklingError(
      `${what} cannot be sent: it has no name in its module (${at}); ${byName}:` +
        ` make it a named function at the top level and export it${orElse}`,
    );
  }
  return new PicklingError(
    `${what} cannot be sent: it is not exported by ${module} (line ${location.line + 1}); ${byName}: export it` +
      ` (from the top level of that module)${orElse}`,
  );
}

/** What a local function is local to, as far as V8 keeps track of it (it does if something is closed over). */
function enclosing({ scopes, script }: FunctionLocation): string | undefined {
  for (const scope of scopes) {
    const name = /^(?:Closure|Block|Local)(?: \((.+)\))?$/.exec(scope);
    if (name === null) continue;
    if (name[1] !== undefined) return `'${name[1]}'`;
    if (script.isModule) return 'another function or block'; // in CommonJS it is the module's own wrapper
  }
  return undefined;
}

/** The URL that another process imports to get a script's module. @internal */
export function importableUrl(url: string): string | undefined {
  if (url.startsWith('data:')) {
    // tsx on Node 20 loads CommonJS TypeScript for an ES importer from a data: URL that names the file.
    const file = /^data:text\/javascript,__filename%3D(%22.*?%22)/.exec(url)?.[1];
    // What another one holds is code, and no name.
    if (file === undefined) return undefined;
    return pathToFileURL(JSON.parse(decodeURIComponent(file)) as string).href;
  }
  if (url.startsWith('file:')) return url;
  return url.startsWith('/') ? pathToFileURL(url).href : undefined;
}

function findInModule(fn: AnyFunction, location: FunctionLocation): string | undefined {
  const found = findExported(fn, location);
  if (found !== undefined || !distrustSource(location.script.id)) return found;
  forgetExports(location.script.id);
  return findExported(fn, location);
}

function findExported(fn: AnyFunction, location: FunctionLocation): string | undefined {
  const { variables, defaultText } = exportedVariables(location.script.id, () =>
    scriptSource(location.script.id),
  );
  const roots = new Map<string, () => unknown>();
  const scope = location.moduleScope as Record<string, unknown> | undefined;
  for (const [name, local] of variables) roots.set(name, () => scope?.[local]);
  if (defaultText?.startsWith(Function.prototype.toString.call(fn)) && fn.name === 'default')
    return 'default';
  return search(fn, roots);
}

function findInCommonJs(fn: AnyFunction, url: string): string | undefined {
  const exports = commonJsExports(url);
  if (exports === undefined) return undefined;
  if (exports === fn) return 'default';
  const container = exports as Record<string, unknown>;
  const roots = new Map<string, () => unknown>();
  // Transpilers export through getters; they give a module's own variables and are read therefore.
  for (const key of ownKeys(exports)) roots.set(key, () => container[key]);
  const found = search(fn, roots);
  // In the importer's namespace `default` is module.exports; if that is a function, its `.default` is one further.
  const shadowed = typeof exports === 'function' && found !== undefined && /^default\b/.test(found);
  return shadowed ? `default.${found}` : found;
}

/** A function of the top level of a file that Node has not loaded. */
function findEvaluated(fn: AnyFunction, { script }: FunctionLocation) {
  const module = importableUrl(script.url);
  if (module === undefined || script.isModule || commonJsExports(script.url) !== undefined) {
    return undefined;
  }
  return findInFile(fn, module);
}

function commonJsExports(url: string): object | undefined {
  const keys = [url];
  if (url.startsWith('file:')) {
    const { pathname, search: query } = new URL(url);
    const path = fileURLToPath(new URL(pathname, 'file:'));
    keys.push(path, path + query);
  }
  for (const key of keys) {
    const exports: unknown = require.cache[key]?.exports;
    if ((typeof exports === 'object' && exports !== null) || typeof exports === 'function')
      return exports;
  }
  return undefined;
}

/** The URL of a CommonJS module by its `module.exports`. @internal */
export function findCommonJs(is: (exports: unknown) => boolean): string | undefined {
  const module = Object.values(require.cache).find((each) => each?.loaded && is(each.exports));
  return module?.filename === undefined ? undefined : pathToFileURL(module.filename).href;
}

function findInRemembered(fn: AnyFunction): Name | undefined {
  for (const [module, namespace] of rememberedModules()) {
    const container = namespace as Record<string, unknown>;
    const roots = new Map<string, () => unknown>();
    for (const key of Object.keys(namespace)) roots.set(key, () => container[key]);
    const qualname = search(fn, roots);
    if (qualname !== undefined && lookUp(namespace, qualname) === fn) return { module, qualname };
  }
  return undefined;
}

/** Breadth first, the function's own name first; own data properties only, so that no getter runs. */
function search(fn: AnyFunction, roots: ReadonlyMap<string, () => unknown>): string | undefined {
  const names = [...roots.keys()].filter((name) => !name.includes('.'));
  names.sort((a, b) => Number(b === fn.name) - Number(a === fn.name));
  let level: [string, object][] = [];
  for (const name of names) {
    let value: unknown;
    try {
      value = roots.get(name)?.();
    } catch {
      continue; // no value yet: its module is still evaluating
    }
    if (value === fn) return name;
    if (isContainer(value)) level.push([name, value]);
  }
  const seen = new Set<object>();
  for (let depth = 2; depth <= maxDepth; depth++) {
    const next: [string, object][] = [];
    for (const [path, container] of level) {
      if (seen.has(container)) continue;
      seen.add(container);
      if (seen.size > maxObjects) return undefined;
      for (const key of ownKeys(container)) {
        const value: unknown = Object.getOwnPropertyDescriptor(container, key)?.value;
        if (value === fn) return `${path}.${key}`;
        if (isContainer(value) && key !== 'constructor') next.push([`${path}.${key}`, value]);
      }
    }
    level = next;
  }
  return undefined;
}

function isContainer(value: unknown): value is object {
  if (typeof value === 'function') return true;
  return (
    typeof value === 'object' &&
    value !== null &&
    !ArrayBuffer.isView(value) &&
    !Array.isArray(value)
  );
}

/**
 * A function of the main module, while that waits at its top level for a message that names it: to import it would be to
 * wait for itself.
 */
function anchorInMain(module: string, qualname: string): AnyFunction | undefined {
  if (isChildProcess() || !isMainModule(module)) return undefined;
  const [root = ''] = qualname.split('.');
  for (const fn of functionsNamed(root)) {
    const location = locateFunction(fn);
    if (location?.script.isModule && importableUrl(location.script.url) === module) {
      cache.anchors.set(module, fn);
      return fn;
    }
  }
  return undefined;
}

setModuleInspector((module, qualname) => {
  const anchor = cache.anchors.get(module) ?? anchorInMain(module, qualname);
  if (anchor === undefined) return undefined;
  const location = locateFunction(anchor);
  if (location?.moduleScope === undefined) return undefined;
  const scope = location.moduleScope as Record<string, unknown>;
  const { variables } = exportedVariables(location.script.id, () =>
    scriptSource(location.script.id),
  );
  const view: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [name, local] of variables) {
    Object.defineProperty(view, name, { get: () => scope[local], enumerable: true });
  }
  return lookUp(view, qualname);
});
