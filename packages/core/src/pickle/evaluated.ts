/**
 * Functions of modules that somebody else than Node has evaluated, as test runners do: Node's loader does not know those, and
 * what ran is what the runner has made of the file. Such a function has the name by which the file exports it, if that
 * is still the same function there.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { hasFlag } from '@multiprocessing/posix';
import type { AnyFunction } from '../base/names.ts';
import { exportsOf } from './module_exports.ts';

/** What runners make of the use of an import, and what they count coverage by. */
const ADDED: readonly [RegExp, string][] = [
  [/\(\s*0\s*,\s*([\w$]+\.[\w$]+)\s*\)/g, '$1'],
  [/\b(?:__vi\w*import_\d+__|_[\w$]+)\./g, ''],
  [/\bcov_\w+\(\)(?:\.[sfb]\[\d+\](?:\[\d+\])?\+\+)?[;,]?/g, ''],
  [/\["default"\]|\bdefault\./g, ''],
];

/** What people give to Node so that it loads TypeScript: children are given the same. */
const LOADERS =
  /\b(tsx|ts-node|swc|swc-node|jiti|esbuild|esbuild-register|sucrase|babel|oxc|tsimp)\b/;

/** Words and numbers; what a compiler leaves of them stands in the same order. */
const WORDS = /[\p{ID_Start}$_][\p{ID_Continue}$]*|\d+/gu;

/** What a file has of a function: the name by which it exports it, or why there is none. */
interface Found {
  readonly qualname?: string;
  readonly reason?: string;
}

/**
 * The name by which a file exports a function, which somebody else than Node has evaluated.
 * @param module URL of the file
 * @returns undefined where the file exports nothing of that name
 * @internal
 */
export function findInFile(fn: AnyFunction, module: string): Found | undefined {
  const path = fileOf(module);
  if (path === undefined || fn.name === '') return undefined;
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch {
    return undefined; // it is gone
  }
  const qualname = exportedAs(fn.name, source);
  if (qualname === undefined) return undefined;
  if (!isSame(fn, source)) return { reason: 'and it is another function now' };
  return isLoadable(path)
    ? { qualname }
    : { reason: 'and children have no loader for this kind of file' };
}

/** The path of a module, without what a loader adds to its URL; undefined where it is none of a file. @internal */
export function fileOf(module: string): string | undefined {
  try {
    return fileURLToPath(new URL(new URL(module).pathname, 'file:'));
  } catch {
    return undefined;
  }
}

/** Whether Node, as children are started, can load a file. */
function isLoadable(path: string): boolean {
  if (/\.[cm]?js$/.test(path)) return true;
  if (!/\.[cm]?tsx?$/.test(path)) return false;
  const { typescript } = process.features as { typescript?: string | false };
  return Boolean(typescript) || hasFlag(LOADERS);
}

/** Of the names under which a module exports a variable the first. */
function exportedAs(variable: string, source: string): string | undefined {
  for (const [name, local] of exportsOf(source)) if (local === variable) return name;
  const escaped = variable.replaceAll('$', '\\$');
  if (
    new RegExp(`\\bexport\\s+default\\s+(async\\s+)?(function\\*?|class)\\s+${escaped}\\b`).test(
      source,
    )
  )
    return 'default';
  // CommonJS
  if (new RegExp(`\\bexports\\.${escaped}\\s*=[^=]`).test(source)) return variable;
  if (new RegExp(`\\bmodule\\.exports\\s*=\\s*${escaped}\\b`).test(source)) return 'default';
  const object = /\bmodule\.exports\s*=\s*\{([^}]*)\}/.exec(source)?.[1];
  return object?.split(',').some((entry) => entry.trim() === variable) ? variable : undefined;
}

/** Whether what ran stands in the file: types, and what runners add, aside. */
function isSame(fn: AnyFunction, source: string): boolean {
  let text = Function.prototype.toString.call(fn);
  for (const [added, left] of ADDED) text = text.replace(added, left);
  const escaped = fn.name.replaceAll('$', '\\$');
  const begin = new RegExp(`\\b(?:function\\s*\\*?|class|const|let|var)\\s+${escaped}\\b`).exec(
    source,
  );
  if (begin === null) return false;
  const words = text.match(WORDS) ?? [];
  const there = source.slice(Math.max(0, begin.index - 8), begin.index + 200 + 4 * text.length);
  let at = 0;
  for (const word of there.match(WORDS) ?? []) if (word === words[at]) at++;
  return at === words.length;
}
