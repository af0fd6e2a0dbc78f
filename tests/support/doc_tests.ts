/** Tests that a page of docs/ names: `tests/file.test.ts` › title. */
import { existsSync, readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);

/** A text of this repository. */
export const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

export interface NamedTest {
  readonly file: string;
  readonly title: string;
}

/** @param end what may stand behind a title */
export function namedTests(text: string, end = '$'): NamedTest[] {
  const tests = text.matchAll(new RegExp(`\`(tests/[\\w/]+\\.test\\.ts)\` › (.+?)${end}`, 'gm'));
  return [...tests].map(({ 1: file = '', 2: title = '' }) => ({ file, title }));
}

/** Whether a test of that title stands in the file's source. */
export function isThere({ file, title }: NamedTest): boolean {
  if (!existsSync(new URL(file, root))) return false;
  const source = read(file);
  return ["'", '"', '`'].some((quote) => {
    const at = source.indexOf(`${quote}${title}${quote}`);
    if (at < 0) return false;
    const before = source.slice(Math.max(0, at - 200), at);
    // Behind `test(`, or behind the end of a table, which may be long: `test.each([ ... ])(`.
    return (
      /\b(?:test|it)\b[^;{}]*\(\s*$/.test(before) || /^ *\](?: as const)?\)\(\s*$/m.test(before)
    );
  });
}
