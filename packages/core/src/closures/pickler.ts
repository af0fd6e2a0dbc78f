/**
 * A pickler for which functions and classes without a name are no obstacle: they travel by value.
 */

import { types } from 'node:util';
import { PicklingError } from '../base/errors.ts';
import type { AnyFunction, Name } from '../base/names.ts';
import * as code from '../pickle/codes.ts';
import { locateFunction, privateFields } from '../pickle/function_inspector.ts';
import { publicError } from '../pickle/message.ts';
import { enumerableSymbols, Pickler } from '../pickle/pickler.ts';
import { describe, findName, isBuiltin } from '../pickle/qualname.ts';
import { isMainModule } from '../process/main_module.ts';
import { type Captured, capture, type Variable } from './capture.ts';
import { firstFree, placeInCell } from './cells.ts';
import type { FunctionCode, Table } from './code.ts';
import { rememberedImport, rememberImport } from './importer.ts';
import { isOfMain } from './imports.ts';
import { builtinModule, type ImportedFrom, requiredAs } from './loaded.ts';
import { canStop, isShared } from './probe.ts';
import { ARGUMENTS, render } from './source.ts';
import { mapsOf, type Placed } from './source_maps.ts';

/** What of a function is in the message besides its variables. */
interface Parts {
  readonly captured: Captured;
  readonly global: Name | undefined;
  readonly statics: readonly string[];
  readonly prototype: readonly [own: Record<string, unknown>, parent: unknown] | undefined;
}

/** @internal */
export class ClosurePickler extends Pickler {
  readonly #mainByName: boolean;
  #parts: Parts[] = [];
  #imports: ImportedFrom[] = [];
  #heritage = new Set<AnyFunction>();

  /** @param mainByName whether the receiver imports the main module, so that its exports have names there */
  constructor(mainByName: boolean) {
    super();
    this.#mainByName = mainByName;
  }

  /** The table of code of what was pickled last, as JSON; undefined if everything in it has a name. */
  takeTable(): string | undefined {
    const [parts, imports] = [this.#parts, this.#imports];
    this.#forget();
    if (parts.length === 0 && imports.length === 0) return undefined;
    const placed: Placed[] = [];
    const functions = tableOf(parts, placed);
    return JSON.stringify({ functions, imports, maps: mapsOf(placed) } satisfies Table);
  }

  protected override get namedClasses(): boolean {
    return false;
  }

  protected override clear(): void {
    super.clear();
    this.#heritage = new Set();
  }

  protected override publicError(error: unknown): unknown {
    this.#forget();
    return publicError(error, pathInWords);
  }

  #forget(): void {
    this.#parts = [];
    this.#imports = [];
  }

  /** Writes a function or module that the receiver imports as a module of this program has. */
  #imported(value: object): boolean {
    const from = rememberedImport(value);
    if (from === undefined || (!this.#mainByName && isOfMain(from))) return false;
    this.byte(code.IMPORTED);
    this.varint(this.#imports.push(from) - 1);
    this.add(value);
    return true;
  }

  protected override module(value: object): boolean {
    const builtin = builtinModule(value);
    if (builtin !== undefined) rememberImport(value, requiredAs(builtin));
    else if (!types.isModuleNamespaceObject(value) && rememberedImport(value)?.copy === undefined)
      return false;
    return this.#imported(value);
  }

  protected override unbound(fn: AnyFunction): void {
    if (this.#imported(fn)) return;
    const found = this.refusing(() => findName(fn));
    const isMade = 'module' in found && found.module === 'globalThis' && !isBuiltin(fn);
    if ('module' in found && !isMade && (this.#mainByName || !isMainModule(found.module))) {
      this.global(fn, found);
      return;
    }
    const captured = this.refusing(() => capturing(fn, found, this.#mainByName));
    if (captured.source.extends && !this.#heritage.has(fn)) {
      // What it extends may refer to it, and be the first that does.
      this.#heritage.add(fn);
      this.byte(code.AFTER);
      this.part(' → extends', Object.getPrototypeOf(fn));
      this.function(fn);
      return;
    }
    this.#byValue(captured, 'module' in found && !isMade ? found : undefined);
  }

  #byValue(captured: Captured, global: Name | undefined): void {
    const { fn, source, variables } = captured;
    const extra = extraProperties(captured);
    const symbols = enumerableSymbols(fn);
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    if (extra.length > 0) this.byte(code.PROPERTIES);
    const statics = source.staticPrivates.length > 0 ? privateFields(fn) : undefined;
    const prototype = prototypeOf(captured);
    const index =
      this.#parts.push({ captured, global, statics: source.staticPrivates, prototype }) - 1;
    this.byte(code.CLOSURE);
    this.varint(index);
    if (source.extends) this.value(Object.getPrototypeOf(fn));
    for (const variable of variables.filter(({ name }) => source.early.has(name)))
      this.#variable(variable);
    this.add(fn);
    for (const variable of variables.filter(({ name }) => !source.early.has(name)))
      this.#variable(variable);
    for (const name of source.staticPrivates) this.part(` → static "${name}"`, statics?.get(name));
    if (prototype !== undefined) {
      this.part(' → prototype', prototype[0]);
      this.part(' → prototype', prototype[1]);
    }
    if (extra.length > 0) this.properties(fn as unknown as Record<string, unknown>, extra);
    this.symbolProperties(fn, symbols);
  }

  #variable({ name, value }: Variable): void {
    const sent =
      Object.prototype.toString.call(value) === '[object Arguments]'
        ? Array.from(value as [])
        : value;
    this.part(name === 'this' ? ' → this' : ` → scope "${name}"`, sent);
  }
}

function capturing(
  fn: AnyFunction,
  found: ReturnType<typeof findName>,
  mainByName: boolean,
): Captured {
  try {
    return capture(fn, 'location' in found ? found.location : located(fn), mainByName);
  } catch (error) {
    if (!(error instanceof PicklingError)) throw error;
    throw new PicklingError(`${describe(fn)} cannot be sent: ${error.message}`, { cause: error });
  }
}

function located(fn: AnyFunction) {
  const location = locateFunction(fn);
  if (location === undefined) throw new PicklingError('it is native code');
  return location;
}

/** `target → scope "db" → property "socket"`. */
function pathInWords(segments: readonly string[]): string {
  return segments
    .map((segment) => {
      if (segment.startsWith(' → ')) return segment.slice(3);
      if (segment.startsWith('._')) return segment.slice(2);
      const name = /^\.([^.]+)$/.exec(segment)?.[1];
      return name === undefined ? segment : `property "${name}"`;
    })
    .join(' → ');
}

/** What its source does not give it: own properties, and those static ones that have a value by now. */
function extraProperties({ fn, source }: Captured): string[] {
  return Object.keys(fn).filter(
    (key) => !(source.isClass && isUnchanged(fn, key, `static ${key}`, source)),
  );
}

function isUnchanged(
  holder: object,
  key: string,
  member: string,
  { classMembers }: Captured['source'],
): boolean {
  const text = classMembers.get(member);
  if (text === undefined) return false;
  const { value, get, set } = Object.getOwnPropertyDescriptor(holder, key) ?? {};
  const fn: unknown = value ?? get ?? set;
  return typeof fn === 'function' && Function.prototype.toString.call(fn) === text;
}

/** What a function's prototype has that its source does not give it. */
function prototypeOf({ fn, source }: Captured): Parts['prototype'] {
  const descriptor = Object.getOwnPropertyDescriptor(fn, 'prototype');
  const prototype: unknown = descriptor?.value;
  if (typeof prototype !== 'object' || prototype === null || source.isGenerator) return undefined;
  const keys = Object.keys(Object.getOwnPropertyDescriptors(prototype)).filter(
    (key) => key !== 'constructor' && !(source.isClass && isKept(prototype, key, source)),
  );
  const parent: unknown = Object.getPrototypeOf(prototype);
  const usual = source.isClass || parent === Object.prototype;
  if (keys.length === 0 && usual) return undefined;
  const own = Object.fromEntries(
    keys.map((key) => [key, (prototype as Record<string, unknown>)[key]]),
  );
  return [own, usual ? undefined : parent];
}

function isKept(prototype: object, key: string, source: Captured['source']): boolean {
  const { get, set } = Object.getOwnPropertyDescriptor(prototype, key) ?? {};
  if (get !== undefined || set !== undefined) return true;
  if (!source.classMembers.has(key)) return source.hasComputed;
  return isUnchanged(prototype, key, key, source);
}

/** The table of all functions of a message. @param placed is told where they stand */
function tableOf(parts: readonly Parts[], placed: Placed[]): FunctionCode[] {
  const cells = sharedVariables(parts.map(({ captured }) => captured));
  return parts.map(({ captured, global, statics, prototype }, i) => {
    const { fn, source, url, line, column, strict, variables, imports, own } = captured;
    const names = variables.map(({ name }) => name);
    const early = names.filter((name) => source.early.has(name));
    const shared = cells[i] as Record<string, number>;
    const renamed = (name: string) => {
      if (name in shared) return placeInCell(name, shared[name] as number);
      return name === 'arguments' ? ARGUMENTS : undefined;
    };
    const { text, moves } = render(source, renamed);
    placed.push({ url, line, column, text: source.text, moves });
    return {
      text,
      url,
      line,
      column,
      strict,
      name: typeof fn.name === 'string' ? fn.name : '',
      global,
      isMember: source.isMember,
      extends: source.extends,
      variables: [...early, ...names.filter((name) => !early.includes(name))],
      early: early.length,
      cells: shared,
      own,
      imports,
      statics,
      hasPrototype: prototype !== undefined,
    };
  });
}

/**
 * Finds the variables that several functions have, and that one of them assigns to.
 * @returns for each function the numbers of these, by name
 */
function sharedVariables(functions: readonly Captured[]): Record<string, number>[] {
  const cells = functions.map((): Record<string, number> => ({}));
  const users = new Map<string, { index: number; variable: Variable }[]>();
  for (const [index, { variables }] of functions.entries()) {
    for (const variable of variables) {
      if (variable.scope === undefined) continue;
      const key = `${variable.scope}\n${variable.name}`;
      const all = users.get(key) ?? [];
      users.set(key, all);
      all.push({ index, variable });
    }
  }
  let count = firstFree(functions.map(({ source }) => source.text));
  for (const all of users.values()) {
    const { name } = (all[0] as { variable: Variable }).variable;
    const assigns = ({ index }: { index: number }) =>
      functions[index]?.source.assigned.has(name) ?? false;
    if (all.length < 2 || !all.some(assigns)) continue;
    for (const group of sameVariables(all, functions)) {
      if (group.length < 2 || !group.some(assigns)) continue;
      for (const { index } of group) (cells[index] as Record<string, number>)[name] = count;
      count++;
    }
  }
  return cells;
}

type User = { index: number; variable: Variable };

/** Of those whose variable might be the same, which have the same. */
function sameVariables(all: readonly User[], functions: readonly Captured[]): User[][] {
  const groups: User[][] = [];
  for (const user of all) {
    const group = groups.find((group) => isSame(group, user, functions));
    if (group === undefined) groups.push([user]);
    else group.push(user);
  }
  return groups;
}

function isSame(group: readonly User[], user: User, functions: readonly Captured[]): boolean {
  const [first] = group as [User];
  const { variable } = user;
  if (!Object.is(first.variable.value, variable.value)) return false;
  if (variable.unique) return true;
  const other = functions[user.index] as Captured;
  const stoppable = group.find(({ index }) => canStop((functions[index] as Captured).source));
  if (stoppable !== undefined) {
    const { fn, source } = functions[stoppable.index] as Captured;
    return isShared(fn, source, other.fn, variable.name);
  }
  const { fn } = functions[first.index] as Captured;
  // Neither of two generator functions can be looked into: with the same value at the same place they count as one.
  return !canStop(other.source) || isShared(other.fn, other.source, fn, variable.name);
}
