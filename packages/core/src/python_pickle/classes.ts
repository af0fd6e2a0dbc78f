/**
 * Classes that the program has registered under the names of Python's: `registerClass` and `registerEnum`. Deviations: D-153.
 */
import { inspect } from 'node:util';
import { typeError, UnpicklingError, ValueError } from '../base/errors.ts';
import { setProperty } from '../pickle/properties.ts';
import { isDict } from './dict.ts';
import { exceptionType } from './exceptions.ts';
import { Tuple } from './tuple.ts';
import type { AnyClass, BuildCall, PythonTypes, Reduced } from './types.ts';

/** How the instances of a class travel. */
export interface ClassOptions<T = unknown> {
  /**
   * The names of the fields, in Python's order: for a class whose state has no names, such as a namedtuple or a dataclass with
   * both `frozen=True` and `slots=True`.
   */
  readonly fields?: readonly string[];
  /** Whether Python's class has `__slots__`, such as a dataclass with `slots=True` that is not frozen. */
  readonly slots?: boolean;
  /** Whether Python's class is a `namedtuple`, which is made of its fields. */
  readonly namedtuple?: boolean;
  /** Makes the instance of the arguments that Python's `__reduce__` gives; `kwargs` those of `__getnewargs_ex__`. */
  readonly build?: (args: readonly unknown[], kwargs?: Readonly<Record<string, unknown>>) => T;
  /** Gives it the state that Python's `__setstate__` would get, or its `__dict__`. */
  readonly setState?: (instance: T, state: unknown) => void;
  /** What Python's `__reduce__` would return: arguments for the class, and a state. */
  readonly reduce?: (instance: T) => {
    readonly args?: readonly unknown[];
    readonly state?: unknown;
  };
}

/** Puts a class into a table. @throws TypeError, ValueError */
export function addClass<T extends object>(
  table: PythonTypes,
  name: string,
  cls: AnyClass<T>,
  options: ClassOptions<T>,
): void {
  checkName(name, 'registerClass');
  if (typeof cls !== 'function' || typeof cls.prototype !== 'object') {
    throw typeError(`registerClass: cls must be a class, not ${inspect(cls)}`);
  }
  const { build, setState, reduce, fields } = options;
  if (options.namedtuple && fields === undefined) {
    throw new ValueError(
      "registerClass: a namedtuple has fields: give their names in Python's order",
    );
  }
  if (cls.prototype instanceof Error && build === undefined && reduce === undefined) {
    table.register(exceptionType(name, cls as unknown as AnyClass<Error>));
    return;
  }
  const kept = KEEPERS.find((base) => cls === (base as unknown) || cls.prototype instanceof base);
  if (kept !== undefined && reduce === undefined) {
    throw typeError(
      `registerClass: ${cls.name} is a ${kept.name}, and what that holds is not in properties: give { reduce, build }`,
    );
  }
  table.register({
    names: name,
    cls,
    build: build
      ? (args, call) => build(args, call.kwargs)
      : (args, call) => create(cls, args, call, fields),
    setState: setState ?? ((obj, state) => giveState(obj, state, name, fields)),
    reduce: reduce ? (obj) => reduced(reduce(obj)) : (obj) => ownState(obj, options),
  });
}

/** Their contents are no properties, or not theirs alone: without a way of their own they would get lost. */
const KEEPERS = [Map, Set, Array, Date, Object.getPrototypeOf(Uint8Array), ArrayBuffer] as const;

function reduced({ args, state }: { args?: readonly unknown[]; state?: unknown }): Reduced {
  return { args: args ?? [], newobj: args === undefined, state };
}

/** No constructor runs: what a stranger sends is data. */
function create<T extends object>(
  cls: AnyClass<T>,
  args: readonly unknown[],
  { name, newobj, kwargs }: BuildCall,
  fields: readonly string[] | undefined,
): T | undefined {
  if (kwargs !== undefined) return undefined;
  const obj = Object.create(cls.prototype as object) as T;
  // `copyreg` gives those of protocols 0 and 1 as one tuple.
  const [first] = args;
  const values =
    newobj && args.length === 1 && Array.isArray(first) && fields?.length !== 1 ? first : args;
  if (values.length > 0 && fields === undefined) {
    throw new UnpicklingError(
      `the pickle's ${name} has arguments: register its class with { fields } or { build }`,
    );
  }
  if (fields !== undefined && values.length > 0) giveFields(obj, values, name, fields);
  return obj;
}

function giveFields(
  obj: object,
  values: readonly unknown[],
  name: string,
  fields: readonly string[],
): void {
  if (values.length !== fields.length) {
    throw new UnpicklingError(
      `the pickle's ${name} has ${values.length} values, and its class is registered with ${fields.length} fields`,
    );
  }
  for (const [i, field] of fields.entries()) setProperty(obj, field, values[i]);
}

/** A `__dict__`, a pair of that and a dict of slots, or the list of the fields of a dataclass with slots. */
function giveState(
  obj: object,
  state: unknown,
  name: string,
  fields: readonly string[] | undefined,
): void {
  if (isDict(state)) {
    for (const key of Object.keys(state)) setProperty(obj, key, state[key]);
  } else if (
    Array.isArray(state) &&
    state.length === 2 &&
    isDict(state[1]) &&
    (state[0] === null || isDict(state[0]))
  ) {
    for (const part of state) if (part !== null) giveState(obj, part, name, fields);
  } else if (Array.isArray(state) && fields !== undefined) {
    giveFields(obj, state, name, fields);
  } else {
    throw new UnpicklingError(
      `the pickle's ${name} has a state without names: register its class with { fields } or { setState }`,
    );
  }
}

function ownState(
  obj: object,
  { fields, slots, namedtuple }: Pick<ClassOptions, 'fields' | 'slots' | 'namedtuple'>,
): Reduced {
  const values = obj as Record<string, unknown>;
  const list = fields?.map((field) => values[field]);
  if (namedtuple) return { args: list as unknown[], newobj: true };
  const state = slots ? Tuple.of(null, { ...obj }) : (list ?? { ...obj });
  return { args: [], newobj: true, state };
}

/** A class whose constructor may be private. */
export interface EnumClass<T> {
  readonly prototype: T;
  readonly name: string;
}

/** Puts the members of an enum into a table. @throws TypeError, ValueError */
export function addEnum<T extends object>(
  table: PythonTypes,
  name: string,
  enumClass: EnumClass<T>,
): void {
  const cls = enumClass as AnyClass<T>;
  checkName(name, 'registerEnum');
  if (typeof cls !== 'function') {
    throw typeError(`registerEnum: cls must be a class, not ${inspect(cls)}`);
  }
  const byName = new Map<string, T>();
  const byValue = new Map<unknown, T>();
  for (const key of Object.getOwnPropertyNames(cls)) {
    const member: unknown = Object.getOwnPropertyDescriptor(cls, key)?.value;
    if (!(member instanceof cls)) continue;
    byName.set(key, member);
    const { value } = member as { value?: unknown };
    if (!byValue.has(value)) byValue.set(value, member);
  }
  if (byName.size === 0) {
    throw new ValueError(
      `registerEnum: ${cls.name} has no members: static properties that are its instances, each with a value`,
    );
  }
  table.register({
    names: name,
    cls,
    build: ([value, ...more]) => {
      const member = more.length === 0 ? byValue.get(value) : undefined;
      if (member === undefined) {
        throw new UnpicklingError(
          `the pickle asks for ${inspect(value)} of ${name}, and ${cls.name} has no such member`,
        );
      }
      return member;
    },
    getattr: (key) => byName.get(key),
    reduce: (member) => ({ args: [(member as { value?: unknown }).value] }),
  });
}

function checkName(name: unknown, where: string): void {
  if (typeof name !== 'string') {
    throw typeError(`${where}: name must be a string, not ${inspect(name)}`);
  }
  if (!/^[^.:\s]+(?:\.[^.:\s]+)*[.:][^.:\s]+(?:\.[^.:\s]+)*$/.test(name)) {
    throw new ValueError(
      `${where}: ${inspect(name)} is no name of Python's: give its module and its own, as 'app.models.Point' or 'app.models:Outer.Inner'`,
    );
  }
}
