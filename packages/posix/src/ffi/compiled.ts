/**
 * What forked children alone do, V8 would make ready for the first time in each child anew: a function that has never run
 * takes 0.1 to 0.3 ms to compile, and every part of V8 that has to work for it is some page faults (5 µs each) in a process
 * that has touched nothing yet. So it is made ready in the process that forks.
 */

type AnyFunction = (...args: never[]) => unknown;

const waiting = { functions: [] as AnyFunction[], objects: [] as object[] };
const done = new WeakSet<object>();

/** Names functions that children call, to be compiled before the first fork. @internal */
export function calledByChildren(...functions: AnyFunction[]): void {
  waiting.functions.push(...functions);
}

/** Names objects whose properties children set. @internal */
export function writtenByChildren(...objects: object[]): void {
  waiting.objects.push(...objects);
}

/** Makes ready what has been named. @internal */
export function prepareForChildren(): void {
  for (const fn of waiting.functions.splice(0)) compile(fn);
  for (const object of waiting.objects.splice(0)) makeWritable(object as Record<string, unknown>);
}

/**
 * Compiles a function without calling it; what is no function, or is built in, is left alone.
 *
 * An object of a derived class is made: to know how many properties it will have, V8 compiles the constructors
 * of all classes above, and takes the function for one of them (JSFunction::CalculateExpectedNofProperties). The
 * constructor that runs is Object. In a V8 that does otherwise, nothing happens.
 * @internal
 */
export function compile(fn: unknown): void {
  if (typeof fn !== 'function' || done.has(fn)) return;
  done.add(fn);
  const Derived = class extends Object {};
  Object.setPrototypeOf(Derived, fn);
  Reflect.construct(Object, [], Derived);
}

/** V8 takes a property that was set once for a constant; the second time it makes a variable of it. */
function makeWritable(object: Record<string, unknown>): void {
  for (const key of Object.keys(object)) {
    const value = object[key];
    object[key] = undefined;
    object[key] = value;
  }
}
