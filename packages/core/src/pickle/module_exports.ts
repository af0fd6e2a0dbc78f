/**
 * What an ES module exports, read from its source as V8 holds it: the exported names and the variables
 * they stand for. The lexer is loaded when the first ES module is looked into.
 */
import { byNode } from '@multiprocessing/posix';
import { require } from '../base/require.ts';

/** The exports of one module. */
export interface ModuleExports {
  /** Exported name → the module's variable. Re-exports are not among them: they live elsewhere. */
  readonly variables: ReadonlyMap<string, string>;
  /** The source from where an anonymous default export begins. */
  readonly defaultText: string | undefined;
}

/** As far as it is asked for: `d` is -1 for an import statement, `ss` and `se` are where it stands. */
interface LexedImport {
  readonly n: string | undefined;
  readonly d: number;
  readonly ss: number;
  readonly se: number;
}

type Parse = (
  source: string,
) => readonly [
  ReadonlyArray<LexedImport>,
  ReadonlyArray<{ readonly n: string; readonly ln: string | undefined; readonly e: number }>,
];

const byScript = new Map<string, ModuleExports>();
let lexer: Parse | undefined;

/** The exports of a script, lexed once. @internal */
export function exportedVariables(scriptId: string, source: () => string): ModuleExports {
  let known = byScript.get(scriptId);
  if (known === undefined) {
    known = lex(source());
    byScript.set(scriptId, known);
  }
  return known;
}

/** Has them lexed again. @internal */
export function forgetExports(scriptId: string): void {
  byScript.delete(scriptId);
}

function lex(source: string): ModuleExports {
  const variables = new Map<string, string>();
  let defaultText: string | undefined;
  for (const { n: name, ln: local, e: end } of parse(source)[1]) {
    if (local !== undefined) {
      variables.set(name, local);
    } else if (name === 'default') {
      defaultText = skipBlank(source.slice(end));
      // `export default f;` keeps a value, not a variable: it is found through the variable of that moment.
      const identifier =
        /^([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*(;|$|\/\/|\n(?!\s*[.([`?+\-*,=/]))/u.exec(
          defaultText,
        );
      const variable = identifier?.[1];
      if (variable !== undefined) variables.set('default', variable);
    }
  }
  return { variables, defaultText };
}

/** The exports of an ES module by its source: the exported name and the variable. @internal */
export function exportsOf(source: string): ReadonlyMap<string, string> {
  try {
    return lex(source).variables;
  } catch {
    return new Map(); // no JavaScript
  }
}

/** The import statements of an ES module, and what they import from. @internal */
export function importStatements(source: string): { specifier: string; statement: string }[] {
  return parse(source)[0].flatMap(({ n: specifier, d: kind, ss: start, se: end }) =>
    kind === -1 && specifier !== undefined
      ? [{ specifier, statement: source.slice(start, end) }]
      : [],
  );
}

function parse(source: string): ReturnType<Parse> {
  lexer ??= byNode(() => require('es-module-lexer/minimal') as { parse: Parse }).parse;
  try {
    return lexer(source);
  } catch {
    // Without WebAssembly (--jitless), or without the 10 GB of addresses that V8 wants for its memory (ulimit -v), the lexer's
    // JavaScript build does the same. It takes 10 ms to load.
    lexer = byNode(() => require('es-module-lexer/minimal/js') as { parse: Parse }).parse;
    return lexer(source);
  }
}

function skipBlank(text: string): string {
  return text.replace(/^(?:\s|\/\/[^\n]*\n|\/\*[\s\S]*?\*\/)+/, '');
}
