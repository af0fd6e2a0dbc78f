/**
 * What a function has of its surroundings at this moment: the values of the variables that it uses, and where they are.
 */

import { PicklingError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { type FunctionLocation, scriptSource } from '../pickle/function_inspector.ts';
import { findCommonJs, importableUrl } from '../pickle/qualname.ts';
import { isMainModule } from '../process/main_module.ts';
import {
  type FunctionCode,
  type ImportedFrom,
  type Origin,
  originOf,
  originOfScript,
} from './code.ts';
import { importedVariables } from './imports.ts';
import { canStop, thisOf } from './probe.ts';
import { type FunctionSource, prefix, sourceOf } from './source.ts';

/** A variable that a function uses. */
export interface Variable {
  readonly name: string;
  readonly value: unknown;
  /** The scope that it is in, as far as that can be told: undefined for what nobody can share. */
  readonly scope: string | undefined;
  /** Whether functions with the same `scope` certainly have the same variable. */
  readonly unique: boolean;
}

/** A function, and all that is needed to make it again. @internal */
export interface Captured extends Omit<Origin, 'imports'> {
  readonly fn: AnyFunction;
  readonly source: FunctionSource;
  readonly variables: readonly Variable[];
  readonly imports: Record<string, ImportedFrom>;
  readonly own: FunctionCode['own'];
}

/** Globals that are variables of each CommonJS module. */
const moduleVariables = new Set(['require', 'module', 'exports', '__filename', '__dirname']);

/**
 * @param mainByName whether the receiver imports the main module
 * @throws PicklingError
 * @internal
 */
export function capture(
  fn: AnyFunction,
  location: FunctionLocation,
  mainByName: boolean,
): Captured {
  const source = sourceOf(fn);
  const { script, line, column } = location;
  const made = originOf(fn);
  const info = script.isModule ? undefined : scriptInfo(script.id);
  const origin = made ?? info?.origin;
  const url =
    origin?.url ??
    (script.url.startsWith('node:') ? '' : (importableUrl(script.url) ?? script.url));
  // Sloppy functions have this property; what never has it is as its script is.
  const strict = info === undefined || (info.strict && !Object.hasOwn(fn, 'caller'));
  const variables: Variable[] = [];
  const imports: Record<string, ImportedFrom> = {};
  const own: string[] = source.usesMeta ? ['meta'] : [];
  const early = source.names.filter((name) => source.early.has(name));
  for (const name of [...early, ...source.names.filter((name) => !source.early.has(name))]) {
    if (name === `${prefix}meta`) {
      if (!own.includes('meta')) own.push('meta');
      continue;
    }
    if (name === 'this') {
      variables.push({ name, value: thisValue(fn, source), scope: undefined, unique: false });
      continue;
    }
    const found = find(name, location);
    if (found === undefined) continue; // a global, or a variable that has no value yet
    const imported = origin?.imports[name] ?? importOf(name, found, location, url);
    const member = source.members.get(name);
    if (isModuleVariable(name, found.value)) own.push(name);
    else if (
      imported !== undefined &&
      !isSimple(found.value) &&
      (mainByName || !isMainModule(resolved(imported)))
    )
      imports[name] = imported;
    else if (isModuleLike(found.value) && member !== undefined)
      variables.push({ ...found, value: onlyMembers(found.value, member), scope: undefined });
    else variables.push(found);
  }
  return {
    fn,
    source,
    url,
    strict,
    line: made?.line ?? line,
    column: made?.column ?? column,
    variables,
    imports,
    own,
  };
}

/** `require` and `module` of CommonJS are made anew where they are needed. */
function isModuleVariable(name: string, value: unknown): boolean {
  if (name === 'require') return typeof value === 'function' && 'resolve' in value;
  return name === 'module' && typeof value === 'object' && value !== null && 'children' in value;
}

function thisValue(fn: AnyFunction, source: FunctionSource): unknown {
  if (canStop(source)) return thisOf(fn, source);
  throw new PicklingError('its `this` cannot be known');
}

/** What a relative specifier stands for; others are never the main module. */
function resolved([url, specifier]: ImportedFrom): string {
  return /^\.{0,2}\//.test(specifier) ? new URL(specifier, url).href : specifier;
}

/** Functions and primitive values of other modules are found by themselves, without an import. */
function isSimple(value: unknown): boolean {
  return value === undefined || value === null || /^(function|boolean)$/.test(typeof value);
}

function find(name: string, { script, scopes, variables }: FunctionLocation): Variable | undefined {
  for (const [i, scope] of scopes.entries()) {
    if (scope === 'Global') return undefined;
    const copied = variables[i] as Record<string, unknown>;
    if (copied === undefined || !Object.hasOwn(copied, name)) continue;
    let value: unknown;
    try {
      value = copied[name];
    } catch {
      return undefined; // not initialised yet
    }
    const outermost = scope === 'Closure' && scopes[i + 1] === 'Global';
    return {
      name,
      value,
      scope: `${script.id}:${scopes.length - i}:${scope}:${Object.keys(copied).join()}`,
      unique: scope === 'Module' || scope === 'Script' || outermost,
    };
  }
  return undefined;
}

function importOf(
  name: string,
  { value, unique }: Variable,
  { script }: FunctionLocation,
  url: string,
): ImportedFrom | undefined {
  if (!unique) return undefined;
  if (script.isModule) {
    const imported = importedVariables(script.id, () => scriptSource(script.id)).get(name);
    return imported && [url, imported.specifier, imported.name];
  }
  if (typeof value !== 'object' || value === null || moduleVariables.has(name)) return undefined;
  const exported = commonJsModuleOf(value);
  if (exported !== undefined) return ['', exported, 'default'];
  if (!isModuleLike(value)) return undefined;
  // What compilers make of require(): with the module itself as `default`, or of one that says that it was an ES module.
  const { default: whole } = value;
  const wrapped = typeof whole === 'object' && whole !== null ? commonJsModuleOf(whole) : undefined;
  if (wrapped !== undefined) return ['', wrapped, '*'];
  const copied = findCommonJs((exports) => hasSameMembers(exports, value));
  return copied === undefined ? undefined : ['', copied, 'default'];
}

function commonJsModuleOf(value: object): string | undefined {
  return builtinModuleOf(value) ?? findCommonJs((exports) => exports === value);
}

function hasSameMembers(exports: unknown, copy: Record<string, unknown>): boolean {
  if (typeof exports !== 'object' || exports === null) return false;
  const keys = Object.keys(copy);
  return keys.every(
    (key) => Object.hasOwn(exports, key) && (exports as typeof copy)[key] === copy[key],
  );
}

function builtinModuleOf(value: object): string | undefined {
  const { builtinModules } = process.getBuiltinModule('node:module');
  const loaded = new Set((process as { moduleLoadList?: string[] }).moduleLoadList);
  const name = builtinModules.find(
    (each) =>
      loaded.has(`NativeModule ${each}`) && process.getBuiltinModule(`node:${each}`) === value,
  );
  return name === undefined ? undefined : `node:${name}`;
}

/** A module's namespace, or what a compiler makes of one: an object of getters, or one that says `__esModule`. */
function isModuleLike(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  if (Object.prototype.toString.call(value) === '[object Module]') return true;
  const { __esModule: marked } = Object.getOwnPropertyDescriptors(value) as Record<
    string,
    PropertyDescriptor
  >;
  if (marked !== undefined) return true;
  const { default: _, ...others } = Object.getOwnPropertyDescriptors(value) as Record<
    string,
    PropertyDescriptor
  >;
  const all = Object.values(others);
  return all.length > 0 && all.every(({ get }) => get !== undefined);
}

function onlyMembers(module: Record<string, unknown>, members: readonly string[]): object {
  return Object.fromEntries(members.map((member) => [member, module[member]]));
}

/** What a script that is no ES module says of the functions in it. */
interface ScriptInfo {
  readonly strict: boolean;
  /** Of a script that was made from a message here. */
  readonly origin: Origin | undefined;
}

const scriptInfos = new Map<string, ScriptInfo>();

function scriptInfo(scriptId: string): ScriptInfo {
  let info = scriptInfos.get(scriptId);
  if (info === undefined) {
    const text = scriptSource(scriptId);
    const origin = originOfScript(text);
    const directive = /^(#![^\n]*\n)?(\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)*['"]use strict['"]/;
    info = { strict: origin?.strict ?? directive.test(text), origin };
    scriptInfos.set(scriptId, info);
  }
  return info;
}
