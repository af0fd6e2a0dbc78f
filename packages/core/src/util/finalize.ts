/**
 * `Finalize` of multiprocessing/util.py: callbacks that run when an object is collected, when they are
 * called, or when the process ends, whichever is first, and only in the process that made them.
 */
import { inspect } from 'node:util';
import { calledByChildren, writtenByChildren } from '@multiprocessing/posix';
import { callAsImported, isImported } from '../base/bootstrapping.ts';
import { typeError, ValueError } from '../base/errors.ts';
import { processWide } from '../base/state.ts';
import { subDebug } from './logging.ts';

const registry = processWide('finalizers', () => ({
  live: new Set<Finalize<never[]>>(),
  counter: 0,
  collected: new FinalizationRegistry<() => void>((finalize) => finalize()),
}));

/** Options of a Finalize. */
export interface FinalizeOptions<A extends unknown[]> {
  args?: A | undefined;
  /** Handed to the callback as one last object argument, unless empty. */
  kwargs?: Record<string, unknown> | undefined;
  /** At exit higher priorities run first; without one it does not run at exit. */
  exitpriority?: number | undefined;
}

/** A callback bound to an object's life; Python's `multiprocessing.util.Finalize`. */
export class Finalize<A extends unknown[] = unknown[]> {
  #work: { callback: (...args: A) => unknown; args: unknown[] } | undefined;
  readonly #object: WeakRef<object> | undefined;
  readonly #pid = process.pid;
  readonly #isImported = isImported();
  /** @internal */
  readonly _exitpriority: number | undefined;
  /** @internal */
  readonly _order = registry.counter++;

  /**
   * @param obj the object to watch, which callback and args must not hold; null with an exitpriority
   * @throws TypeError for an exitpriority that is no integer, ValueError for neither object nor priority
   */
  constructor(
    obj: object | null | undefined,
    callback: (...args: A) => unknown,
    { args, kwargs = {}, exitpriority }: FinalizeOptions<A> = {},
  ) {
    if (exitpriority !== undefined && !Number.isInteger(exitpriority)) {
      throw typeError(`exitpriority must be an integer, not ${inspect(exitpriority)}`);
    }
    if (typeof callback !== 'function') throw typeError('callback must be a function');
    if (obj === null || obj === undefined) {
      if (exitpriority === undefined) {
        throw new ValueError('exitpriority: without an object there must be one');
      }
    } else {
      this.#object = new WeakRef(obj);
      // The registry holds this Finalize until then, and this Finalize holds the object only weakly.
      registry.collected.register(obj, () => this.call(), this);
    }
    this._exitpriority = exitpriority;
    const tail = Object.keys(kwargs).length > 0 ? [kwargs] : [];
    this.#work = { callback, args: [...(args ?? []), ...tail] };
    registry.live.add(this);
  }

  /** Runs the callback, unless it ran or was cancelled; Python's `finalizer()`. */
  call(): unknown {
    const work = this.#work;
    if (work === undefined || !this.#forget()) {
      subDebug('finalizer no longer registered');
      return undefined;
    }
    if (this.#pid !== process.pid) {
      subDebug('finalizer ignored because different process');
      return undefined;
    }
    subDebug('finalizer calling %s with args %j', work.callback.name, work.args);
    const run = () => work.callback(...(work.args as A));
    return this.#isImported ? callAsImported(run) : run();
  }

  /** Takes the request back; Python's `Finalize.cancel`. */
  cancel(): void {
    this.#forget();
  }

  /** Whether the callback still waits to run; Python's `Finalize.still_active`. */
  stillActive(): boolean {
    return registry.live.has(this);
  }

  #forget(): boolean {
    this.#work = undefined;
    registry.collected.unregister(this);
    return registry.live.delete(this);
  }

  toString(): string {
    const work = this.#work;
    if (work === undefined || (this.#object !== undefined && this.#object.deref() === undefined)) {
      return '<Finalize object, dead>';
    }
    const args = work.args.length > 0 ? `, args=${inspect(work.args)}` : '';
    const priority = this._exitpriority === undefined ? '' : `, exitpriority=${this._exitpriority}`;
    return `<Finalize object, callback=${work.callback.name}${args}${priority}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/**
 * Runs the finalizers that have an exit priority of at least `minpriority` (all that have one, without):
 * highest first, newest first within one. One that throws is reported and does not stop the others.
 * Python's `util._run_finalizers`.
 * @internal
 */
export function _runFinalizers(minpriority = -Infinity): void {
  if (registry.live.size === 0) return;
  const due = [...registry.live]
    .filter(({ _exitpriority: p }) => p !== undefined && p >= minpriority)
    .sort((a, b) => (b._exitpriority ?? 0) - (a._exitpriority ?? 0) || b._order - a._order);
  for (const finalizer of due) {
    if (!finalizer.stillActive()) continue;
    subDebug('calling %s', finalizer);
    try {
      finalizer.call();
    } catch (error) {
      console.error(error);
    }
  }
  if (minpriority === -Infinity) registry.live.clear();
}

/** Forgets the finalizers that a forked child has inherited; they are its parent's. @internal */
export function clearFinalizers(): void {
  if (registry.live.size > 0) registry.live = new Set();
}

calledByChildren(_runFinalizers, clearFinalizers);
writtenByChildren(registry);
