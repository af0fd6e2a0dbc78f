/**
 * Python's `collections`: `deque`, `OrderedDict`, `defaultdict` and `Counter`.
 */
import { nameExports } from '../base/names.ts';
import { Refusal } from '../pickle/message.ts';
import { isDict } from './dict.ts';
import { type BuildCall, GlobalName, type PythonType } from './types.ts';

/** An array that is a `collections.deque` for Python. It does not drop what is more than `maxlen`. */
export class Deque<T = unknown> extends Array<T> {
  /** How many items Python's keeps; as many as there are, unless given. */
  declare maxlen: number | null;

  /** @internal */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}
// Not of each instance's own, where it would be one of its properties.
Object.defineProperty(Deque.prototype, 'maxlen', { value: null, writable: true });

/** A Map that is a `collections.OrderedDict` for Python. */
export class OrderedDict<K = unknown, V = unknown> extends Map<K, V> {}

/** A Map that is a `collections.Counter` for Python. */
export class Counter<K = unknown> extends Map<K, number> {}

/** A Map that is a `collections.defaultdict` for Python; here it makes no values by itself. */
export class DefaultDict<K = unknown, V = unknown> extends Map<K, V> {
  /** The name of what makes Python's values, such as `'builtins.list'`; null for none. */
  defaultFactory: string | null = null;
}

function toDeque(args: readonly unknown[], { copies }: BuildCall): Deque | undefined {
  const [items = [], maxlen = null] = args;
  if (!Array.isArray(items) || args.length > 2) return undefined;
  if (maxlen !== null && !(Number.isSafeInteger(maxlen) && (maxlen as number) >= 0))
    return undefined;
  copies(items.length);
  const deque = new Deque();
  for (const item of items) deque.push(item);
  if (maxlen !== null) deque.maxlen = maxlen as number;
  return deque;
}

/** Of a dict, or of pairs as Python 2 has it. */
function fill<M extends Map<unknown, unknown>>(
  map: M,
  from: unknown,
  call: BuildCall,
): M | undefined {
  if (from === undefined) return map;
  const pairs: unknown = isDict(from)
    ? Object.entries(from)
    : from instanceof Map
      ? [...from]
      : from;
  if (!Array.isArray(pairs)) return undefined;
  call.copies(pairs.length);
  for (const pair of pairs as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) return undefined;
    map.set(pair[0], pair[1]);
  }
  return map;
}

/** Rows for the table of types. */
export const collectionTypes = (): readonly PythonType[] => [
  {
    names: 'collections.deque',
    cls: Deque,
    hashable: false,
    build: toDeque,
    append: (deque: Deque, items) => {
      for (const item of items) deque.push(item);
    },
    reduce: (deque: Deque) => ({
      args: deque.maxlen === null ? [] : [[], deque.maxlen],
      items: deque,
    }),
  },
  {
    names: 'collections.OrderedDict',
    cls: OrderedDict,
    hashable: false,
    build: ([pairs], call) => fill(new OrderedDict(), pairs, call),
    reduce: (dict: OrderedDict) => ({ args: [], pairs: dict }),
  },
  {
    names: 'collections.Counter',
    cls: Counter,
    hashable: false,
    build: ([counts], call) => fill(new Counter(), counts, call),
    reduce: (counter: Counter) => ({ args: [new Map(counter)] }),
  },
  {
    names: 'collections.defaultdict',
    cls: DefaultDict,
    hashable: false,
    takesNames: true,
    build: ([factory, ...more]) => {
      if (more.length > 0) return undefined;
      const dict = new DefaultDict();
      if (factory instanceof GlobalName)
        dict.defaultFactory = factory.name.replace('__builtin__', 'builtins');
      else if (factory !== null && factory !== undefined) return undefined;
      return dict;
    },
    reduce: (dict: DefaultDict) => {
      const { defaultFactory } = dict;
      if (defaultFactory === null) return { args: [], pairs: dict };
      if (typeof defaultFactory !== 'string' || !defaultFactory.includes('.')) {
        throw new Refusal("a DefaultDict's defaultFactory is a name, such as 'builtins.list'");
      }
      return { args: [new GlobalName(defaultFactory)], pairs: dict };
    },
  },
];

nameExports(import.meta.url, { Deque, OrderedDict, Counter, DefaultDict });
