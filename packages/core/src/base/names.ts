/**
 * The names of what was found or received before: what a name stands for here, and under which name an object can be
 * sent. The library enters its own exports, so that nobody has to search for them.
 */
import { processWide } from './state.ts';

/** A function or a class. */
// biome-ignore lint/complexity/noBannedTypes: any callable is what is meant
export type AnyFunction = Function;

/** The module of what is an fd of another process: it is fetched, and once, and not found (connection/resource_sharer.ts). @internal */
export const SHARED_FDS = 'fd:';

/** Where a function or class lives. */
export interface Name {
  /** The URL that a child imports; `node:fs` for built-in modules, `globalThis` for globals. */
  readonly module: string;
  /** The dotted path to it in the module: `f`, `ns.f`, `Class.method`, `default`. */
  readonly qualname: string;
}

const known = processWide('names', () => ({
  names: new WeakMap<object, Name>(),
  values: new Map<string, Map<string, unknown>>(),
}));

/**
 * Gives exports of a module their names without a search, which saves a process the inspector's first
 * 15 to 50 ms. The library does so for what it sends itself.
 * @param url the module's own `import.meta.url`
 * @internal
 */
export function nameExports(url: string, exports: Readonly<Record<string, AnyFunction>>): void {
  for (const [qualname, fn] of Object.entries(exports)) remember(fn, { module: url, qualname });
}

/** Notes that a name resolved to this object, so that it can be sent on under it. @internal */
export function remember(value: object, name: Name): Name {
  if (!known.names.has(value)) known.names.set(value, name);
  rememberValue(name, value);
  return known.names.get(value) ?? name;
}

/** The name that an object was remembered by. @internal */
export function rememberedName(value: object): Name | undefined {
  return known.names.get(value) ?? (origins.answering ? origins.names.get(value) : undefined);
}

/** Notes what a name stands for in this process. @internal */
export function rememberValue({ module, qualname }: Name, value: unknown): void {
  if (module === SHARED_FDS) return;
  let values = known.values.get(module);
  if (values === undefined) {
    values = new Map();
    known.values.set(module, values);
  }
  values.set(qualname, value);
}

/** What a name was remembered to stand for. @internal */
export function rememberedValue({ module, qualname }: Name): unknown {
  return known.values.get(module)?.get(qualname);
}

/** The module of what has no name, and came from this process or from its parent by value. @internal */
export const ORIGINS = 'origin:';

const origins = processWide('origins', () => ({
  count: 0,
  names: new WeakMap<object, Name>(),
  /** By their names, as long as they live. */
  known: new Map<string, WeakRef<AnyFunction>>(),
  gone: undefined as FinalizationRegistry<string> | undefined,
  /** While something is pickled for who has sent them. */
  answering: false,
}));

/** The name by which who gets a function by value can send it back. @internal */
export function originName(fn: AnyFunction): Name {
  let name = origins.names.get(fn);
  if (name === undefined) {
    name = { module: ORIGINS, qualname: `${process.pid}-${Date.now()}-${++origins.count}` };
    noteOrigin(fn, name);
  }
  return name;
}

/** Notes that a function came under such a name. @internal */
export function noteOrigin(fn: AnyFunction, name: Name): void {
  origins.names.set(fn, name);
  origins.gone ??= new FinalizationRegistry((qualname) => {
    if (origins.known.get(qualname)?.deref() === undefined) origins.known.delete(qualname);
  });
  origins.gone.register(fn, name.qualname);
  origins.known.set(name.qualname, new WeakRef(fn));
}

/** What such a name stands for, if it is here and still lives. @internal */
export function findOrigin(qualname: string): AnyFunction | undefined {
  return origins.known.get(qualname)?.deref();
}

/** Pickles something for who has sent functions by value: to him they have names. @internal */
export function answering<T>(pickle: () => T): T {
  origins.answering = true;
  try {
    return pickle();
  } finally {
    origins.answering = false;
  }
}
