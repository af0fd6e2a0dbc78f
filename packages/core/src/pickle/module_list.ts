/**
 * The modules that messages may name, as a connection or a queue is told by its option `allowedModules`.
 */
import { dirname, isAbsolute } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { loadedBundle } from '../base/bundle.ts';
import { typeError, ValueError } from '../base/errors.ts';
import { LIBRARY } from './modules.ts';

/** A list that has been looked at. @internal */
export class ModuleList {
  /** As URLs, `node:` names, `'globalThis'` and `'multiprocessing'`. */
  readonly entries: readonly string[];
  readonly #names: ReadonlySet<string>;
  readonly #folders: readonly string[];

  /**
   * @param list paths and URLs of files, those of folders with a slash at their end; names of built-in modules;
   *   `'globalThis'`, `'multiprocessing'`
   * @throws TypeError, ValueError
   */
  constructor(list: unknown) {
    if (!Array.isArray(list)) {
      throw typeError(`allowedModules must be an array of modules, not ${inspect(list)}`);
    }
    this.entries = Array.from(list, entryOf);
    const names = this.entries.filter((entry) => !entry.endsWith('/'));
    this.#names = new Set(names);
    this.#folders = this.entries.filter((entry) => entry.endsWith('/'));
  }

  /** Whether a message may name a module. */
  allows(module: string): boolean {
    const url = module.startsWith('file:') ? fileOf(module) : module;
    if (url === undefined) return false;
    if (this.#names.has(url)) return true;
    if (this.#folders.some((folder) => url.startsWith(folder))) return true;
    return this.#names.has('multiprocessing') && isLibrary(url);
  }
}

function entryOf(entry: unknown): string {
  if (typeof entry !== 'string' && !(entry instanceof URL)) {
    throw typeError(`allowedModules must have paths and URLs of modules, not ${inspect(entry)}`);
  }
  const text = String(entry);
  if (text === 'globalThis' || text === 'multiprocessing') return text;
  if (process.getBuiltinModule(text) !== undefined)
    return text.startsWith('node:') ? text : `node:${text}`;
  const url = isAbsolute(text) ? pathToFileURL(text).href : text;
  const file = url.startsWith('file:') ? fileOf(url) : undefined;
  if (file !== undefined) return file;
  throw new ValueError(
    `allowedModules: ${inspect(text)} is no absolute path, no file: URL and no built-in module: give` +
      ' import.meta.resolve() of it',
  );
}

/**
 * Without dots, query and fragment: by those a module is another one, and its file the same.
 * @returns undefined for a URL that is of no file
 */
function fileOf(text: string): string | undefined {
  try {
    const { host, pathname } = new URL(text);
    return pathToFileURL(fileURLToPath(`file://${host}${pathname}`)).href;
  } catch {
    return undefined;
  }
}

let library: string | undefined;

function isLibrary(url: string): boolean {
  if (url.startsWith(LIBRARY)) return true;
  const folder =
    loadedBundle()?.folder ?? dirname(fileURLToPath(new URL('../../..', import.meta.url)));
  library ??= `${pathToFileURL(folder).href}/`;
  return url.startsWith(library);
}
