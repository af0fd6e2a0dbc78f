/**
 * What exists once per thread of this process, however many copies of this library are loaded (a CommonJS
 * transpiler may load a second one) and from however many realms: kept in one registry under a `Symbol.for` key.
 */

const key = Symbol.for('multiprocessing.state');

type Registry = Map<string, unknown>;

/**
 * The object whose symbols all realms share. Code that a test runner runs by node:vm has a globalThis of its own, and in jest
 * a `process`, too; Node's modules are the same objects there.
 * @internal
 */
export function shared(): Record<symbol, unknown> {
  return process.getBuiltinModule('node:fs') as unknown as Record<symbol, unknown>;
}

let registry: Registry | undefined;

function findRegistry(): Registry {
  const holder = shared();
  holder[key] ??= new Map();
  return holder[key] as Registry;
}

/**
 * Returns the process-wide object of that name, made by the first caller.
 * @internal
 */
export function processWide<T extends object>(name: string, make: () => T): T {
  registry ??= findRegistry();
  let value = registry.get(name) as T | undefined;
  if (value === undefined) {
    value = make();
    registry.set(name, value);
  }
  return value;
}

/** The process-wide object of that name, if somebody has made it. @internal */
export function ifMade<T extends object>(name: string): T | undefined {
  registry ??= findRegistry();
  return registry.get(name) as T | undefined;
}
