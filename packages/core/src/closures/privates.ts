/**
 * Instances with private members, in the parent: which classes have made them, what is in their fields, and which functions
 * only their class can make (stamps.ts makes all of it again).
 * Deviations: D-122.
 */
import { PicklingError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { isEventEmitter, privateRefusal } from '../pickle/classes.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import {
  locateFunction,
  type PrivateState,
  privateMethods,
  privateState,
} from '../pickle/function_inspector.ts';
import { kindOf } from '../pickle/kinds.ts';
import { isBuiltin } from '../pickle/qualname.ts';
import { isObjectPrototype } from '../pickle/realms.ts';
import { canStop, thisOf } from './probe.ts';
import { type FunctionSource, sourceOf } from './source.ts';

const sourceText = (fn: AnyFunction) => Function.prototype.toString.call(fn);

const mayDeclare = (text: string) => text.includes('#') && /^class\b/.test(text);

/** The program's own classes of an object with a prototype, the first that it extends before its own. */
function classesOf(proto: object): { classes: AnyFunction[]; end: object | null } {
  const classes: AnyFunction[] = [];
  let end: object | null = proto;
  for (; end !== null; end = Object.getPrototypeOf(end) as object | null) {
    const cls: unknown = Object.getOwnPropertyDescriptor(end, 'constructor')?.value;
    if (typeof cls !== 'function' || cls.prototype !== end || isBuiltin(cls)) break;
    classes.unshift(cls);
  }
  return { classes, end };
}

/** What is known of an object by its prototype. @internal */
export interface Kin {
  /** Its class, if that is the program's own. */
  readonly cls: AnyFunction | undefined;
  /**
   * Its classes from the first on that might have private members: those need a `#` in their source. Of nearly all objects
   * there are none, and nothing has to be parsed.
   */
  readonly suspects: readonly AnyFunction[];
}

const NOTHING: Kin = { cls: undefined, suspects: [] };
const kin = new WeakMap<object, Kin>();

/** Nothing of objects that cannot be sent, since they are of a class of Node. @internal */
export function kinOf(value: object, proto: object): Kin {
  let known = kin.get(proto);
  if (known === undefined) {
    const { classes, end } = classesOf(proto);
    if (classes.length > 0 && !canBeSent(value, proto, end)) return NOTHING;
    const first = classes.findIndex((cls) => mayDeclare(sourceText(cls)));
    known = { cls: classes.at(-1), suspects: first === -1 ? [] : classes.slice(first) };
    kin.set(proto, known);
  }
  return known;
}

/** @param end the prototype of what its first class extends */
function canBeSent(value: object, proto: object, end: object | null): boolean {
  if (end === null || isObjectPrototype(end) || isEventEmitter(end.constructor)) return true;
  return Array.isArray(value) || kindOf(value, proto) !== undefined;
}

/** The private fields that a class gives its instances; undefined if it gives them no private members. @internal */
export function privatesOf(cls: AnyFunction): readonly string[] | undefined {
  const text = sourceText(cls);
  return mayDeclare(text) ? parsed(cls)?.privates : undefined;
}

function parsed(cls: AnyFunction): FunctionSource | undefined {
  try {
    return sourceOf(cls);
  } catch (error) {
    if (error instanceof PicklingError) return undefined; // such a class cannot be sent anyway
    throw error;
  }
}

/**
 * The values of the private fields of an instance, in the order in which its classes have them.
 * @throws PicklingError if it has others than those: half of it is never sent
 * @internal
 */
export function fieldsOf(
  { names, fields }: PrivateState,
  classes: readonly AnyFunction[],
): PrivateState['fields'] {
  const declared = classes.flatMap((cls) => privatesOf(cls) ?? []);
  const isWhole =
    fields.length === declared.length && fields.every(([name], i) => name === declared[i]);
  if (!isWhole) throw privateRefusal(classes.at(-1) as AnyFunction, names);
  return fields;
}

/** Whether a class says itself what the state of its instances is, and how they get it. @internal */
export function hasOwnState(value: object): boolean {
  return [getStateSymbol, setStateSymbol].every(
    (key) => typeof Reflect.get(value, key) === 'function',
  );
}

/** A function that only its class can make, since private names are of it. @internal */
export interface Member {
  readonly cls: AnyFunction;
  /** For which it is made, if it is none of the class or its prototype. */
  readonly object: object | undefined;
  readonly name: string;
}

/**
 * Finds out which member of a class a function is that uses private names.
 * @param self what it is bound to
 * @param stamped classes, each with an instance
 * @returns undefined for all that can be made without its class
 * @throws PicklingError if it is not to be found
 * @internal
 */
export function memberOf(
  fn: AnyFunction,
  self: unknown,
  stamped: ReadonlyMap<AnyFunction, object>,
): Member | undefined {
  const text = sourceText(fn);
  if (!text.includes('#')) return undefined;
  const isPrivate = /^(async\b\s*)?\*?\s*#/.test(text);
  const source = isPrivate ? undefined : sourceOf(fn);
  if (source?.usesPrivates === false) return undefined;
  if (source?.isClass)
    throw new PicklingError('it uses private members of the class around it: send the outer class');
  const candidates = new Map(stamped);
  for (const cls of chainOf(self)) candidates.set(cls, self as object);
  for (const [cls, object] of candidates) {
    const name = isPrivate ? nameOfPrivate(fn, cls, object) : nameOfMethod(fn, cls);
    if (name !== undefined) return { cls, object: isPrivate ? object : undefined, name };
  }
  const found = source === undefined ? undefined : fieldMember(fn, source);
  if (found !== undefined) return found;
  throw new PicklingError(
    isPrivate
      ? 'a private method cannot be sent without its class'
      : 'it uses private members, which only code in its class can: send the object, or the class',
  );
}

function chainOf(object: unknown): readonly AnyFunction[] {
  if (typeof object !== 'object' || object === null) return [];
  const proto = Object.getPrototypeOf(object) as object | null;
  return proto === null ? [] : kinOf(object, proto).suspects;
}

function nameOfPrivate(fn: AnyFunction, cls: AnyFunction, object: object): string | undefined {
  const own = parsed(cls)?.privateMethods.get(fn.name);
  return own === sourceText(fn) && privateMethods(object).includes(fn) ? fn.name : undefined;
}

function nameOfMethod(fn: AnyFunction, cls: AnyFunction): string | undefined {
  const holders = [
    ['', cls.prototype as object],
    ['static ', cls],
  ] as const;
  for (const [prefix, holder] of holders) {
    const all = Object.entries(Object.getOwnPropertyDescriptors(holder));
    const [name] = all.find(([, { value }]) => value === fn) ?? [];
    if (name !== undefined && parsed(cls)?.classMembers.get(prefix + name) === sourceText(fn))
      return prefix + name;
  }
  return undefined;
}

/** An arrow function that a class has made for a field: it stands there in the class's source. */
function fieldMember(fn: AnyFunction, source: FunctionSource): Member | undefined {
  if (!source.names.includes('this') || !canStop(source)) return undefined;
  const object = thisOf(fn, source);
  const classes = chainOf(object);
  if (classes.length === 0) return undefined;
  const own = Object.entries(Object.getOwnPropertyDescriptors(object as object));
  const fields = [
    ...own.map(([key, { value }]) => [key, value as unknown] as const),
    ...privateState(object as object).fields,
  ];
  const names = fields.flatMap(([name, value]) => (value === fn ? [name] : []));
  for (const cls of classes) {
    const functions = parsed(cls)?.fieldFunctions;
    const name = names.find((name) => {
      const start = functions?.get(name);
      return start !== undefined && standsAt(fn, cls, start);
    });
    if (name !== undefined) return { cls, object: object as object, name };
  }
  return undefined;
}

/** Whether a function is the one that stands at a place in the source of a class. */
function standsAt(fn: AnyFunction, cls: AnyFunction, at: number): boolean {
  const [text, begin] = [sourceText(cls), sourceOf(cls).start];
  const [there, outer] = [locateFunction(fn), locateFunction(cls)];
  if (there === undefined || there.script.id !== outer?.script.id) return false;
  if (!text.startsWith(sourceText(fn), at)) return false;
  const [from, to] = [placeIn(text, begin), placeIn(text, at)];
  if (there.line - outer.line !== to.line - from.line) return false;
  // The column in which the class begins is known only from what stands in the same line.
  if (to.line > 0) return there.column === to.column;
  return from.line > 0 || there.column - outer.column === to.column - from.column;
}

function placeIn(text: string, at: number): { line: number; column: number } {
  const lines = text.slice(0, at).split(/\r\n|[\n\r\u2028\u2029]/);
  return { line: lines.length - 1, column: (lines.at(-1) as string).length };
}
