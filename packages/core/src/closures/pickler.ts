/**
 * A pickler for which functions and classes without a name are no obstacle: they travel by value.
 */

import { types } from 'node:util';
import { PicklingError } from '../base/errors.ts';
import { type AnyFunction, type Name, ORIGINS, originName } from '../base/names.ts';
import { type ClassRules, privateRefusal, reducers } from '../pickle/classes.ts';
import * as code from '../pickle/codes.ts';
import { reduceSymbol } from '../pickle/codes.ts';
import { locateFunction, type PrivateState, privateState } from '../pickle/function_inspector.ts';
import { publicError } from '../pickle/message.ts';
import { enumerableSymbols, Pickler } from '../pickle/pickler.ts';
import { describe, findName, isBuiltin } from '../pickle/qualname.ts';
import { isMainModule } from '../process/main_module.ts';
import { type Captured, capture, type Variable } from './capture.ts';
import { ownOf, placeInCell } from './cells.ts';
import type { FunctionCode, Table } from './code.ts';
import { rememberedImport, rememberImport } from './importer.ts';
import { isOfMain } from './imports.ts';
import { builtinModule, type ImportedFrom, requiredAs } from './loaded.ts';
import { fieldsOf, hasOwnState, kinOf, type Member, memberOf, privatesOf } from './privates.ts';
import { extraProperties, ownerOf, type Prototype, prototypeOf } from './prototypes.ts';
import { sharedVariables } from './shared_variables.ts';
import { render } from './source.ts';
import { hasMap, mapsOf, type Placed } from './source_maps.ts';
import { ARGUMENTS } from './stand_ins.ts';

/** What of a function is in the message besides its variables. */
interface Parts {
  readonly captured: Captured;
  readonly global: Name | undefined;
  readonly statics: readonly string[];
  readonly prototype: Prototype | undefined;
}

const unnamed: ClassRules = { byName: false, privates: false };
const withPrivates: ClassRules = { byName: false, privates: true };

type Found = ReturnType<typeof findName>;

/** Of an instance: its classes from the first on that has private members, and the values of its private fields. */
interface Stamps extends Pick<PrivateState, 'fields'> {
  readonly classes: readonly AnyFunction[];
}

/** @internal */
export class ClosurePickler extends Pickler {
  readonly #mainByName: boolean;
  readonly #answered: boolean;
  #parts: Parts[] = [];
  #imports: ImportedFrom[] = [];
  readonly #heritage = new Set<AnyFunction>();
  /** The classes of which instances with private members were met, each with one of them. */
  #stamped = new Map<AnyFunction, object>();
  /** Prototypes of which the class was met. */
  readonly #classes = new Set<object>();
  /** Those of them of which objects have no private members that could go by value. */
  readonly #ordinary = new Set<object>();
  /** Of the others, their classes from the first on that has private members. */
  readonly #declaring = new Map<object, readonly AnyFunction[]>();
  #hasPrototypes = false;
  readonly #found = new Map<AnyFunction, Found>();

  /**
   * @param mainByName whether the receiver imports the main module, so that its exports have names there
   * @param answered whether the receiver may send back what it has got
   */
  constructor(mainByName: boolean, answered = false) {
    super();
    this.#mainByName = mainByName;
    this.#answered = answered;
  }

  /** The table of code of what was pickled last, as JSON; undefined if everything in it has a name. */
  takeTable(): string | undefined {
    const [parts, imports, stamped] = [this.#parts, this.#imports, this.#stamped];
    const isEmpty = parts.length === 0 && imports.length === 0 && !this.#hasPrototypes;
    this.#forget();
    if (isEmpty) return undefined;
    const placed: Placed[] = [];
    const functions = tableOf(parts, stamped, placed);
    return JSON.stringify({ functions, imports, maps: mapsOf(placed) } satisfies Table);
  }

  protected override classRules(proto: object | null): ClassRules {
    return proto !== null && this.#declaring.has(proto) ? withPrivates : unnamed;
  }

  protected override clear(): void {
    super.clear();
    this.#heritage.clear();
    this.#classes.clear();
    this.#declaring.clear();
    this.#ordinary.clear();
    this.#found.clear();
  }

  protected override publicError(error: unknown): unknown {
    this.#forget();
    return publicError(error, pathInWords);
  }

  #forget(): void {
    this.#parts = [];
    this.#imports = [];
    this.#hasPrototypes = false;
    this.#stamped = new Map();
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

  protected override recognise(value: object): ReturnType<Pickler['recognise']> {
    const shape = super.recognise(value);
    return shape === undefined || ownerOf(value) !== undefined ? undefined : shape;
  }

  /** Writes the prototype of a function, which the receiver makes with that. */
  #prototype(value: object): boolean {
    const owner = ownerOf(value);
    if (owner === undefined) return false;
    this.#hasPrototypes = true;
    this.byte(code.PROTOTYPE);
    this.function(owner);
    this.add(value);
    return true;
  }

  protected override module(value: object): boolean {
    if (this.#prototype(value)) return true;
    const builtin = builtinModule(value);
    if (builtin !== undefined) rememberImport(value, requiredAs(builtin));
    else if (!types.isModuleNamespaceObject(value) && rememberedImport(value)?.copy === undefined)
      return false;
    return this.#imported(value);
  }

  protected override other(value: object, proto: object | null): void {
    if (this.#prototype(value)) return;
    if (value === globalThis) {
      this.global(value, { module: 'globalThis', qualname: 'globalThis' });
      return;
    }
    if (proto === null || this.#ordinary.has(proto) || hasReducer(value, proto)) {
      super.other(value, proto);
      return;
    }
    if (this.#classFirst(value, proto)) return;
    const stamps = this.#stampsOf(value, proto);
    if (stamps !== undefined) this.#stampedObject(value, proto, stamps);
    else super.other(value, proto);
  }

  /** Writes the class of an object before it, since that may have the object. @returns whether it is written by that */
  #classFirst(value: object, proto: object): boolean {
    if (this.#classes.has(proto)) return false;
    this.#classes.add(proto);
    const { cls } = this.refusing(() => kinOf(value, proto));
    if (cls === undefined || this.isWritten(cls) || this.#goesByName(cls)) return false;
    this.byte(code.AFTER);
    this.function(cls);
    return this.reference(value);
  }

  /** What an instance of classes that go by value has of private members, if it has any. @throws Refusal unless all can be sent */
  #stampsOf(value: object, proto: object): Stamps | undefined {
    const classes = this.#declaringOf(value, proto);
    if (classes === null) {
      this.#ordinary.add(proto);
      return undefined;
    }
    const state = privateState(value);
    if (state.names.length === 0) return undefined; // it was not made by its constructor
    return this.refusing(() => {
      const named = classes.find((cls) => privatesOf(cls) !== undefined && this.#goesByName(cls));
      if (named !== undefined) throw privateRefusal(named, state.names);
      // What says itself what its state is, sets its private fields by that.
      return { classes, fields: hasOwnState(value) ? [] : fieldsOf(state, classes) };
    });
  }

  #declaringOf(value: object, proto: object): readonly AnyFunction[] | null {
    const known = this.#declaring.get(proto);
    if (known !== undefined) return known;
    const all = kinOf(value, proto).suspects;
    // Where all go by name, nothing of them need be parsed.
    const byValue = all.filter((cls) => !this.#goesByName(cls));
    if (!byValue.some((cls) => privatesOf(cls) !== undefined)) return null;
    const classes = all.slice(all.findIndex((cls) => privatesOf(cls) !== undefined));
    this.#declaring.set(proto, classes);
    return classes;
  }

  #stampedObject(value: object, proto: object, { classes, fields }: Stamps): void {
    this.byte(code.STAMPED);
    this.varint(classes.length);
    for (const cls of classes) {
      if (!this.#stamped.has(cls)) this.#stamped.set(cls, value);
      this.function(cls);
    }
    super.other(value, proto);
    this.varint(fields.length);
    for (const [name, field] of fields) this.part(` → private "${name}"`, field);
  }

  #find(fn: AnyFunction): Found {
    const found = this.#found.get(fn) ?? this.refusing(() => findName(fn));
    this.#found.set(fn, found);
    return found;
  }

  /** The name by which the receiver finds a function, if it does. */
  #nameThere(fn: AnyFunction): Name | undefined {
    const found = this.#find(fn);
    if (!('module' in found) || isMade(fn, found) || found.module === ORIGINS) return undefined;
    return this.#mainByName || !isMainModule(found.module) ? found : undefined;
  }

  #goesByName(cls: AnyFunction): boolean {
    const from = rememberedImport(cls);
    if (from !== undefined && (this.#mainByName || !isOfMain(from))) return true;
    return this.#nameThere(cls) !== undefined;
  }

  protected override unbound(fn: AnyFunction, self?: unknown): void {
    if (this.#imported(fn)) return;
    const name = this.#nameThere(fn);
    if (name !== undefined) {
      this.global(fn, name);
      return;
    }
    const found = this.#find(fn);
    const member = this.refusing(() => saying(fn, () => memberOf(fn, self, this.#stamped)));
    if (member !== undefined) {
      this.#member(fn, member);
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
    this.#byValue(captured, 'module' in found && !isMade(fn, found) ? found : this.#origin(fn));
  }

  /** The name by which the receiver can send a function back that has none, where it may want to. */
  #origin(fn: AnyFunction): Name | undefined {
    return this.#answered ? originName(fn) : undefined;
  }

  /** A function that is made by its class. */
  #member(fn: AnyFunction, { cls, object, name }: Member): void {
    const extra = Object.keys(fn);
    const symbols = enumerableSymbols(fn);
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    if (extra.length > 0) this.byte(code.PROPERTIES);
    this.byte(code.MEMBER);
    this.function(cls);
    this.part(' → this', object);
    this.string(name);
    this.add(fn);
    if (extra.length > 0) this.properties(fn as unknown as Record<string, unknown>, extra);
    this.symbolProperties(fn, symbols);
  }

  #byValue(captured: Captured, global: Name | undefined): void {
    const { fn, source, variables } = captured;
    const extra = extraProperties(captured);
    const symbols = enumerableSymbols(fn);
    if (symbols.length > 0) this.byte(code.SYMBOL_PROPERTIES);
    if (extra.length > 0) this.byte(code.PROPERTIES);
    const statics = source.staticPrivates.length > 0 ? new Map(privateState(fn).fields) : undefined;
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
      this.part(' → prototype', prototype.values);
      this.part(' → prototype', prototype.others);
      this.part(' → prototype', prototype.parent);
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

/** Whether a class or an object says itself how it is pickled. */
function hasReducer(value: object, proto: object): boolean {
  return reducers.has(proto) || typeof Reflect.get(value, reduceSymbol) === 'function';
}

/** Whether it is a global that the program has made, which the receiver does not have. */
function isMade(fn: AnyFunction, { module }: Name): boolean {
  return module === 'globalThis' && !isBuiltin(fn);
}

function capturing(fn: AnyFunction, found: Found, mainByName: boolean): Captured {
  return saying(fn, () =>
    capture(fn, 'location' in found ? found.location : located(fn), mainByName),
  );
}

/** Says of which function a refusal is. */
function saying<T>(fn: AnyFunction, decide: () => T): T {
  try {
    return decide();
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

/** The table of all functions of a message. @param placed is told where they stand */
function tableOf(
  parts: readonly Parts[],
  stamped: ReadonlyMap<AnyFunction, object>,
  placed: Placed[],
): FunctionCode[] {
  const cells = sharedVariables(parts.map(({ captured }) => captured));
  return parts.map(({ captured, global, statics, prototype }, i) => {
    const { fn, source, url, line, column, strict, variables, imports, own } = captured;
    const mapped = captured.shown ?? url;
    const names = variables.map(({ name }) => name);
    const early = names.filter((name) => source.early.has(name));
    const shared = cells[i] as Record<string, number>;
    const renamed = (name: string) => {
      const cell = ownOf(shared, name);
      if (cell !== undefined) return placeInCell(name, cell);
      return name === 'arguments' ? ARGUMENTS : undefined;
    };
    const privates = stamped.has(fn) ? source.privates : undefined;
    const { text, moves } = render(source, renamed, privates !== undefined);
    const isMoved = moves.length > 0 && hasMap(mapped);
    const shown = isMoved ? `${url}#${line}:${column}` : captured.shown;
    placed.push({ url: mapped, shown: shown ?? url, line, column, text: source.text, moves });
    return {
      text,
      url,
      shown,
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
      privates,
      hasPrototype: prototype !== undefined,
    };
  });
}
