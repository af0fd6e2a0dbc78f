/**
 * What a function has of its surroundings at this moment: the values of the variables that it uses, and where they are.
 */

import { PicklingError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import type { FunctionLocation } from '../pickle/function_inspector.ts';
import { importableUrl } from '../pickle/qualname.ts';
import { scriptSource } from '../pickle/scripts.ts';
import { ownOf } from './cells.ts';
import { EXPORTS, type FunctionCode, type Origin, originOf, originOfScript } from './code.ts';
import { rememberImport } from './importer.ts';
import { importOf, isOfMain, noteImports } from './imports.ts';
import {
  type ImportedFrom,
  isBuiltinName,
  isCommonJs,
  isGlobalOfNode,
  isModuleLike,
  requireIn,
} from './loaded.ts';
import { canStop, thisOf } from './probe.ts';
import { type FunctionSource, sourceOf } from './source.ts';
import { MARK, prefix } from './stand_ins.ts';

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
  noteImports(moduleVariables(location), location, url);
  const surroundings = new Surroundings(source, location, url, mainByName, origin?.imports ?? {});
  const early = source.names.filter((name) => source.early.has(name));
  for (const name of [...early, ...source.names.filter((name) => !source.early.has(name))]) {
    if (name === 'this') surroundings.add(name, thisValue(fn, source));
    else surroundings.find(name);
  }
  const { variables, imports, own } = surroundings;
  const start = made ?? startOf(source, line, column);
  return {
    fn,
    source,
    url,
    shown: origin?.shown,
    strict,
    line: start.line,
    column: start.column,
    variables,
    imports,
    own,
  };
}

/** What is found of a function's surroundings. */
class Surroundings {
  readonly variables: Variable[] = [];
  readonly imports: Record<string, ImportedFrom> = {};
  readonly own: string[];
  readonly #source: FunctionSource;
  readonly #location: FunctionLocation;
  readonly #url: string;
  readonly #mainByName: boolean;
  readonly #known: Readonly<Record<string, ImportedFrom>>;

  /** @param known variables of which it is known how they are imported */
  constructor(
    source: FunctionSource,
    location: FunctionLocation,
    url: string,
    mainByName: boolean,
    known: Readonly<Record<string, ImportedFrom>>,
  ) {
    this.#source = source;
    this.#location = location;
    this.#url = url;
    this.#mainByName = mainByName;
    this.#known = known;
    this.own = source.usesMeta ? ['meta'] : [];
  }

  /** Adds what nobody shares. */
  add(name: string, value: unknown): void {
    this.variables.push({ name, value, scope: undefined, unique: false });
  }

  find(name: string): void {
    if (name === MARK) return;
    if (name === `${prefix}meta`) {
      if (!this.own.includes('meta')) this.own.push('meta');
      return;
    }
    const found = findIn(this.#location, name) ?? this.#global(name);
    if (found === undefined) {
      // One that is everywhere, or a variable that has no value yet.
      if (!this.#source.early.has(name) || name in globalThis) return;
      throw new PicklingError(
        `the name of one of its members is computed of '${name}', a variable that is kept only as long as something else` +
          ' uses it: use it in a method, too',
      );
    }
    const { value } = found;
    if (isModuleVariable(name, value)) {
      this.own.push(name);
      if (name === 'module') this.#addExports(value as NodeJS.Module);
      return;
    }
    if (this.#import(name, value, found.unique)) return;
    const members = this.#source.members.get(name);
    if (isModuleLike(value) && members !== undefined) this.add(name, onlyMembers(value, members));
    else this.variables.push(found);
  }

  #import(name: string, value: unknown, unique: boolean): boolean {
    const from =
      ownOf(this.#known, name) ??
      requireIn(value) ??
      importOf(name, value, unique, this.#location, this.#url);
    if (from === undefined || (!this.#mainByName && isOfMain(from))) return false;
    this.imports[name] = from;
    rememberImport(value, from);
    return true;
  }

  /** `module.exports`, which stands in the place of a variable. */
  #addExports({ exports }: NodeJS.Module): void {
    if (this.#import(EXPORTS, exports, true)) return;
    const members = this.#source.exported;
    if (members !== undefined && members.length === 0) return;
    const part = typeof exports === 'object' && exports !== null ? members : undefined;
    this.add(EXPORTS, part === undefined ? exports : onlyMembers(exports as object, part));
  }

  /**
   * A global that the program has made, as the functions and variables of a classic script and of the prompt are. Where the
   * receiver imports the main module, the globals that modules make are made there, too.
   */
  #global(name: string): Variable | undefined {
    const { script, scopes, variables } = this.#location;
    const isOfModule = script.isModule || isCommonJs(script.url);
    if (this.#mainByName && isOfModule) return undefined;
    const at = scopes.indexOf('Global');
    const holder = variables[at] ?? globalThis;
    const { get, enumerable, value } = Object.getOwnPropertyDescriptor(holder, name) ?? {};
    if (get !== undefined) {
      const isModule = isBuiltinName(name) && !/^(process|console)$/.test(name);
      const shown: unknown = isModule ? Reflect.get(holder, name) : undefined;
      return shown === undefined
        ? undefined
        : { name, value: shown, scope: undefined, unique: true };
    }
    const isShown = enumerable === true || isModuleVariable(name, value);
    if (!isShown || isGlobalOfNode(name)) return undefined;
    return { name, value, scope: 'Global', unique: true };
  }
}

/** Where its text begins, by where V8 says that it does. */
function startOf({ text, start }: FunctionSource, line: number, column: number) {
  const lines = text.slice(0, start).split('\n').length - 1;
  return { line: line - lines, column: lines === 0 ? column - start : 0 };
}

function moduleVariables({ scopes, variables }: FunctionLocation): (object | undefined)[] {
  const module = scopes.indexOf('Module');
  const last = scopes.indexOf('Global') - 1;
  // Of CommonJS the outermost is the module; under tsx, which has a function around it all, the next one.
  return module === -1 ? [variables[last], variables[last - 1]] : [variables[module]];
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

function findIn(
  { script, scopes, variables }: FunctionLocation,
  name: string,
): Variable | undefined {
  for (const [i, scope] of scopes.entries()) {
    if (scope === 'Global') return undefined;
    const copied = variables[i] as Record<string, unknown>;
    if (copied === undefined || !Object.hasOwn(copied, name)) continue;
    let value: unknown;
    try {
      value = copied[name];
    } catch {
      return { name, value: undefined, scope: undefined, unique: false }; // not initialised yet
    }
    const outermost = scope === 'Closure' && scopes[i + 1] === 'Global';
    const id = `${script.id}:${scopes.length - i}:${scope}:${Object.keys(copied).join()}`;
    return {
      name,
      value,
      // All classic scripts have one scope.
      scope: scope === 'Script' ? scope : id,
      unique: scope === 'Module' || scope === 'Script' || outermost,
    };
  }
  return undefined;
}

function onlyMembers(module: object, members: readonly string[]): object {
  return Object.fromEntries(members.map((member) => [member, Reflect.get(module, member)]));
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
    // A comment has but one end: were it to try others, many comments would take for ever.
    const directive =
      /^(#![^\n]*\n)?(\s|\/\/[^\n]*\n|\/\*(?:(?!\*\/)[\s\S])*\*\/)*['"]use strict['"]/;
    info = { strict: origin?.strict ?? directive.test(text), origin };
    scriptInfos.set(scriptId, info);
  }
  return info;
}
