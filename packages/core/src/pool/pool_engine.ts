/**
 * The engine of a pool: with the processes of a context, and an end that comes whether somebody sees to it or not.
 */
import { checkMayStart } from '../base/bootstrapping.ts';
import { assert } from '../base/errors.ts';
import { givenTo } from '../base/late_rooms.ts';
import type { AnyFunction } from '../base/names.ts';
import { table } from '../base/process_table.ts';
import type { BaseProcess } from '../process/process.ts';
import type { SharingContext } from '../process/sharing.ts';
import { Finalize } from '../util/finalize.ts';
import { behindThis } from '../wait/loop_turns.ts';
import type { MakeProcess } from './crew.ts';
import { Engine } from './engine.ts';
import type { OnWorkerDeath } from './tasks.ts';

/** What a pool needs of the context that it is made in. */
export interface PoolContext extends SharingContext {
  readonly Process: new (options: never) => object;
  /** Of a fork context: whether it stands in for one, so that children do not have the main module. */
  readonly emulated?: boolean;
}

/** The context of a pool that is made without one: the contexts stand to the right of this package. @internal */
export function defaultPoolContext(): PoolContext {
  return givenTo<() => PoolContext>('pool')();
}

/** What an engine is told to be. @internal */
export interface EngineSettings {
  readonly initializer?: ((...args: never[]) => unknown) | undefined;
  readonly initargs?: readonly unknown[] | undefined;
  readonly maxtasksperchild?: number | undefined;
  readonly maxMemory?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly killTimeout?: number | undefined;
  readonly onWorkerDeath?: OnWorkerDeath | undefined;
  readonly niceIncrement?: number | undefined;
  readonly daemon?: boolean | undefined;
  readonly places?: number | undefined;
  readonly onDemand?: boolean | undefined;
  readonly idleTimeout?: number | undefined;
  /** What it is called in warnings. */
  readonly what?: string | undefined;
}

/**
 * Makes an engine, and starts its workers as soon as the code that runs is through.
 * @param owner when that is collected, the engine ends with what it has to do
 * @returns the engine, and what is to be called once it has ended
 * @throws RuntimeError while the main module is imported in a child, AssertionError in a daemonic process
 * @internal
 */
export function poolEngine(
  owner: object,
  processes: number,
  settings: EngineSettings,
  ctx: PoolContext,
): { engine: Engine; forget: () => void } {
  checkMayStart();
  const { daemon = true, onDemand = false, what = 'pool' } = settings;
  assert(!table.current?._config.daemon, 'daemonic processes are not allowed to have children');
  const workers = new WorkerMaker(ctx, daemon);
  const engine = new Engine({
    processes,
    ctx,
    make: (options, sync) => workers.make(options, sync),
    mainByName: () => workers.haveMain,
    settings: {
      initializer: settings.initializer as AnyFunction | undefined,
      initargs: settings.initargs ?? [],
      maxTasks: settings.maxtasksperchild ?? Infinity,
      maxMemory: settings.maxMemory ?? Infinity,
      concurrency: settings.concurrency ?? 1,
      niceIncrement: settings.niceIncrement ?? 0,
      idleTimeout: settings.idleTimeout ?? Infinity,
    },
    places: (settings.places ?? processes) + 1,
    onDemand,
    killTimeout: settings.killTimeout ?? 0,
    onWorkerDeath: settings.onWorkerDeath ?? 'fail-task',
    onLeftover,
  });
  const forgotten = new Finalize(owner, endForgotten, { args: [engine, what], exitpriority: 15 });
  if (!onDemand) behindThis(() => engine.crew.fill());
  return { engine, forget: () => forgotten.cancel() };
}

class WorkerMaker {
  readonly #ctx: PoolContext;
  readonly #daemon: boolean;
  /** Whether a worker was made that has no copy of this process. */
  #emulates = false;

  constructor(ctx: PoolContext, daemon: boolean) {
    this.#ctx = ctx;
    this.#daemon = daemon;
  }

  /** Whether what the main module exports can be named to all workers. */
  get haveMain(): boolean {
    return this.#ctx._name !== 'fork' || !(this.#emulates || this.#ctx.emulated === true);
  }

  make(options: Parameters<MakeProcess>[0], sync: boolean): BaseProcess {
    const process = new this.#ctx.Process({
      ...options,
      daemon: this.#daemon,
    } as never) as BaseProcess & { _emulates?: boolean };
    process.name = process.name.replace('Process', 'PoolWorker');
    // A worker has an event loop, to which a child that is forked while its parent blocks cannot return.
    if (sync && this.#ctx._name === 'fork') {
      process._emulates = true;
      this.#emulates = true;
    }
    return process;
  }
}

/** At the end of the process, or when nobody has the pool any more and it was not closed. */
function endForgotten(engine: Engine, what: string): void {
  if (engine.isEnded) return;
  if (isExiting()) {
    engine.terminate();
    engine.crew.goneSync();
    return;
  }
  if (!engine.isClosed && what === 'pool') {
    process.emitWarning('a pool was forgotten while it runs: close() or terminate() it', {
      type: 'ResourceWarning',
    });
  }
  engine.close();
  void engine.join();
}

function isExiting(): boolean {
  return (process as { _exiting?: boolean })._exiting === true;
}

/** What a task has left behind is nobody's result. */
function onLeftover(error: unknown, task: string | undefined): void {
  const whose =
    task === undefined ? 'something in a worker' : `something that task ${task} had left behind`;
  const warning = new Error(`${whose} has thrown, and the worker makes way for a new one`, {
    cause: error,
  });
  warning.name = 'PoolTaskWarning';
  process.emitWarning(warning);
}
