/**
 * Variables that several functions of a message have, and that one of them assigns to. Each function is compiled alone: such a
 * variable is a member of an object that all of them get. Its name has to have room for that, so that what stands behind it keeps its
 * column. A name of one or two characters has not: there the variable is one of the whole process, which only the
 * functions of the message know by name.
 */
import { prefix } from './stand_ins.ts';

/** Letters that nobody writes: Canadian syllabics for the objects, Yi syllables for the variables of the process. */
const OBJECTS = 0x1401;
const MANY = 620;
const VARIABLES = 0xa000;
const LAST_VARIABLE = 0xa48c;

/** What holds a variable. @internal */
export class Cell {
  v: unknown;
}

/** What stands for the object in the code. @internal */
export function cellName(number: number): string {
  return number < MANY ? String.fromCharCode(OBJECTS + number) : `${prefix}cell${number}`;
}

/** What stands for the variable in the code. @internal */
export function placeInCell(name: string, number: number): string {
  return isShort(name, number) ? cellName(number) : `${cellName(number)}.v`;
}

const isShort = (name: string, number: number) => name.length < 3 && number < MANY;

/** The first number whose name is in none of the texts, nor are those after it. @internal */
export function firstFree(texts: readonly string[]): number {
  let first = 0;
  for (const text of texts) {
    for (const letter of text.match(/[\u1401-\u166c]/g) ?? [])
      first = Math.max(first, letter.charCodeAt(0) - OBJECTS + 1);
  }
  return first;
}

/** What is needed to know of a function in the table. */
interface HasCells {
  readonly text: string;
  readonly cells: Readonly<Record<string, number>>;
  readonly globals?: Readonly<Record<string, string>>;
}

/** What is kept under the name of a variable, which may be one that every object has. @internal */
export function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

let used = 0;

/** Gives the variables with short names, of the functions of one message, names that nobody in this process has. @internal */
export function declareShort<T extends HasCells>(functions: readonly T[]): T[] {
  const letters = new Map<number, string>();
  return functions.map((code) => {
    const short = Object.entries(code.cells).filter(([name, number]) => isShort(name, number));
    if (short.length === 0) return code;
    let { text } = code;
    const globals: Record<string, string> = {};
    for (const [name, number] of short) {
      const letter = letters.get(number) ?? declare(functions);
      letters.set(number, letter);
      text = text.replaceAll(cellName(number), letter);
      globals[name] = letter;
    }
    const cells = Object.fromEntries(
      Object.entries(code.cells).filter(([name]) => !Object.hasOwn(globals, name)),
    );
    return { ...code, text, cells, globals };
  });
}

function declare(functions: readonly HasCells[]): string {
  let letter: string;
  do {
    letter = String.fromCharCode(VARIABLES + used);
    used = (used + 1) % (LAST_VARIABLE - VARIABLES);
  } while (functions.some(({ text }) => text.includes(letter)));
  try {
    process.getBuiltinModule('node:vm').runInThisContext(`let ${letter};`);
  } catch {
    // More than a thousand of them: the first ones are of messages that were read long ago.
  }
  return letter;
}
