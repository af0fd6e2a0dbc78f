/**
 * Whether two objects are laid out alike. V8 keeps an object's prototype and the names, order and attributes of its
 * properties in its hidden class ("map"), which all objects made the same way share; objects of one hidden class need not
 * be looked through one by one.
 *
 * V8 has a function that compares them, `%HaveSameMap`, and lets no program call it unless the parser is told to accept its
 * name. So it is told to while two functions of one line are compiled, and no longer. Where that cannot be, nothing is
 * alike, and every object is looked through. The parts of V8: src/runtime/runtime-test.cc, docs: v8.dev/docs/hidden-classes.
 */
interface Natives {
  haveSameMap(this: void, a: object, b: object): boolean;
  hasFastProperties(this: void, value: object): boolean;
}

const source = `({
  haveSameMap(a, b) { return %HaveSameMap(a, b); },
  hasFastProperties(value) { return %HasFastProperties(value); },
})`;

/** null: cannot be had. */
let natives: Natives | null | undefined;

/** @internal */
export function haveSameHiddenClass(a: object, b: object): boolean {
  try {
    return natives?.haveSameMap(a, b) === true;
  } catch (error) {
    // V8 drops the code of functions that were not called for long, and cannot compile these again.
    if (error instanceof SyntaxError) natives = findNatives();
    return false;
  }
}

function compile(): Natives {
  const compiled = process.getBuiltinModule('node:vm').runInThisContext(source) as Natives;
  compiled.haveSameMap(compiled, compiled); // a function is compiled when it is called first
  compiled.hasFastProperties(compiled);
  return compiled;
}

function findNatives(): Natives | null {
  // To set an option would end the process then.
  if (process.execArgv.some((option) => /^--freeze.flags/.test(option))) return null;
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
  natives ??= findNatives();
  if (natives === null) return undefined;
  const blanks = properties.map((property) => blank(property?.value));
  const members = keys.map((key, i) => `${JSON.stringify(key)}:${JSON.stringify(blanks[i])}`);
  const asLiteral = JSON.parse(`{${members.join()}}`) as object;
  const asCopy: Record<string, unknown> = { ...value };
  keys.forEach((key, i) => {
    asCopy[key] = blanks[i];
  });
  return [asLiteral, asCopy].find(
    (sample) =>
      haveSameHiddenClass(sample, value) &&
      natives?.hasFastProperties(sample) &&
      Object.getOwnPropertySymbols(sample).length === 0,
  );
}

/** Of the same representation, so that what V8 knows of the property stays true. */
function blank(value: unknown): unknown {
  if (typeof value === 'number') return (value | 0) === value ? 0 : 0.5;
  return typeof value === 'string' ? '' : null;
}
