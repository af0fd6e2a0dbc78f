/**
 * The default context of multiprocessing/context.py, whose start method can be set once, and its Process class.
 * Deviations: D-016, D-018, D-019.
 */
import {
  BaseProcess,
  nameExports,
  type Popen,
  RuntimeError,
  type StartMethod,
  startMethodState,
  type Target,
  util,
} from '@multiprocessing/core';
import {
  checkForkserverAvailable,
  ForkServerUnavailableError,
  type LaunchOptions,
} from '@multiprocessing/popen';
import { BaseContext, concreteContexts, defaultOf } from './context.ts';

/** The Process class of the default context; Python's `multiprocessing.Process`. */
export class Process<T extends Target = () => unknown> extends BaseProcess<T> {
  override async _beforeLaunch(): Promise<void> {
    try {
      await this._concrete()._beforeLaunch.call(this);
    } catch (error) {
      fallBackToSpawn(error);
    }
  }

  /** @internal */
  override _launchLater(): Promise<Popen> {
    return this._concrete()._launchLater.call(this);
  }

  /** @internal */
  override _Popen(options: LaunchOptions): Popen {
    try {
      return this._concrete()._Popen.call(this, options);
    } catch (error) {
      fallBackToSpawn(error);
      return this._concrete()._Popen.call(this, options);
    }
  }

  /** @internal */
  override _afterFork(): void {
    this._concrete()._afterFork.call(this);
  }

  /** The methods of the Process class that the default context stands for. @internal */
  private _concrete(): BaseProcess {
    return defaultContext.getContext().Process.prototype as BaseProcess;
  }
}

nameExports(import.meta.url, { Process });

/** Set where the default method, and not the program, chose the forkserver. */
let chosenByDefault = false;

/** A program whose default method turns out not to work gets the one that always does. */
function fallBackToSpawn(error: unknown): void {
  if (!(error instanceof ForkServerUnavailableError) || !chosenByDefault) throw error;
  util.info('%s; the default start method is spawn', error.message);
  startMethodState.actual = 'spawn';
}

/** The context behind the functions of the package itself; Python's `DefaultContext`. */
export class DefaultContext extends BaseContext {
  override readonly _name = undefined;
  override readonly Process = Process;

  override get allowClosures(): boolean {
    return this.getContext().allowClosures;
  }

  override set allowClosures(allow: boolean) {
    this.getContext().allowClosures = allow;
  }

  override get allowThreads(): boolean {
    return this.getContext().allowThreads;
  }

  override set allowThreads(allow: boolean) {
    this.getContext().allowThreads = allow;
  }

  override getContext(): BaseContext;
  override getContext<M extends StartMethod>(method: M): (typeof concreteContexts)[M];
  override getContext(method?: string): BaseContext;
  override getContext(method?: string): BaseContext {
    if (method !== undefined) return super.getContext(method);
    if (startMethodState.actual === undefined) {
      startMethodState.actual = defaultStartMethod();
      chosenByDefault = true;
    }
    return concreteContexts[startMethodState.actual];
  }

  /**
   * Sets how processes are started, once per program; Python's `set_start_method`.
   * @param method `'fork'`, `'spawn'` or `'forkserver'`; undefined with force takes the choice back
   * @throws RuntimeError when it is set or was used already, unless forced; ValueError for an unknown or
   *   unusable method
   */
  override setStartMethod(method: string | undefined, { force = false } = {}): void {
    if (startMethodState.actual !== undefined && !force) {
      throw new RuntimeError('context has already been set: pass { force: true } to set it again');
    }
    if (method === undefined && force) {
      startMethodState.actual = undefined;
      return;
    }
    startMethodState.actual = this.getContext(method)._name;
    chosenByDefault = false;
  }

  /**
   * The start method in use; Python's `get_start_method`. Asking fixes the default.
   * @param options.allowNone do not fix it: undefined until it is set or used
   */
  override getStartMethod({ allowNone = false } = {}): StartMethod | undefined {
    if (startMethodState.actual === undefined && allowNone) return undefined;
    return this.getContext()._name;
  }

  /** The start methods that this program can use, the default first; Python's `get_all_start_methods`. */
  getAllStartMethods(): StartMethod[] {
    const first = defaultStartMethod();
    const usable = (['forkserver', 'spawn', 'fork'] as const).filter((method) => {
      if (method === 'fork') return process.platform !== 'win32';
      return method === 'spawn' || forkserverWorks();
    });
    return [first, ...usable.filter((method) => method !== first)];
  }
}

/** As CPython 3.14: forkserver on Linux, spawn elsewhere and where a forkserver cannot work. */
function defaultStartMethod(): StartMethod {
  return forkserverWorks() ? 'forkserver' : 'spawn';
}

function forkserverWorks(): boolean {
  try {
    checkForkserverAvailable();
    return true;
  } catch (error) {
    if (error instanceof ForkServerUnavailableError) return false;
    throw error;
  }
}

/** @internal */
export const defaultContext = new DefaultContext();
defaultOf.context = defaultContext;
