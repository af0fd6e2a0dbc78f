/**
 * Instances with private members, in the parent: which classes have made them, and what is in their fields (stamps.ts makes
 * them again).
 */
import { types } from 'node:util';
import { PicklingError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { privateRefusal } from '../pickle/classes.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import { privateFields, privateMembers } from '../pickle/function_inspector.ts';
import { describe, isBuiltin } from '../pickle/qualname.ts';
import { canStop, thisOf } from './probe.ts';
import { sourceOf } from './source.ts';

/** What `classesWithPrivates` answers, by prototype. */
const privateClasses = new WeakMap<object, readonly AnyFunction[] | null>();

/**
 * The classes of an instance, from the first that has private members to its own.
 * @throws PicklingError if they are those of a class of the engine
 * @internal
 */
export function classesWithPrivates(
  value: object,
  proto: object,
): readonly AnyFunction[] | undefined {
  let classes = privateClasses.get(proto);
  if (classes === undefined) {
    classes = findPrivateClasses(value, proto);
    privateClasses.set(proto, classes);
  }
  return classes ?? undefined;
}

function findPrivateClasses(value: object, proto: object): AnyFunction[] | null {
  const classes: AnyFunction[] = [];
  for (let p: object | null = proto; p !== null; p = Object.getPrototypeOf(p) as object | null) {
    const cls: unknown = Object.getOwnPropertyDescriptor(p, 'constructor')?.value;
    if (typeof cls !== 'function' || isBuiltin(cls)) break;
    classes.unshift(cls);
  }
  const hidden = classes.length === 0 || types.isProxy(value) ? [] : privateMembers(value);
  if (hidden.length === 0) return null;
  const first = classes.findIndex((cls) => isClass(cls) && sourceOf(cls).privates !== undefined);
  if (first === -1) throw privateRefusal(classes.at(-1) as AnyFunction, hidden);
  return classes.slice(first);
}

/**
 * Of a function that uses private members: the object for which its class has made it, and where it is there.
 * @throws PicklingError if there is none
 * @internal
 */
export function fieldOf(fn: AnyFunction): { object: object; name: string } | undefined {
  const text = Function.prototype.toString.call(fn);
  if (!text.includes('#') || isClass(fn)) return undefined;
  const source = sourceOf(fn);
  if (!source.usesPrivates) return undefined;
  const object: unknown =
    source.names.includes('this') && canStop(source) ? thisOf(fn, source) : undefined;
  if (typeof object === 'object' && object !== null) {
    const own = Object.entries(Object.getOwnPropertyDescriptors(object));
    const fields = [
      ...own.map(([key, { value }]) => [key, value as unknown] as const),
      ...privateFields(object),
    ];
    const [name] = fields.find(([, value]) => value === fn) ?? [];
    for (
      let p = Object.getPrototypeOf(object) as object | null;
      p !== null;
      p = Object.getPrototypeOf(p) as object | null
    ) {
      const cls: unknown = Object.getOwnPropertyDescriptor(p, 'constructor')?.value;
      if (name === undefined || typeof cls !== 'function' || !isClass(cls)) break;
      if (sourceOf(cls).fieldFunctions.get(name) === text) return { object, name };
    }
  }
  throw new PicklingError(
    `${describe(fn)} cannot be sent: it uses private members, which only code in its class can: send the object, or the class`,
  );
}

const isClass = (cls: AnyFunction) => /^class\b/.test(Function.prototype.toString.call(cls));

/** The private fields of an instance, in the order in which its classes have them. @throws PicklingError @internal */
export function fieldsOf(value: object, classes: readonly AnyFunction[]): [string, unknown][] {
  const names = classes.flatMap((cls) => (isClass(cls) ? (sourceOf(cls).privates ?? []) : []));
  const fields = privateFields(value);
  if (fields.length === names.length && fields.every(([name], i) => name === names[i]))
    return fields;
  throw privateRefusal(classes.at(-1) as AnyFunction, privateMembers(value));
}

/** Whether a class says itself what the state of its instances is. @internal */
export function hasOwnState(value: object): boolean {
  return [getStateSymbol, setStateSymbol].some(
    (key) => typeof Reflect.get(value, key) === 'function',
  );
}
