/**
 * How this library is loaded when it is installed: as one file, compiled by us, so that its compiled code can be
 * handed to spawned children. In a checkout that is not bundled none of this exists.
 */
import type { Script } from 'node:vm';
import { shared } from './state.ts';

/** What load_bundle.ts leaves in a process that runs the bundle. @internal */
export interface LoadedBundle {
  /** What is loaded of what the bundle exports: a namespace per sub-path. */
  readonly exports: Readonly<Record<string, object>>;
  /** Loads a room that is a script of its own, and those that it uses. */
  loadRoom(name: string): void;
  /** What a sub-path exports; its room is loaded then. */
  subpath(name: string): object | undefined;
  readonly script: Script;
  readonly require: NodeJS.Require;
  /** `import.meta.resolve` of an ES module: the bundle is none. */
  resolve: ((specifier: string) => string) | undefined;
  /** `import()`, which a script with a code cache does not have on Node 20. */
  readonly importModule: (url: string) => Promise<object>;
  /** The folder of the bundle and of its entries. */
  readonly folder: string;
  /** What tells this build from all others. */
  readonly id: string;
}

/** The key in what is shared (state.ts). @internal */
export const BUNDLE = Symbol.for('multiprocessing.bundle');

/** The bundle that this process runs, if it does. @internal */
export function loadedBundle(): LoadedBundle | undefined {
  bundle ??= shared()[BUNDLE] as LoadedBundle | undefined;
  return bundle;
}

let bundle: LoadedBundle | undefined;

/** Imports a module by its URL. @internal */
export function importModule(url: string): Promise<object> {
  return loadedBundle()?.importModule(url) ?? (import(url) as Promise<object>);
}
