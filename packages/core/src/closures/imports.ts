/**
 * Which variables of a module are imported, and from where.
 */
import type { Node } from 'acorn';
import { importStatements } from '../pickle/module_exports.ts';
import { parse } from './source.ts';

/** Where an imported variable comes from. */
export interface Imported {
  /** As it is written in the module. */
  readonly specifier: string;
  /** The exported name; `*` for the module itself. */
  readonly name: string;
}

const known = new Map<string, ReadonlyMap<string, Imported>>();

interface Specifier extends Node {
  readonly local: { name: string };
  readonly imported?: { name?: string; value?: string };
}

interface ImportDeclaration {
  readonly specifiers?: Specifier[];
  readonly attributes?: unknown[];
}

/** The imported variables of an ES module, by their names there. @internal */
export function importedVariables(
  scriptId: string,
  source: () => string,
): ReadonlyMap<string, Imported> {
  let variables = known.get(scriptId);
  if (variables === undefined) {
    variables = readImports(source());
    known.set(scriptId, variables);
  }
  return variables;
}

function readImports(source: string): Map<string, Imported> {
  const variables = new Map<string, Imported>();
  for (const { specifier, statement } of importStatements(source)) {
    const { body } = parse(statement) as unknown as { body: ImportDeclaration[] };
    // What needs attributes is data (JSON), which may as well be copied.
    if (body[0]?.attributes?.length) continue;
    for (const { type, local, imported } of body[0]?.specifiers ?? []) {
      const named = imported?.name ?? imported?.value ?? 'default';
      const name = type === 'ImportNamespaceSpecifier' ? '*' : named;
      variables.set(local.name, { specifier, name });
    }
  }
  return variables;
}
