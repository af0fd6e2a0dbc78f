/** `multiprocessing/context`: the contexts, their Process classes, and the errors of context.py. */
export {
  BaseContext,
  DefaultContext,
  ForkContext,
  ForkProcess,
  ForkServerContext,
  ForkServerProcess,
  Process,
  SpawnContext,
  SpawnProcess,
} from '@multiprocessing/contexts';
export {
  AuthenticationError,
  assertSpawning,
  BufferTooShort,
  getSpawningPopen,
  ProcessError,
  setSpawningPopen,
  TimeoutError,
} from '@multiprocessing/core';
