/**
 * The Process classes with a fixed start method, of multiprocessing/context.py.
 */
import {
  BaseProcess,
  findNameBefore,
  nameExports,
  type Popen,
  rehearseTurn,
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
  ForeignThreadsError,
  forkAvailable,
  knownForeignThreads,
  replaceExitHandlers,
  setImmediate,
  warnOfThreads,
} from '@multiprocessing/posix';

// The getters of a namespace are functions that each forked child would have to compile.
const { _exitFunction, _runAfterForkers, resetExit } = util;

/** The start methods whose contexts have `allowClosures`. @internal */
export const closuresAllowed = new Set<StartMethod | undefined>(['fork']);

/** The start methods whose contexts have `allowThreads`. @internal */
export const threadsAllowed = new Set<StartMethod | undefined>();

/** What a warning says behind the names of the threads. */
const EMULATED =
  ' So this fork is emulated, and its child gets what it needs by value; if those threads bear a fork, set allowThreads of the context.';

/** Whether it is known beforehand that a fork cannot be a real one. */
function isForkEmulated(): boolean {
  if (!forkAvailable().available) return true;
  return !threadsAllowed.has('fork') && knownForeignThreads().length > 0;
}

/** A process that is a copy of this one, or stands in for it (`ForkContext.emulated`); Python's `ForkProcess`. */
export class ForkProcess<T extends Target = () => unknown> extends BaseProcess<T> {
  /** Whether it is to be emulated, whatever can be. @internal */
  declare _emulates?: boolean;

  /** @internal */
  override _beforeLaunch(): Promise<void> {
    return prepareEmulatedFork();
  }

  /** In a turn of the event loop of its own, so that the child's copy of the stack holds nothing of the caller's. @internal */
  override _launchLater(): Promise<Popen> {
    if (isForkEmulated()) return super._launchLater();
    void rehearseTurn();
    const { pid } = process;
    return new Promise((resolve, reject) => {
      // Not in a microtask: a synchronous target ends its turn in there.
      setImmediate(() => {
        if (process.pid !== pid) return; // a sibling forked meanwhile: this is its child
        try {
          resolve(this._Popen({ sync: false }));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  /** @internal */
  override _Popen(options: LaunchOptions): Popen {
    const self = this as unknown as BaseProcess;
    const allowThreads = threadsAllowed.has('fork');
    const withThreads = { ...options, allowThreads };
    if (this._emulates || !forkAvailable().available) return emulateFork(self, withThreads);
    try {
      const popen = new PopenFork(self, withThreads);
      if (allowThreads && !popen.inChild) warnOfThreads();
      return popen;
    } catch (error) {
      if (!(error instanceof ForeignThreadsError)) throw error;
      warnOfThreads(EMULATED);
      return emulateFork(self, withThreads);
    }
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
    // Where a new server is needed, it imports the main module if this child is going to.
    for (const named of [this._target, this.constructor]) findNameBefore(named);
    return _forkserver.ready();
  }

  /** @internal */
  override _Popen(options: LaunchOptions): Popen {
    const allowClosures = closuresAllowed.has('forkserver');
    const allowThreads = threadsAllowed.has('forkserver');
    const allowed = { ...options, allowClosures, allowThreads };
    return new PopenForkServer(this as unknown as BaseProcess, allowed);
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
