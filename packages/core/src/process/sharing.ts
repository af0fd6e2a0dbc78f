/**
 * What may be given to which child: the checks that synchronize.py makes before it pickles.
 */
import { RuntimeError } from '../base/errors.ts';
import { assertSpawning, getSpawningPopen } from './spawning.ts';
import { startMethodState } from './start_method.ts';

/** What a shared object knows of the context that made it. */
export interface SharingContext {
  /** @internal */
  readonly _name: 'fork' | 'spawn' | 'forkserver' | undefined;
}

/**
 * Throws unless the object is being pickled for a child that may have it.
 * @throws RuntimeError outside of a launch, or for an object of a fork context
 * @internal
 */
export function checkShareable(obj: object, ctx: SharingContext | undefined): void {
  assertSpawning(obj);
  const method = getSpawningPopen()?.method;
  if (method === 'thread' || method === 'fork_emulated') return;
  if ((ctx?._name ?? startMethodState.actual) !== 'fork') return;
  throw new RuntimeError(
    'A SemLock created in a fork context is being shared with a process in a spawn context.' +
      ' This is not supported. Please use the same context to create multiprocessing objects and Process.',
  );
}
