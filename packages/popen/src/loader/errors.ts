/**
 * No counterpart in CPython: the error of loader.ts and loader_preload.ts. It stands alone because
 * the preload runs before everything and must load nothing else.
 */

/** The program's modules are loaded by way of a thread, and no thread survives fork(). */
export class ForkUnsafeLoaderError extends Error {
  override name = 'ForkUnsafeLoaderError';
  readonly code = 'ERR_MP_FORK_UNSAFE_LOADER';
}
