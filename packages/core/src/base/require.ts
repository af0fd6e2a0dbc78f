/**
 * The `require` of this library. node:module is asked for where it is used, here and elsewhere: a spawned child
 * needs it nowhere, and would take 0.3 ms to load it.
 */
import { loadedBundle } from './bundle.ts';

/** It resolves from the bundle's folder, or in a checkout from this one. @internal */
export const require: NodeJS.Require =
  loadedBundle()?.require ?? process.getBuiltinModule('node:module').createRequire(import.meta.url);
