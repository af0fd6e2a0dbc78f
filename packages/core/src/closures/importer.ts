/**
 * Imports modules in a child as the module does that a function comes from: by the same specifier, from the same place.
 */
import type { Script } from 'node:vm';
import { UnpicklingError } from '../base/errors.ts';
import { copyOf, type ImportedFrom, memberOf, requireOf } from './loaded.ts';

/** Functions and modules that were imported for a message here: for where it is sent on. */
const importedHere = new WeakMap<object, ImportedFrom>();

/** Notes how a function or module is imported, for all places where it is met. @internal */
export function rememberImport(value: unknown, from: ImportedFrom): void {
  if ((typeof value === 'object' && value !== null) || typeof value === 'function')
    importedHere.set(value, from);
}

/** How a function or module is imported, as far as it was noted. @internal */
export function rememberedImport(value: object): ImportedFrom | undefined {
  return importedHere.get(value);
}

/** The imports of one message. @internal */
export class Imports {
  readonly #modules = new Map<string, unknown>();

  /** @throws UnpicklingError if it cannot be imported */
  async load(from: ImportedFrom): Promise<void> {
    const key = moduleKey(from);
    if (this.#modules.has(key)) return;
    this.#modules.set(key, from.by === 'import' ? await importFrom(from) : requireFrom(from));
  }

  /** @throws UnpicklingError if it was not loaded */
  get(from: ImportedFrom): unknown {
    const key = moduleKey(from);
    if (!this.#modules.has(key)) {
      throw new UnpicklingError(
        `'${from.specifier}' has to be imported, which takes an asynchronous load`,
      );
    }
    const module = this.#modules.get(key);
    const value =
      from.copy === 'require'
        ? requireOf(from.url)
        : from.copy === undefined
          ? memberOf(module, from.path)
          : copyOf(module, from.copy);
    rememberImport(value, from);
    return from.promise ? Promise.resolve(value) : value;
  }
}

const moduleKey = ({ url, specifier, by, type }: ImportedFrom) =>
  `${by} ${type ?? ''}\n${url}\n${specifier}`;

function requireFrom(from: ImportedFrom): unknown {
  const { url, specifier } = from;
  try {
    return requireOf(url)(specifier) as unknown;
  } catch (error) {
    throw cannotImport(from, error);
  }
}

let importsAllowed = false;

/**
 * The first import() of a script makes Node print that this is experimental (it has been there since 20.10); said once,
 * to nobody, it is not said again.
 * @internal
 */
export function allowImports(): void {
  if (importsAllowed) return;
  importsAllowed = true;
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    importer(import.meta.url)('node:path').catch(() => {}); // a loader of the program's may refuse it
  } finally {
    process.emitWarning = emitWarning;
  }
}

type Importer = (specifier: string, options?: object) => Promise<object>;

const importers = new Map<string, Importer>();

/** `import()` as the module at a URL does it. */
function importer(url: string): Importer {
  let known = importers.get(url);
  if (known === undefined) {
    const { Script, constants } = process.getBuiltinModule('node:vm');
    const options = { importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER };
    const script: Script = new Script('(specifier, options) => import(specifier, options)', {
      ...options,
      ...(url === '' ? {} : { filename: url }),
    });
    known = script.runInThisContext() as Importer;
    importers.set(url, known);
  }
  return known;
}

async function importFrom(from: ImportedFrom): Promise<object> {
  const { url, specifier, type } = from;
  try {
    allowImports();
    return await importer(url)(specifier, type === undefined ? undefined : { with: { type } });
  } catch (error) {
    throw cannotImport(from, error);
  }
}

function cannotImport({ url, specifier, by }: ImportedFrom, error: unknown): UnpicklingError {
  const why = error instanceof Error ? error.message : String(error);
  return new UnpicklingError(
    `cannot ${by} '${specifier}', as ${url || 'the sender'} does: ${why}`,
    {
      cause: error,
    },
  );
}
