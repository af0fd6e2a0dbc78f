/**
 * Counterpart of multiprocessing/util.py: the end of a process, output, and small helpers. Deviations: D-009, D-010, D-011, D-038,
 * D-106.
 *
 *     daemons.ts   the end of daemons
 *     finalize.ts  Finalize
 *     logging.ts   getLogger, logToStderr, debug, info ...
 *     output.ts    the standard streams
 */
import { existsSync, rmSync } from 'node:fs';
import {
  afterFatalError,
  calledByChildren,
  close,
  posixSpawn,
  watchForFatalErrors,
  writtenByChildren,
} from '@multiprocessing/posix';
import { activeChildren, currentProcess } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import { makeTempDir } from '../base/temp_dir.ts';
import { endDaemons } from './daemons.ts';
import { _runFinalizers, clearFinalizers, Finalize } from './finalize.ts';
import { debug, info } from './logging.ts';
import { forgetOutput } from './output.ts';

export { _runFinalizers, Finalize } from './finalize.ts';
export {
  debug,
  getLogger,
  info,
  Logger,
  type LogHandler,
  type LogRecord,
  loggingState,
  logToStderr,
  SUBDEBUG,
  SUBWARNING,
  subDebug,
  subWarning,
} from './logging.ts';

export {
  _closeStdin,
  _flushStdStreams,
  blockOutput,
  needsFlush,
  outputStreams,
  unblockOutput,
  writeOwnOutput,
} from './output.ts';

const state = processWide('util', () => ({
  exiting: false,
  afterFork: [] as { object: WeakRef<object>; func: (obj: never) => void }[],
}));

//
// A temporary directory which is removed at exit
//

/** The longest path of a Unix socket (107 bytes) without a name of up to 19 bytes in that directory. */
const MAX_TEMP_DIR = 87;

/**
 * A directory for this process and its descendants, removed at exit; Python's `util.get_temp_dir`. Its path is short
 * enough for Unix sockets in it, unless only a TMPDIR that is too long can be written.
 * @throws OSError ENOENT where no temporary directory can be written
 */
export function getTempDir(): string {
  const config = currentProcess()._config;
  // Somebody may clean up /tmp while the program runs, or the process that has made it is gone.
  if (config.tempdir === undefined || !existsSync(config.tempdir)) {
    const tempdir = makeTempDir('pymp-', MAX_TEMP_DIR);
    info('created temp directory %s', tempdir);
    new Finalize(null, removeTempDir, { args: [tempdir], exitpriority: -100 });
    config.tempdir = tempdir;
  }
  return config.tempdir;
}

function removeTempDir(tempdir: string): void {
  rmSync(tempdir, { recursive: true, force: true });
  delete currentProcess()._config.tempdir;
}

//
// What a forked child has to make anew
//

/**
 * Has `func(obj)` called in every forked child, as long as the object lives; Python's
 * `util.register_after_fork`.
 */
export function registerAfterFork<T extends object>(obj: T, func: (obj: T) => void): void {
  state.afterFork.push({ object: new WeakRef(obj), func });
}

/** Runs what was registered, oldest first; Python's `util._run_after_forkers`. @internal */
export function _runAfterForkers(): void {
  if (state.afterFork.length === 0) return;
  state.afterFork = state.afterFork.filter(({ object }) => object.deref() !== undefined);
  for (const { object, func } of state.afterFork) {
    try {
      func(object.deref() as never);
    } catch (error) {
      info('after forker raised exception %s', error);
    }
  }
}

//
// The end of a process
//

/** Whether this process is shutting down; Python's `util.is_exiting`. */
export function isExiting(): boolean {
  return state.exiting;
}

/**
 * What a process does at its end: finalizers from priority 0, daemons terminated, children joined, the other
 * finalizers. Python's `util._exit_function`.
 * @internal
 */
export function _exitFunction(): void {
  if (state.exiting) return;
  state.exiting = true;
  info('process shutting down');
  debug('running all "atexit" finalizers with priority >= 0');
  _runFinalizers(0);
  endDaemons(activeChildren().filter((child) => child.daemon));
  for (const child of activeChildren()) {
    if (child.daemon) continue; // it is dead, and in the hands of a debugger
    info('calling join() for process %s', child.name);
    child.joinSync();
  }
  debug('running the remaining "atexit" finalizers');
  _runFinalizers();
}

/** Has `_exitFunction` run when this process ends: after the print of the error, if it ends of one. @internal */
export function registerExitFunction(): void {
  process.on('exit', exitOrLater);
}

function exitOrLater(): void {
  if (!afterFatalError(_exitFunction)) _exitFunction();
}

/** Makes the end of a forked child its own: its parent's finalizers are not run here. @internal */
export function resetExit(): void {
  state.exiting = false;
  clearFinalizers();
  forgetOutput();
}

/** Forgets the 'exit' handlers of the program: the forkserver runs none, nor do its children. @internal */
export function forgetExitHandlers(): void {
  process.removeAllListeners('exit');
  registerExitFunction();
}

//
// Starting a program with only the specified fds kept open
//

/**
 * Starts a program with only stdin, stdout, stderr and these fds; it finds them as 3, 4, 5 ... in their order.
 * Python's `util.spawnv_passfds`.
 * @param options.directory where it starts, if not in this process's working directory
 * @param options.env its environment, if not this process's own
 * @returns the pid
 * @throws OSError when the program cannot be started
 */
export function spawnvPassfds(
  path: string,
  args: readonly string[],
  passfds: readonly number[],
  options: { directory?: string | undefined; env?: NodeJS.ProcessEnv } = {},
): number {
  return posixSpawn(path, args, { passFds: passfds, ...options });
}

/** Closes each fd; Python's `util.close_fds`. @internal */
export function closeFds(...fds: number[]): void {
  for (const fd of fds) close(fd);
}

registerExitFunction();
watchForFatalErrors();

calledByChildren(_runAfterForkers, _exitFunction, exitOrLater, endDaemons, resetExit);
writtenByChildren(state);
