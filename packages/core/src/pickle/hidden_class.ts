/**
 * Whether two objects are laid out alike. V8 keeps an object's prototype and the names, order and attributes of its
 * properties in its hidden class ("map"), which all objects made the same way share; objects of one hidden class need not
 * be looked through one by one.
 *
 * V8 has a function that compares them, `%HaveSameMap`, and lets no program call it unless the parser is told to accept its
 * name. So it is told to while a function of one line is compiled, and no longer. Where that cannot be, nothing is
 * alike, and every object is looked through. The parts of V8: src/runtime/runtime-test.cc, docs: v8.dev/docs/hidden-classes.
 */
import { execArgv } from '@multiprocessing/posix';

type Compare = (a: object, b: object, isFast: boolean) => boolean;

/** With isFast false also asks whether they are no dictionaries, which share hidden classes whatever keys they have. */
const source = `(function haveSameMap(a, b, isFast) {
  return %HaveSameMap(a, b) && (isFast || %HasFastProperties(b));
})`;

/** null: cannot be had. */
let compare: Compare | null | undefined;

/** Whether an object has the hidden class of a sample. @internal */
export function hasHiddenClassOf(sample: object, value: object): boolean {
  return ask(value, sample, true);
}

function ask(a: object, b: object, isFast: boolean): boolean {
  try {
    return compare?.(a, b, isFast) === true;
  } catch (error) {
    // V8 drops the code of a function that was not called for long, and cannot compile this one again.
    if (error instanceof SyntaxError) compare = findComparison();
    return false;
  }
}

function compile(): Compare {
  const compiled = process.getBuiltinModule('node:vm').runInThisContext(source) as Compare;
  compiled(compiled, compiled, false); // a function is compiled when it is called first
  return compiled;
}

function findComparison(): Compare | null {
  // To set an option would end the process then.
  if (execArgv.some((option) => /^--freeze.flags/.test(option))) return null;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  try {
    return compile(); // whoever allows them for himself keeps them
  } catch {
    setFlagsFromString('--allow-natives-syntax');
  }
  try {
    return compile();
  } catch {
    return null;
  } finally {
    setFlagsFromString('--no-allow-natives-syntax');
  }
}

/**
 * Makes an object of the same hidden class as a plain one that holds nothing of it: to be kept and compared with.
 * @param keys its own enumerable ones
 * @returns undefined when the hidden class would not say all, as of an object with indices, or when none can be made that has it
 * @internal
 */
export function sampleOf(value: object, keys: readonly string[]): object | undefined {
  // Indices are not in the hidden class; nor are the keys of dictionaries.
  if (keys.length === 0 || keys.some((key) => /^\d/.test(key))) return undefined;
  const properties = keys.map((key) => Object.getOwnPropertyDescriptor(value, key));
  if (!properties.every((property) => property !== undefined && 'value' in property)) {
    return undefined;
  }
  compare ??= findComparison();
  if (compare === null) return undefined;
  const blanks = properties.map((property) => blank(property?.value));
  const members = keys.map((key, i) => `${JSON.stringify(key)}:${JSON.stringify(blanks[i])}`);
  const asLiteral = JSON.parse(`{${members.join()}}`) as object;
  const asCopy: Record<string, unknown> = { ...value };
  keys.forEach((key, i) => {
    asCopy[key] = blanks[i];
  });
  return [asLiteral, asCopy].find((sample) => {
    const names = Reflect.ownKeys(sample);
    const isWhole = names.length === keys.length && keys.every((key, i) => key === names[i]);
    return isWhole && ask(value, sample, false);
  });
}

/** Of the same representation, so that what V8 knows of the property stays true. */
function blank(value: unknown): unknown {
  if (typeof value === 'number') return (value | 0) === value ? 0 : 0.5;
  return typeof value === 'string' ? '' : null;
}
