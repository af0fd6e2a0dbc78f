/**
 * No counterpart in CPython: tsx's module hooks in the thread that imports, for Nodes on which tsx can
 * only `module.register()` them (20, and 22 before 22.22.3).
 *
 * Node's own hooks thread runs them by giving its loader a `Hooks` object as its customizations.
 * The same is done here in the main thread. It takes Node's internals (`--expose-internals`), which
 * is sound because these lines of Node are closed: where they change, tsx does not need them.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { MessagePort } from 'node:worker_threads';
import { ForkUnsafeLoaderError } from './errors.ts';

interface Resolved {
  url: string;
  format?: string | null | undefined;
}
interface LoadContext {
  importAttributes?: object;
}
interface Loaded {
  format: string;
  source?: unknown;
}
interface Hooks {
  allowImportMetaResolve: boolean;
  addCustomLoader(url: string, hooks: object, data: unknown): unknown;
  resolve(specifier: string, parentURL?: string, attributes?: object): Promise<Resolved>;
  resolveSync(specifier: string, parentURL?: string, attributes?: object): Resolved;
  load(url: string, context?: LoadContext): Promise<Loaded>;
}
interface CascadedLoader {
  import(specifier: string, parentURL: string, attributes: object): Promise<object>;
  defaultResolve(specifier: string, parentURL?: string, attributes?: object): Resolved;
  setCustomizations?(hooks: Hooks): void;
}
/** Of Node's internal/modules/esm/loader and /hooks. */
interface Internals {
  getOrInitializeCascadedLoader(): CascadedLoader;
  Hooks: new () => Hooks;
}

const require = createRequire(import.meta.url);
let installed = false;

/** Whether this process runs with `--expose-internals`. */
export function internalsExposed(): boolean {
  return process.execArgv.includes('--expose-internals');
}

/**
 * Installs tsx's hooks in this thread.
 *
 * @param url where `module.register()` was told to find them
 * @param data what it was given for their `initialize`
 * @param transferList what it was to transfer to the thread
 */
export function hostTsx(url: URL, data: unknown, transferList: readonly object[] = []): void {
  if ((data as { namespace?: string } | undefined)?.namespace !== undefined) {
    throw new ForkUnsafeLoaderError(
      "tsx's tsImport() and scoped register() need a thread on this version of Node, and this process forks",
    );
  }
  if (installed) return; // tsx registers once more when its hooks are loaded in the main thread
  installed = true;
  const internals: Internals = {
    ...require('internal/modules/esm/loader'),
    ...require('internal/modules/esm/hooks'),
  };
  const loader = internals.getOrInitializeCascadedLoader();
  if (loader.setCustomizations === undefined) {
    throw new ForkUnsafeLoaderError(
      `tsx needs a thread on Node ${process.version}, and this process forks. Use a newer tsx or Node`,
    );
  }
  const hooks = new internals.Hooks();
  url.search = ''; // the module that is registering itself, not another instance of it
  const ready = loader.import(url.href, import.meta.url, {}).then(async (namespace) => {
    await hooks.addCustomLoader(url.href, namespace, data);
    // Listening on a port would keep the process alive, as it does not in the hooks thread.
    for (const port of transferList as MessagePort[]) port.unref?.();
  });
  ready.catch(() => {}); // whoever imports next is told
  loader.setCustomizations(inThread(hooks, loader, ready));
}

/** Makes of the Hooks of a hooks thread those of a main thread. */
function inThread(hooks: Hooks, loader: CascadedLoader, ready: Promise<void>): Hooks {
  const resolve = hooks.resolve.bind(hooks);
  const load = hooks.load.bind(hooks);
  // tsx's own modules are loaded before its hooks can be; until then, `hooks` are Node's defaults.
  const after = async (...urls: (string | undefined)[]) => {
    if (!urls.some((url) => url?.includes('/node_modules/'))) await ready;
  };
  return Object.assign(hooks, {
    allowImportMetaResolve: true,
    async resolve(specifier: string, parentURL?: string, attributes?: object) {
      await after(specifier, parentURL);
      return resolve(specifier, parentURL, { ...attributes });
    },
    async load(url: string, context?: LoadContext) {
      await after(url);
      // Copies, as a thread would get: tsx up to 4.19 writes on them, and Node's own are frozen.
      const importAttributes = { ...context?.importAttributes };
      const loaded = await load(url, { ...context, importAttributes });
      // By its source alone 'commonjs' gets a require() of its own, which goes to the hooks thread.
      const transformed = loaded.format === 'commonjs' && loaded.source != null;
      return transformed ? { ...loaded, format: 'commonjs-sync' } : loaded;
    },
    // import.meta.resolve(). tsx's hook is asynchronous; its patch of CommonJS knows as much.
    resolveSync(specifier: string, parentURL?: string, attributes?: object) {
      try {
        return loader.defaultResolve(specifier, parentURL, attributes);
      } catch (error) {
        try {
          const path = createRequire(parentURL ?? import.meta.url).resolve(specifier);
          return { url: pathToFileURL(path).href };
        } catch {
          throw error;
        }
      }
    },
  });
}
