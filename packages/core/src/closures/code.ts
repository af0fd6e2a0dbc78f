/**
 * The code of a message with functions by value: what the sender writes down of each function, and how the receiver
 * makes it again. It is compiled as a script whose file is that of the original, so that errors show it and import()
 * starts there.
 */
import type { Script } from 'node:vm';
import { UnpicklingError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { type Name, nameExports, noteOrigin, ORIGINS, remember } from '../base/names.ts';
import { carryModule } from '../process/main_module.ts';
import { Cell, cellName, declareShort, ownOf, placeInCell } from './cells.ts';
import { allowImports, Imports } from './importer.ts';
import { type ImportedFrom, requireOf } from './loaded.ts';
import { restorePrototype } from './prototypes.ts';
import { registerMaps, type SourceMapPart } from './source_maps.ts';
import {
  addStamp,
  countPrivates,
  member,
  type PrivateAccess,
  setPrivates,
  stamp,
} from './stamps.ts';
import { ARGUMENTS, HERITAGE, MARK, NAME, prefix, THIS } from './stand_ins.ts';

/** What `module.exports` is called among the variables of a function. @internal */
export const EXPORTS = `${prefix}exports`;

nameExports(import.meta.url, { Cell });

/** Where a function stands, for itself and for what is sent on from there. @internal */
export interface Origin {
  /** A `file:` URL, a path, or nothing. */
  readonly url: string;
  /** Where it is not as long as the original: its own URL, under which a map of its own shows the places of that. */
  readonly shown?: string | undefined;
  /** Of its first character, counted from 0. */
  readonly line: number;
  readonly column: number;
  readonly strict: boolean;
  /** Imported variables, by name. */
  readonly imports: Readonly<Record<string, ImportedFrom>>;
}

/** A function in the table. @internal */
export interface FunctionCode extends Origin {
  readonly text: string;
  readonly name: string;
  /** The name by which the sender's own family knows it, if it has one: the receiver uses it, too. */
  readonly global: Name | undefined;
  readonly isMember: boolean;
  readonly extends: boolean;
  /** Variables whose values stand in the message, those first that a class needs when it is made. */
  readonly variables: readonly string[];
  readonly early: number;
  /** Which of the variables are which cells. */
  readonly cells: Readonly<Record<string, number>>;
  /** Which are variables of the receiving process, and what they are called there. */
  readonly globals?: Readonly<Record<string, string>>;
  /** Variables that are the module's own: `meta`, `module`, `require`. */
  readonly own: readonly string[];
  readonly statics: readonly string[];
  /** The private fields of instances, if such are in the message. */
  readonly privates?: readonly string[] | undefined;
  readonly hasPrototype: boolean;
}

/** What a function is made by. */
interface Maker {
  readonly set: readonly ((value: unknown) => void)[];
  readonly make: () => AnyFunction;
}

interface Surroundings {
  readonly cells: readonly Cell[];
  readonly name: string;
  readonly heritage: unknown;
  readonly own: Readonly<Record<string, unknown>>;
  /** The setters of private static fields. */
  statics: Readonly<Record<string, (value: unknown) => void>>;
  privates: PrivateAccess | undefined;
}

/** The functions that were made here from a message. */
const origins = new WeakMap<AnyFunction, Origin>();

/** Where scripts come from that were compiled here, by their text. */
const originsOfScripts = new Map<string, Origin>();

/** Where the code of a script comes from, if it was compiled for a message. @internal */
export function originOfScript(text: string): Origin | undefined {
  return originsOfScripts.get(text);
}

/** Where a function comes from that was made here from a message. @internal */
export function originOf(fn: AnyFunction): Origin | undefined {
  return origins.get(fn);
}

/** What the message gives a function, in this order. @internal */
export interface Values {
  next(): unknown;
  /** Is told of the function when it is there, before the rest is read: it may refer to it. */
  made(fn: AnyFunction): void;
}

/** What stands before a message. @internal */
export interface Table {
  readonly functions: readonly FunctionCode[];
  /** Functions and modules that are not in a variable, and imported all the same. */
  readonly imports: readonly ImportedFrom[];
  /** Of scripts whose errors are shown in another file, by their URLs. */
  readonly maps?: Readonly<Record<string, SourceMapPart>> | undefined;
}

/** The code of one message, on the receiving side. @internal */
export class CodeTable {
  readonly #table: Table;
  readonly #cells: Cell[] = [];
  readonly #imports = new Imports();

  /** @throws UnpicklingError unless it is a table */
  constructor(json: string) {
    const table = JSON.parse(json) as Table;
    if (!Array.isArray(table.functions) || !Array.isArray(table.imports))
      throw new UnpicklingError('the message has no table of its functions');
    this.#table = { ...table, functions: declareShort(table.functions) };
  }

  /** Imports the modules that the message uses, and has errors show the right places. */
  async load(): Promise<void> {
    const { functions, imports, maps } = this.#table;
    if (maps !== undefined) registerMaps(maps);
    for (const code of functions)
      for (const from of Object.values(code.imports)) await this.#imports.load(from);
    for (const from of imports) await this.#imports.load(from);
  }

  /** What is imported, and is no variable. @throws UnpicklingError */
  imported(index: number): unknown {
    const from = this.#table.imports[index];
    if (from === undefined) throw new UnpicklingError('the message has no such import');
    return this.#imports.get(from);
  }

  /** Makes a function. @throws UnpicklingError */
  make(index: number, values: Values): AnyFunction {
    const code = this.#table.functions[index];
    if (code === undefined) throw new UnpicklingError('the message has no such function');
    const surroundings: Surroundings = {
      cells: Object.values(code.cells).map((cell) => this.#cell(cell)),
      name: code.name,
      heritage: code.extends ? values.next() : undefined,
      own: ownVariables(code),
      statics: {},
      privates: undefined,
    };
    const maker = compile(code)(surroundings);
    let i = 0;
    for (; i < code.early; i++) maker.set[i]?.(values.next());
    for (const [at, from] of Object.values(code.imports).entries())
      maker.set[code.variables.length + at]?.(this.#imports.get(from));
    const fn = maker.make();
    keepName(fn, code.name);
    origins.set(fn, code);
    if (surroundings.privates !== undefined)
      addStamp(fn, {
        ...surroundings.privates,
        extends: code.extends,
        fields: code.privates ?? [],
      });
    if (code.global?.module === ORIGINS) noteOrigin(fn, code.global);
    else if (code.global !== undefined) remember(fn, code.global);
    values.made(fn);
    for (; i < code.variables.length; i++) maker.set[i]?.(values.next());
    for (const name of code.statics) surroundings.statics[name]?.(values.next());
    if (code.hasPrototype) restorePrototype(fn, values.next(), values.next(), values.next());
    return fn;
  }

  /** Gives an object the private members of its classes; makes it, if it is not there. */
  stamp(object: object | undefined, classes: readonly AnyFunction[]): object {
    return stamp(object, classes);
  }

  /** A function that only its class can make. @throws UnpicklingError */
  member(cls: AnyFunction, object: unknown, name: string): AnyFunction {
    const fn = member(cls, object, name);
    if (typeof fn !== 'function')
      throw new UnpicklingError(`the message has no class with a ${name}`);
    return fn as AnyFunction;
  }

  /** Sets its private fields. @throws UnpicklingError */
  setPrivates(
    object: object,
    classes: readonly AnyFunction[],
    count: number,
    next: () => unknown,
  ): void {
    if (count === 0) return;
    if (count !== countPrivates(classes))
      throw new UnpicklingError('the message has not what the private fields of its classes are');
    setPrivates(object, classes, next);
  }

  #cell(index: number): Cell {
    const cell = this.#cells[index] ?? new Cell();
    this.#cells[index] = cell;
    return cell;
  }
}

function keepName(fn: AnyFunction, name: string): void {
  if (fn.name === name || typeof fn.name !== 'string') return;
  Object.defineProperty(fn, 'name', { value: name, configurable: true });
}

/** The variables that belong to a module, made anew for it. */
function ownVariables({ own, url }: FunctionCode): Record<string, unknown> {
  const variables: Record<string, unknown> = {};
  if (own.includes('meta')) variables.meta = metaOf(url);
  if (own.includes('require')) variables.require = requireOf(url);
  if (own.includes('module')) variables.module = moduleOf(url);
  return variables;
}

/** `import.meta` of a module that was not imported here. @internal */
export class Meta {
  readonly url: string;
  readonly filename: string | undefined;
  readonly dirname: string | undefined;
  readonly resolve: (specifier: string) => string;

  constructor(url: string) {
    this.url = url;
    const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url');
    const { dirname } = process.getBuiltinModule('node:path');
    this.filename = url.startsWith('file:') ? fileURLToPath(url) : undefined;
    this.dirname = this.filename === undefined ? undefined : dirname(this.filename);
    this.resolve = (specifier) => {
      if (/^(\.{0,2}\/|[a-z]+:)/.test(specifier)) return new URL(specifier, url).href;
      const found = requireOf(url).resolve(specifier);
      return found.startsWith('/')
        ? pathToFileURL(found).href
        : `node:${found.replace(/^node:/, '')}`;
    };
  }
}

const metas = new Map<string, Meta>();

function metaOf(url: string): Meta {
  const meta = metas.get(url) ?? carryModule(new Meta(url));
  metas.set(url, meta);
  return meta;
}

/** What a function may ask of the `module` of a CommonJS module that was not loaded here. */
function moduleOf(url: string): object {
  const { filename, dirname: path } = metaOf(url);
  return carryModule({ id: filename, filename, path, loaded: true, children: [], exports: {} });
}

/** Scripts by their text and place: a server's children, and one message, often have the same. */
const scripts = new Map<string, Script>();

function compile(code: FunctionCode): (surroundings: Surroundings) => Maker {
  const { own, variables, imports, cells, globals = {}, text, isMember } = code;
  const plain = [...variables, ...Object.keys(imports)];
  const setters = plain.map((name) => {
    const cell = ownOf(cells, name);
    const place = ownOf(globals, name) ?? placeOf(name);
    const target = cell === undefined ? place : placeInCell(name, cell);
    return `(${prefix}value) => { ${target} = ${prefix}value; }`;
  });
  const declared = plain
    .filter((name) => (ownOf(cells, name) ?? ownOf(globals, name)) === undefined)
    .filter((name) => name !== EXPORTS)
    .map(nameIn);
  const head = [
    `(function (${prefix}) {`,
    code.strict ? '"use strict";' : '',
    declared.length > 0 ? `let ${declared.join(', ')};` : '',
    ...Object.values(cells).map((cell, i) => `const ${cellName(cell)} = ${prefix}.cells[${i}];`),
    ...own.map((name) => `const ${ownName(name)} = ${prefix}.own.${name};`),
    code.extends ? `const ${HERITAGE} = ${prefix}.heritage;` : '',
    `const ${NAME} = ${prefix}.name;`,
    code.statics.length > 0
      ? `const ${prefix}statics = (all) => { ${prefix}.statics = all; };`
      : '',
    text.includes(MARK) || code.privates !== undefined ? `let ${MARK};` : '',
    code.privates === undefined
      ? ''
      : `const ${prefix}privates = (get, set) => { ${prefix}.privates = { get, set, mark: (value) => { ${MARK} = value; } }; };`,
    `return { set: [${setters.join(', ')}], make: () => `,
    isMember ? '({' : `({ [${NAME}]: (`,
  ].join(' ');
  const tail = isMember ? '\n}) } })' : `\n) })[${NAME}] } })`;
  const made = script(head, text, tail, code).runInThisContext() as (
    surroundings: Surroundings,
  ) => { set: Maker['set']; make: () => unknown };
  if (!isMember) return made as (surroundings: Surroundings) => Maker;
  return (surroundings) => {
    const { set, make } = made(surroundings);
    return { set, make: () => onlyMember(make() as object) };
  };
}

function nameIn(name: string): string {
  if (name === 'this') return THIS;
  return name === 'arguments' ? ARGUMENTS : name;
}

const placeOf = (name: string) =>
  name === EXPORTS ? `${prefix}.own.module.exports` : nameIn(name);

const ownName = (name: string) => (name === 'meta' ? `${prefix}meta` : name);

/** A method, getter or setter, from the object literal that it stands in. */
function onlyMember(literal: object): AnyFunction {
  const [key] = Reflect.ownKeys(literal);
  const { value, get, set } = Object.getOwnPropertyDescriptor(literal, key as string) ?? {};
  return (value ?? get ?? set) as AnyFunction;
}

function script(head: string, text: string, tail: string, origin: Origin): Script {
  const { url, shown = url, line, column } = origin;
  const whole = head + text + tail;
  const key = `${shown}:${line}:${column}\n${whole}`;
  let known = scripts.get(key);
  if (known === undefined) {
    const { Script, constants } = process.getBuiltinModule('node:vm');
    if (/\bimport\b/.test(text)) allowImports();
    known = new Script(whole, {
      filename: shown || 'evaluated',
      lineOffset: line,
      columnOffset: column - head.length,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    scripts.set(key, known);
    originsOfScripts.set(whole, origin);
  }
  return known;
}
