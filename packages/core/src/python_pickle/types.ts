/**
 * The table of the Python classes and functions that a pickle may name: what is made of them here, and how objects of
 * this side are written under those names. Nothing that is not in the table is made. Rooms further up have tables of
 * their own on top of this one, for their messages only (PythonTypes), and a value that is passed along with each.
 */
import { ValueError } from '../base/errors.ts';

/** A class of JavaScript, with whatever constructor. */
export type AnyClass<T = unknown> = abstract new (...args: never[]) => T;

/** What is known while something is built, and until then only: the next one has the same object. */
export interface BuildCall {
  /** The name in the pickle: one of the names of the type. */
  readonly name: string;
  /** What was given along with the table: `loadsIn({ types, context })`. */
  readonly context: unknown;
  /** Whether the class's `__new__` is called, by NEWOBJ or `copyreg`, and not the class or function itself. */
  readonly newobj: boolean;
  /** Keyword arguments of `__new__`. */
  readonly kwargs: Readonly<Record<string, unknown>> | undefined;
  /** Counts bytes or items that are copied: all of a pickle may copy no more than it is long. @throws UnpicklingError */
  copies(count: number): void;
  /** What a name stands for that is not in the pickle itself, such as that of a class in a class. */
  find(name: string): GlobalName | undefined;
  /** Builds by another name that is among the arguments. @throws UnpicklingError */
  build(global: GlobalName, args: readonly unknown[]): unknown;
}

/** What is known while something gets its state. */
export type StateCall = Pick<BuildCall, 'context' | 'copies'>;

/** What is known while something is written. */
export interface ReduceCall {
  readonly protocol: number;
  /** What was given along with the table: `dumpsIn({ types, context })`. */
  readonly context: unknown;
}

/** What Python's `__reduce_ex__` returns. */
export interface Reduced {
  /** Instead of the first name of the type. */
  readonly name?: string;
  /** Among them may be a GlobalName, for a class or function. */
  readonly args: readonly unknown[];
  /** Whether Python is to call `cls.__new__(cls, *args)`, as it does for classes without a `__reduce__`. */
  readonly newobj?: boolean;
  /** For `__setstate__`, or the `__dict__`; none if undefined. */
  readonly state?: unknown;
  /** For a list's `extend`. */
  readonly items?: readonly unknown[];
  /** For a dict's `__setitem__`. */
  readonly pairs?: Iterable<readonly [key: unknown, value: unknown]>;
}

/** One row of the table. */
// biome-ignore lint/suspicious/noExplicitAny: rows of all classes are in one table
export interface PythonType<T = any> {
  /**
   * `module.Name`, or `module:Outer.Name` for what is not at the top of its module. All are read, the first is written.
   */
  readonly names: string | readonly string[];
  /**
   * Makes the object of the arguments of a call or of `__new__`. Undefined says that these are not its arguments.
   * A row without it can only be among the arguments of others.
   */
  readonly build?: (args: readonly unknown[], call: BuildCall) => T | undefined;
  /** Takes the state that `__setstate__` or the `__dict__` would get; it may come twice, or not at all. */
  readonly setState?: (obj: T, state: unknown, call: StateCall) => void;
  /** Takes the items of what is a list in Python; an Array needs none. */
  readonly append?: (obj: T, items: readonly unknown[]) => void;
  /** Takes keys and values, in turn, of what is a dict in Python; a Map needs none. */
  readonly setItems?: (obj: T, pairs: readonly unknown[]) => void;
  /** `getattr(cls, name)` in a pickle. Undefined: there is none. */
  readonly getattr?: (name: string) => unknown;
  /** Whether GlobalNames may be among the arguments. */
  readonly takesNames?: boolean;
  /**
   * Whether building does something: then it is done once per pickle, after everything in it has been read and found good.
   * What is made may then not be the argument of something without effects that looks into it.
   */
  readonly effects?: boolean;
  /** The class whose instances are written by `reduce`. */
  readonly cls?: AnyClass<T>;
  /** Whether instances of derived classes are written so as well. */
  readonly derived?: boolean;
  /** False if Python cannot hash it, so that it can be no key. */
  readonly hashable?: boolean;
  readonly reduce?: (obj: T, call: ReduceCall) => Reduced;
}

/** A class or function of Python as the argument of a call. It is no value: it never leaves the unpickler. */
export class GlobalName {
  /** With a colon before what is not at the top of its module. */
  readonly name: string;
  /** What it stands for, when it has been read. */
  readonly type: PythonType | undefined;

  constructor(name: string, type?: PythonType) {
    this.name = name;
    this.type = type;
  }
}

/** Modules that had other names in Python 2, which protocols 0 to 2 still use. */
const renamed: Readonly<Record<string, string>> = {
  __builtin__: 'builtins',
  exceptions: 'builtins',
  copy_reg: 'copyreg',
};

/** A table of rows, on top of others. */
export class PythonTypes {
  private readonly byName = new Map<string, PythonType>();
  private readonly byPrototype = new Map<object, PythonType>();
  /** Classes that have registered ones in them, which is all that is known of them. */
  private readonly outer = new Map<string, PythonType>();
  private readonly below: readonly PythonTypes[];

  /** Rows that nobody has asked for yet: most programs never do, and they take a millisecond of every start. */
  private rows: (() => readonly (readonly PythonType[])[]) | undefined;

  /** @param below where rows are looked for that are not here, the first one first */
  constructor(...below: PythonTypes[]) {
    this.below = below;
  }

  /** A table that is filled when it is asked for the first time. */
  static later(rows: () => readonly (readonly PythonType[])[]): PythonTypes {
    const table = new PythonTypes();
    table.rows = rows;
    return table;
  }

  private fill(): void {
    const { rows } = this;
    this.rows = undefined;
    for (const type of rows?.().flat() ?? []) this.register(type);
  }

  /** @throws ValueError if one of its names or its class is in this table already */
  register(type: PythonType): void {
    const names = typeof type.names === 'string' ? [type.names] : type.names;
    const prototype = type.cls?.prototype as object | undefined;
    for (const name of names) {
      if (this.byName.has(dotted(name))) throw new ValueError(`${name} is registered already`);
    }
    if (prototype !== undefined && this.byPrototype.has(prototype)) {
      throw new ValueError(`${type.cls?.name} is registered already, for another name of Python`);
    }
    for (const name of names) {
      this.byName.set(dotted(name), type);
      for (const outer of outerNames(name)) this.outer.set(outer, { names: outer });
    }
    if (prototype !== undefined) this.byPrototype.set(prototype, type);
  }

  /** What a name of a pickle stands for. */
  find(module: string, name: string): PythonType | undefined {
    const type = this.named(`${module}.${name}`);
    if (type !== undefined || !Object.hasOwn(renamed, module)) return type;
    return this.named(`${renamed[module]}.${name}`);
  }

  /** @throws ValueError for a name that stands for something here */
  checkFree(name: string): void {
    if (typeof name === 'string' && this.named(dotted(name)) !== undefined)
      throw new ValueError(
        `${name} is registered already: it is one of the classes that this library knows`,
      );
  }

  private named(name: string): PythonType | undefined {
    if (this.rows !== undefined) this.fill();
    let type = this.byName.get(name);
    for (const table of this.below) type ??= table.named(name);
    return type ?? this.outer.get(name);
  }

  /** How an object is written that has this prototype. */
  ofInstance(prototype: object | null): PythonType | undefined {
    const own = this.ofPrototype(prototype);
    if (own !== undefined) return own;
    let above = prototype;
    while (above !== null) {
      above = Object.getPrototypeOf(above) as object | null;
      const type = this.ofPrototype(above);
      if (type?.derived) return type;
    }
    return undefined;
  }

  /** The same, derived classes left out. */
  ofPrototype(prototype: object | null): PythonType | undefined {
    if (prototype === null) return undefined;
    if (this.rows !== undefined) this.fill();
    let type = this.byPrototype.get(prototype);
    for (const table of this.below) type ??= table.ofPrototype(prototype);
    return type;
  }
}

/** The first name of a row, which is written. */
export function nameOf({ names }: PythonType): string {
  return typeof names === 'string' ? names : (names[0] as string);
}

/** The classes that it is in, if it says so by a colon. */
function outerNames(name: string): string[] {
  const [module, qualname] = splitName(name);
  const parts = qualname.split('.');
  return parts.slice(1).map((_, i) => `${module}.${parts.slice(0, i + 1).join('.')}`);
}

function dotted(name: string): string {
  return name.replace(':', '.');
}

/** The module and the name in it. */
export function splitName(name: string): [module: string, qualname: string] {
  const colon = name.indexOf(':');
  const at = colon < 0 ? name.lastIndexOf('.') : colon;
  return [name.slice(0, at), name.slice(at + 1)];
}
