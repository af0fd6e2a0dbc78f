/** `multiprocessing/util`: logging, finalizers, and what happens when a process ends. */
import { util } from '@multiprocessing/core';

export const {
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
} = util;
