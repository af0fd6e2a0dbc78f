/**
 * Which start method the default context uses: kept here, left of the contexts, because the child side of
 * a launch sets it before the contexts are loaded.
 */
import { writtenByChildren } from '@multiprocessing/posix';
import { processWide } from './state.ts';

/** @internal */
export type StartMethod = 'fork' | 'spawn' | 'forkserver';

/** `actual` is undefined until the method is set or first used. @internal */
export const startMethodState = processWide('startMethod', () => ({
  actual: undefined as StartMethod | undefined,
}));

writtenByChildren(startMethodState);
