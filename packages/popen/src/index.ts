/**
 * @multiprocessing/popen: how a child is launched (parent side) and what it does first (child side).
 */
export {
  _emulatingServer,
  _forkserver,
  checkForkserverAvailable,
  ForkServerUnavailableError,
  type OnPreloadError,
} from './forkserver.ts';
export { forkserverMain } from './forkserver_server.ts';
export { forkSafeExecArgv, isForkSafeProcess, loaderOf } from './loader.ts';
export { type LaunchOptions, Popen as PopenFork } from './popen_fork.ts';
export { emulateFork, prepareEmulatedFork } from './popen_fork_emulated.ts';
export { Popen as PopenForkServer } from './popen_forkserver.ts';
export { Popen as PopenSpawn } from './popen_spawn_posix.ts';
export { getExecutable, getPreparationData, setExecutable, spawnMain } from './spawn.ts';
