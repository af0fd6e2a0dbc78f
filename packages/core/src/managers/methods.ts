/**
 * Which methods an object has for proxies, by the names that go over the wire: those of Python's special methods and of its classes
 * among them, for objects that have JavaScript's.
 */
import { typeError } from '../base/errors.ts';
import { AttributeError } from '../python_pickle/python_error.ts';
import { StopIteration } from './errors.ts';
import { LocalDict, LocalSet } from './local_dict.ts';
import { LocalList } from './local_list.ts';
import { LocalArray, Namespace } from './local_values.ts';
import { reprOf } from './repr.ts';

type Method = (...args: unknown[]) => unknown;
type Indexed = Record<string, unknown>;

/** The object in a prototype chain that has a property, but for what all objects have. */
function holderOf(obj: object, name: string): object | undefined {
  for (
    let at: object | null = obj;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  )
    if (Object.hasOwn(at, name)) return at;
  return undefined;
}

/** The names of the methods that do not begin with '_'; Python's `managers.public_methods`. @internal */
export function publicMethods(obj: unknown): string[] {
  const names = new Set<string>();
  if (typeof obj !== 'object' || obj === null) return [];
  for (
    let at: object | null = obj;
    at !== null && at !== Object.prototype;
    at = Object.getPrototypeOf(at)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (name !== 'constructor' && !name.startsWith('_') && typeof value === 'function')
        names.add(name);
    }
  }
  return [...names];
}

/** A method by its name on the wire. @internal */
export function methodOf(obj: object, name: string): Method | undefined {
  const own = ownMethod(obj, name);
  if (own !== undefined) return own;
  const special = SPECIAL.get(name);
  if (special !== undefined) return (...args) => special(obj as Indexed, ...args);
  return name.includes('_') ? ownMethod(obj, camelCase(name)) : undefined;
}

function ownMethod(obj: object, name: string): Method | undefined {
  if (holderOf(obj, name) === undefined) return undefined;
  const value = (obj as Indexed)[name];
  return typeof value === 'function' ? (value as Method).bind(obj) : undefined;
}

/** `get_nowait` → `getNowait`. @internal */
export function camelCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])_([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}

function has(obj: Indexed, name: string): boolean {
  return typeof obj[name] === 'function';
}

function noAttribute(obj: object, name: unknown): Error {
  return new AttributeError(
    `'${obj.constructor?.name ?? 'object'}' object has no attribute ${reprOf(name)}`,
  );
}

/** Methods are no attributes: they cannot be sent. */
function getAttribute(obj: Indexed, name: unknown): unknown {
  const holder = typeof name === 'string' ? holderOf(obj, name) : undefined;
  if (holder === undefined) throw noAttribute(obj, name);
  const isOwn = holder === obj;
  if (!isOwn && !Object.getOwnPropertyDescriptor(holder, name as string)?.get)
    throw noAttribute(obj, name);
  return obj[name as string];
}

function setAttribute(obj: Indexed, name: unknown, value: unknown): void {
  if (typeof name !== 'string') throw noAttribute(obj, name);
  const holder = holderOf(obj, name);
  const setter = holder && Object.getOwnPropertyDescriptor(holder, name)?.set;
  if (setter !== undefined) setter.call(obj, value);
  else {
    const all = { value, writable: true, enumerable: true, configurable: true };
    Object.defineProperty(obj, name, all);
  }
}

function deleteAttribute(obj: Indexed, name: unknown): void {
  if (typeof name !== 'string' || !Object.hasOwn(obj, name)) throw noAttribute(obj, name);
  delete obj[name];
}

/** The next of an iterator, as Python has it. */
async function next(obj: Indexed, ...sent: unknown[]): Promise<unknown> {
  const step = (await (obj.next as Method)(...sent)) as IteratorResult<unknown>;
  if (step.done) throw new StopIteration(step.value);
  return step.value;
}

function iterate(obj: Indexed): unknown {
  const from = (obj as unknown as Iterable<unknown>)[Symbol.iterator];
  const later = (obj as unknown as AsyncIterable<unknown>)[Symbol.asyncIterator];
  if (typeof from !== 'function' && typeof later !== 'function')
    throw typeError(`${reprOf(obj)} cannot be iterated`);
  return (from ?? later).call(obj);
}

const SPECIAL = new Map<string, (obj: Indexed, ...args: unknown[]) => unknown>([
  ['__getattribute__', getAttribute],
  ['__setattr__', setAttribute],
  ['__delattr__', deleteAttribute],
  ['__len__', (obj) => obj.length ?? obj.size],
  ['__contains__', (obj, key) => (obj[has(obj, 'has') ? 'has' : 'includes'] as Method)(key)],
  ['__iter__', iterate],
  ['__next__', next],
  ['send', next],
  ['close', (obj) => (has(obj, 'return') ? (obj.return as Method)() : undefined)],
  ['__getitem__', (obj, key) => (has(obj, 'get') ? (obj.get as Method)(key) : obj[String(key)])],
  ['__setitem__', (obj, key, value) => void (obj.set as Method)(key, value)],
  ['__delitem__', (obj, key) => void (obj.delete as Method)(key)],
]);

/** What `#GETVALUE` answers: a copy of a list or dict, the object itself of all others, which is pickled. @internal */
export function contentOf(obj: unknown): unknown {
  if (obj instanceof LocalList || obj instanceof LocalDict) return obj.value();
  if (obj instanceof LocalSet || obj instanceof LocalArray) return obj.value();
  return obj;
}

/** What `__str__` and `__repr__` answer. @internal */
export function textOf(obj: unknown): string {
  return obj instanceof Namespace ? Namespace.textOf(obj) : reprOf(obj);
}
