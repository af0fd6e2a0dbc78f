/**
 * The Process classes with a fixed start method, of multiprocessing/context.py.
 */
import {
  BaseProcess,
  nameExports,
  type Popen,
  type StartMethod,
  startMethodState,
  type Target,
  util,
} from '@multiprocessing/core';
import {
  _forkserver,
  emulateFork,
  type LaunchOptions,
  PopenFork,
  PopenForkServer,
  PopenSpawn,
  prepareEmulatedFork,
} from '@multiprocessing/popen';
import {
  calledByChildren,
  forkAvailable,
  replaceExitHandlers,
  setImmediate,
} from '@multiprocessing/posix';

// The getters of a namespace are functions that each forked child would have to compile.
const { _exitFunction, _runAfterForkers, resetExit } = util;

/** The start methods whose contexts have `allowClosures`. @internal */
export const closuresAllowed = new Set<StartMethod | undefined>(['fork']);

/** A process that is a copy of this one, or stands in for it (`ForkContext.emulated`); Python's `ForkProcess`. */
export class ForkProcess<T extends Target = () => unknown> extends BaseProcess<T> {
  /** A turn of the event loop, so that the child's copy of the stack holds nothing of the caller's. @internal */
  override _beforeLaunch(): Promise<void> {
    if (!forkAvailable().available) return prepareEmulatedFork();
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** @internal */
  override _Popen(options: LaunchOptions): Popen {
    const self = this as unknown as BaseProcess;
    return forkAvailable().available ? new PopenFork(self, options) : emulateFork(self, options);
  }

  /** @internal */
  override _afterFork(): void {
    const { emulatedBy } = startMethodState;
    startMethodState.actual = 'fork';
    startMethodState.emulatedBy = undefined; // a child of this one may be forked
    if (emulatedBy === 'spawn') return;
    resetExit();
    if (emulatedBy === undefined) replaceExitHandlers(_exitFunction);
    _runAfterForkers();
  }
}

/** A process that is a fresh node; Python's `SpawnProcess`. */
export class SpawnProcess<T extends Target = () => unknown> extends BaseProcess<T> {
  /** @internal */
  override _Popen(options: LaunchOptions): Popen {
    const allowClosures = closuresAllowed.has('spawn');
    return new PopenSpawn(this as unknown as BaseProcess, { ...options, allowClosures });
  }

  /** @internal */
  override _afterFork(): void {
    startMethodState.actual = 'spawn';
  }
}

/** A process forked by a server that has imported the main module; Python's `ForkServerProcess`. */
export class ForkServerProcess<T extends Target = () => unknown> extends BaseProcess<T> {
  /** @internal */
  override _beforeLaunch(): Promise<void> {
    return _forkserver.ready();
  }

  /** @internal */
  override _Popen(options: LaunchOptions): Popen {
    const allowClosures = closuresAllowed.has('forkserver');
    return new PopenForkServer(this as unknown as BaseProcess, { ...options, allowClosures });
  }

  /** @internal */
  override _afterFork(): void {
    startMethodState.actual = 'forkserver';
    resetExit();
    _runAfterForkers();
  }
}

calledByChildren(ForkProcess.prototype._afterFork, ForkServerProcess.prototype._afterFork);
nameExports(import.meta.url, { ForkProcess, SpawnProcess, ForkServerProcess });
