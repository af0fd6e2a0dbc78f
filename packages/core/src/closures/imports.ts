/**
 * Which variables of a script hold a module or a part of one, and how a child gets the same: by the import declaration or
 * the call that made the variable, resolved from the script that has it.
 */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { types } from 'node:util';
import type { Node } from 'acorn';
import { type AnyFunction, rememberedName } from '../base/names.ts';
import { require } from '../base/require.ts';
import type { FunctionLocation } from '../pickle/function_inspector.ts';
import { knownName } from '../pickle/known_names.ts';
import { importStatements } from '../pickle/module_exports.ts';
import { LIBRARY } from '../pickle/modules.ts';
import { findCommonJs } from '../pickle/qualname.ts';
import { isObjectPrototype } from '../pickle/realms.ts';
import { scriptSource } from '../pickle/scripts.ts';
import { isMainModule } from '../process/main_module.ts';
import { attributeOf, type Declared, importedName, type Scope, scopesOf } from './definitions.ts';
import { rememberImport } from './importer.ts';
import {
  builtinModule,
  copyKind,
  hasSameMembers,
  type ImportedFrom,
  isModuleLike,
  loaded,
  memberOf,
  requiredAs,
} from './loaded.ts';
import { type ModuleValue, valuesOf } from './module_values.ts';
import { parse } from './source.ts';

interface ImportSpecifier extends Node {
  readonly local: { name: string };
  readonly imported?: { name?: string; value?: string };
}

interface ImportDeclaration {
  readonly specifiers?: ImportSpecifier[];
  readonly attributes?: unknown[];
}

/** What is known of a script. */
interface ScriptImports {
  readonly source: string;
  /** By import declarations. */
  readonly declared: ReadonlyMap<string, Omit<ImportedFrom, 'url'>>;
  /** Whether it gets modules in other ways, too. */
  readonly others: boolean;
  scopes: Scope | null | undefined;
  noted: boolean;
}

const scripts = new Map<string, ScriptImports>();

/** A comment has but one end, as in capture.ts. */
const CALLS = /\bimport\b(\s|\/\*(?:(?!\*\/)[\s\S])*\*\/)*\(|require|getBuiltinModule/i;

function importsOf({ id, isModule }: FunctionLocation['script']): ScriptImports {
  let known = scripts.get(id);
  if (known === undefined) {
    const source = scriptSource(id);
    const declared = isModule ? readImports(source) : new Map<string, never>();
    known = { source, declared, others: CALLS.test(source), scopes: undefined, noted: false };
    scripts.set(id, known);
  }
  return known;
}

function readImports(source: string): Map<string, Omit<ImportedFrom, 'url'>> {
  const variables = new Map<string, Omit<ImportedFrom, 'url'>>();
  for (const { specifier, statement } of importStatements(source)) {
    const { body } = parse(statement) as unknown as { body: ImportDeclaration[] };
    const type = attributeOf(body[0]?.attributes);
    for (const each of body[0]?.specifiers ?? []) {
      const name = importedName(each);
      const path = name === undefined ? [] : [name];
      variables.set(each.local.name, { by: 'import', specifier, path, type });
    }
  }
  return variables;
}

/**
 * How a child gets the value of a variable, if that is a module's.
 * @param url of the script
 * @param isModuleVariable whether it is certainly one of the script's own, not of a function in it
 * @internal
 */
export function importOf(
  name: string,
  value: unknown,
  isModuleVariable: boolean,
  location: FunctionLocation,
  url: string,
): ImportedFrom | undefined {
  const imports = importsOf(location.script);
  const declared = isModuleVariable ? imports.declared.get(name) : undefined;
  if (declared !== undefined) return isData(value, declared) ? undefined : { url, ...declared };
  if (!mayBeImported(value, location, imports)) return undefined;
  return definedBy(name, value, location, url) ?? byIdentity(value);
}

/**
 * Notes the functions and modules that a script has imported, for where they are met elsewhere than in a variable.
 * @param scopes the variables of the script itself
 * @internal
 */
export function noteImports(
  scopes: readonly (object | undefined)[],
  location: FunctionLocation,
  url: string,
): void {
  const imports = importsOf(location.script);
  if (imports.noted) return;
  imports.noted = true;
  for (const scope of scopes) {
    for (const name of Object.keys(scope ?? {})) {
      const value = valueIn(scope as Record<string, unknown>, name);
      if ((typeof value !== 'function' && typeof value !== 'object') || value === null) continue;
      const from = importOf(name, value, true, location, url);
      if (from !== undefined) rememberImport(value, from);
    }
  }
}

function valueIn(scope: Record<string, unknown>, name: string): unknown {
  try {
    return scope[name];
  } catch {
    return undefined; // not initialised yet
  }
}

/** What needs attributes is data (JSON), which may as well be copied; and what Node exports has names. */
function isData(value: unknown, { type }: Omit<ImportedFrom, 'url'>): boolean {
  if (type !== undefined) return !types.isModuleNamespaceObject(value);
  return typeof value === 'function' && isEverywhere(value);
}

/** Whether a function goes by a name that is the same in every process. */
function isEverywhere(fn: AnyFunction): boolean {
  const name = rememberedName(fn) ?? knownName(fn);
  return name !== undefined && (name.module.startsWith('node:') || name.module.startsWith(LIBRARY));
}

function mayBeImported(value: unknown, { script }: FunctionLocation, imports: ScriptImports) {
  if (typeof value === 'function') {
    if (isEverywhere(value)) return false;
    const text = Function.prototype.toString.call(value);
    return /\[native code\]/.test(text) || !imports.source.includes(text);
  }
  if (typeof value !== 'object' || value === null) return false;
  if (types.isModuleNamespaceObject(value) || builtinModule(value) !== undefined) return true;
  if (!script.isModule || types.isPromise(value)) return imports.others;
  const proto = Object.getPrototypeOf(value) as object | null;
  const isPlain = proto !== null && isObjectPrototype(proto);
  return isPlain || Array.isArray(value) ? imports.others : true;
}

function definedBy(
  name: string,
  value: unknown,
  location: FunctionLocation,
  url: string,
): ImportedFrom | undefined {
  const declared = declaredAt(name, location);
  if (declared === undefined) return undefined;
  const isPromise = types.isPromise(value);
  const values = valuesOf(declared).filter(({ promise }) => promise === isPromise);
  const likely: ImportedFrom[] = [];
  for (const each of values) {
    const from = each.from === undefined ? url : urlOf(each.from, url);
    const found = isPromise ? promised(each, from) : verified(each, value, from);
    if (found !== undefined && found !== null) return found;
    if (found === undefined && !each.wrapped && isPlausible(each, value))
      likely.push(importedFrom(each, from));
  }
  // What cannot be compared is believed where nothing else has been assigned.
  likely.sort((a, b) => a.path.length - b.path.length);
  const [first] = likely;
  const isOne = likely.every(({ specifier }) => specifier === first?.specifier);
  return isOne && isOnlyImported(declared) ? first : undefined;
}

/** What compilers make of `import()` where they make `require` of it, is no namespace. */
function promised(value: ModuleValue, url: string): ImportedFrom | undefined {
  const module = value.wrapped ? loaded(url, value.specifier) : undefined;
  if (module === undefined || value.path.length > 0) return undefined;
  const from = importedFrom(value, url);
  const isOriginal =
    types.isModuleNamespaceObject(module.exports) ||
    memberOf(module.exports, ['__esModule']) === true;
  return isOriginal ? from : { ...from, copy: 'star' };
}

function importedFrom(value: ModuleValue, url: string): ImportedFrom {
  const { by, specifier, path, type, promise } = value;
  return { url, specifier, by, path, type, ...(promise ? { promise } : {}) };
}

function declaredAt(
  name: string,
  { script, line, column }: FunctionLocation,
): Declared | undefined {
  const imports = importsOf(script);
  if (imports.scopes === undefined) {
    try {
      imports.scopes = scopesOf(imports.source, script.isModule);
    } catch {
      imports.scopes = null; // a script in a syntax that the parser does not know yet
    }
  }
  return imports.scopes?.around(offsetOf(imports.source, line, column)).find(name);
}

function offsetOf(source: string, line: number, column: number): number {
  let start = 0;
  for (let i = 0; i < line; i++) start = source.indexOf('\n', start) + 1;
  return start + column;
}

/** What is no module's value whatever else the variable is given. */
const NEUTRAL = /^(Literal|TemplateLiteral|UnaryExpression)$/;

function isOnlyImported({ definitions }: Declared): boolean {
  return definitions.every(
    (definition) =>
      NEUTRAL.test(definition.expression?.type ?? '') ||
      valuesOf({ definitions: [definition], constant: true }).length > 0,
  );
}

function isPlausible({ by, path, promise }: ModuleValue, value: unknown): boolean {
  if (by === 'require' || promise) return true;
  return (path.length === 0) === types.isModuleNamespaceObject(value);
}

/** Compares with what is loaded here. @returns null if it is something else, undefined if nobody knows */
function verified(
  candidate: ModuleValue,
  value: unknown,
  url: string,
): ImportedFrom | null | undefined {
  const { by, specifier, path, wrapped } = candidate;
  const module = loaded(url, specifier);
  if (module === undefined) return undefined;
  const from = importedFrom(candidate, url);
  const [first, ...rest] = path;
  if (by === 'import') {
    const { exports } = module;
    const isIt =
      path.length === 0
        ? types.isModuleNamespaceObject(value)
        : memberOf(exports, first === 'default' ? rest : path) === value;
    return isIt ? from : undefined;
  }
  const { exports } = module;
  if (memberOf(exports, path) === value) return from;
  if (!wrapped) return null;
  if (first === 'default' && memberOf(exports, rest) === value) return { ...from, path: rest };
  const copy = path.length === 0 ? copyKind(value, exports) : undefined;
  return copy === undefined ? null : { ...from, copy };
}

/** Finds a module by its value, whatever variable that is in. */
function byIdentity(value: unknown): ImportedFrom | undefined {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null)
    return undefined;
  const exported = moduleByValue(value);
  if (exported !== undefined) return exported;
  if (typeof value === 'function' || !isModuleLike(value)) return undefined;
  const whole = value.default;
  if (typeof whole === 'object' && whole !== null) {
    const wrapped = moduleByValue(whole);
    if (wrapped !== undefined)
      return { ...wrapped, copy: Object.keys(value).length === 1 ? 'default' : 'star' };
  }
  const copied = findCommonJs((exports) => hasSameMembers(exports, value));
  return copied === undefined ? undefined : { ...requiredAs(copied), copy: 'members' };
}

/** A built-in or CommonJS module by what it exports. */
function moduleByValue(value: object): ImportedFrom | undefined {
  const builtin = builtinModule(value);
  if (builtin !== undefined) return requiredAs(builtin);
  // The module that began to load first, of several: it is the one that the program has asked for.
  const module = Object.values(require.cache).find(
    (each) => each?.loaded && each.exports === value,
  );
  return module?.filename === undefined ? undefined : requiredAs(module.filename);
}

/** Whether it is the main module that is imported, as far as the specifier says that. @internal */
export function isOfMain({ url, specifier }: ImportedFrom): boolean {
  if (/^\.{0,2}\//.test(specifier)) {
    return isMainModule(new URL(specifier, /^(file:|data:)/.test(url) ? url : 'file:///').href);
  }
  return isMainModule(specifier);
}

/** What `createRequire` was given, as a URL. The script has none where a bundler or a single executable holds it. */
function urlOf(from: string, script: string): string {
  if (isAbsolute(from)) return pathToFileURL(from).href;
  return URL.canParse(from, script || undefined) ? new URL(from, script || undefined).href : from;
}
