/**
 * The `require` of this library.
 */
import { createRequire } from 'node:module';
import { loadedBundle } from './bundle.ts';

/** It resolves from the bundle's folder, or in a checkout from this one. @internal */
export const require: NodeJS.Require = loadedBundle()?.require ?? createRequire(import.meta.url);
