/**
 * @multiprocessing/popen: how a child is launched (parent side) and what it does first (child side). Its rooms, from the
 * ground up:
 *
 *     base        entries.ts (where the programs of children are), start_node.ts (a node in the directory of the start),
 *                 owned_fds.ts (the fds of a launch), launch_options.ts, start_watch.ts (a node that sleeps in its own start)
 *     loader      how a process that forks loads the program's modules
 *     spawn       what a child without its parent's memory is told and does first
 *     forkserver  the server that forks children, and its clients
 *     launch      a Popen for each start method
 */

export type { LaunchOptions } from './base/launch_options.ts';
export {
  _emulatingServer,
  _forkserver,
  checkForkserverAvailable,
  ForkServerUnavailableError,
  type OnPreloadError,
} from './forkserver/forkserver.ts';
export { forkserverMain } from './forkserver/server.ts';
export { Popen as PopenFork } from './launch/popen_fork.ts';
export { emulateFork, prepareEmulatedFork } from './launch/popen_fork_emulated.ts';
export { Popen as PopenForkServer } from './launch/popen_forkserver.ts';
export { Popen as PopenSpawn } from './launch/popen_spawn_posix.ts';
export { forkSafeExecArgv, isForkSafeProcess, loaderOf } from './loader/loader.ts';
export { takeOver } from './spawn/single_executable.ts';
export { getExecutable, getPreparationData, setExecutable, spawnMain } from './spawn/spawn.ts';
