/** `multiprocessing/util`: logging, finalizers, and what happens when a process ends. */
export {
  _exitFunction,
  _runAfterForkers,
  _runFinalizers,
  debug,
  Finalize,
  getLogger,
  getTempDir,
  info,
  isExiting,
  Logger,
  logToStderr,
  registerAfterFork,
  SUBDEBUG,
  SUBWARNING,
  subDebug,
  subWarning,
} from '@multiprocessing/core/util/util';
