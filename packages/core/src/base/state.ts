/**
 * What exists once per process, however many copies of this library are loaded (a CommonJS
 * transpiler may load a second one): kept in one registry under a `Symbol.for` key.
 */

const key = Symbol.for('multiprocessing.state');

type Registry = Map<string, unknown>;

function registry(): Registry {
  const holder = globalThis as { [key]?: Registry };
  holder[key] ??= new Map();
  return holder[key];
}

/**
 * Returns the process-wide object of that name, made by the first caller.
 * @internal
 */
export function processWide<T extends object>(name: string, make: () => T): T {
  const all = registry();
  let value = all.get(name) as T | undefined;
  if (value === undefined) {
    value = make();
    all.set(name, value);
  }
  return value;
}

/** The process-wide object of that name, if somebody has made it. @internal */
export function ifMade<T extends object>(name: string): T | undefined {
  return registry().get(name) as T | undefined;
}
