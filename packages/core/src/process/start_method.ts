/**
 * Which start method the default context uses: kept here, left of the contexts, because the child side of
 * a launch sets it before the contexts are loaded.
 */
import { writtenByChildren } from '@multiprocessing/posix';
import { processWide } from '../base/state.ts';

/** @internal */
export type StartMethod = 'fork' | 'spawn' | 'forkserver';

/** By which start method a fork is emulated. @internal */
export type EmulatedBy = 'forkserver' | 'spawn';

/** `actual` is undefined until the method is set or first used. @internal */
export const startMethodState = processWide('startMethod', () => ({
  actual: undefined as StartMethod | undefined,
  /** In the child of an emulated fork, until it has made itself ready. */
  emulatedBy: undefined as EmulatedBy | undefined,
}));

writtenByChildren(startMethodState);
