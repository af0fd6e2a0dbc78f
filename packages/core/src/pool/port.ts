/**
 * What a worker of a pool is given at its start: the two channels, the table of tasks, the file of functions, and what it has to
 * know beforehand.
 */
import { close } from '@multiprocessing/posix';
import type { AnyFunction } from '../base/names.ts';
import { nameExports } from '../base/names.ts';
import { dumpsForChild, loadsFromParent } from '../closures/closures.ts';
import { DupFd } from '../fds/dup_fd.ts';
import type { BufferWrapper } from '../heap/heap.ts';
import { getStateSymbol, setStateSymbol } from '../pickle/codes.ts';
import type { SharingContext } from '../process/sharing.ts';
import { SimpleQueue } from '../queues/simple_queue.ts';
import { Finalize } from '../util/finalize.ts';
import { Cells } from './cells.ts';
import { FunctionTable } from './functions.ts';

/** What workers are told of how to work. @internal */
export interface WorkerSettings {
  readonly initializer: AnyFunction | undefined;
  readonly initargs: readonly unknown[];
  /** Tasks after which a worker ends; Infinity: none. */
  readonly maxTasks: number;
  /** Bytes of resident memory after which it ends; Infinity: none. */
  readonly maxMemory: number;
  /** Asynchronous tasks that it has in hand at once. */
  readonly concurrency: number;
  /** Added to its nice value. */
  readonly niceIncrement: number;
  /** Seconds without a task after which it ends; Infinity: none. */
  readonly idleTimeout: number;
}

type Numbers = Omit<WorkerSettings, 'initializer' | 'initargs'>;

interface PortState {
  readonly tasks: SimpleQueue;
  readonly results: SimpleQueue;
  readonly cells: BufferWrapper;
  readonly places: number;
  readonly functions: DupFd;
  readonly numbers: Numbers;
  readonly begin: readonly Uint8Array[];
}

/** How answers are told apart, in the upper bits of a result's tag; below stands the cell, or the worker. @internal */
export const ANSWER = {
  /** What a task returned. */
  RESULT: 0,
  /** What it threw. */
  ERROR: 1,
  /** What a chunk of tasks returned and threw: the values, and pairs of place and error. */
  CHUNK: 2,
  /** Where a task says it has come. */
  PROGRESS: 3,
  /** What the initializer threw. */
  INITIALIZER: 4,
  /** What something threw that a task had left behind: the error, and the task's name. */
  LEFTOVER: 5,
  /** The name of the task after which a worker's event loop had more to do than before. */
  LEFT: 6,
} as const;

/** Seconds for a lock whose owner may have died; of a living one it is free in less. */
const MOMENT = 0.001;

/** Bits of a tag that hold the cell, or the worker. @internal */
export const CELL_BITS = 16;

/** How the items of a task are handed to its function. @internal */
export const CALL = {
  /** One call, with all of them. */
  APPLY: 0,
  /** A call for each. */
  MAP: 1,
  /** A call for each, which is a list of arguments. */
  STARMAP: 2,
} as const;

/** A task on its way: function (id, place, length), kind, items, the place of the first, attempt. @internal */
export type TaskMessage = readonly [
  id: number,
  at: number,
  length: number,
  kind: number,
  items: readonly unknown[],
  index: number,
  attempt: number,
];

/** @internal */
export class WorkerPort {
  tasks: SimpleQueue;
  results: SimpleQueue;
  cells: Cells;
  /** Workers that there can be at once. */
  places: number;
  settings: WorkerSettings;
  functionsFd: number;
  /** Where this process is the one that gives the tasks. */
  functions: FunctionTable | undefined;
  private pickled: readonly Uint8Array[] | undefined;

  constructor(places: number, settings: WorkerSettings, ctx: SharingContext) {
    this.places = places;
    this.settings = settings;
    this.tasks = new SimpleQueue({ ctx });
    this.results = new SimpleQueue({ ctx });
    this.cells = new Cells(places);
    this.functions = new FunctionTable();
    this.functionsFd = this.functions.fd;
    this.pickled = undefined;
  }

  /** The initializer and its arguments, or a promise of them. @throws UnpicklingError */
  begin(): BeginSettings | Promise<BeginSettings> {
    if (this.pickled === undefined) return this.settings;
    const [message, ...beside] = this.pickled as readonly Uint8Array<ArrayBuffer>[];
    return loadsFromParent(message as Uint8Array, beside) as BeginSettings;
  }

  /**
   * A worker has died: what it held is free at once, and whom it was to wake looks. By themselves the others see to that after
   * a quarter of a second, and half a one.
   */
  freeFromTheDead(): void {
    for (const { _channel } of [this.tasks, this.results]) {
      for (const lock of [_channel.putLock, _channel.getLock])
        if (lock.acquireSync(true, MOMENT)) lock.release();
      _channel.items.notifyAll();
    }
  }

  [getStateSymbol](): PortState {
    const { initializer, initargs, ...numbers } = this.settings;
    return {
      tasks: this.tasks,
      results: this.results,
      cells: this.cells.memory,
      places: this.places,
      functions: new DupFd(this.functionsFd),
      numbers,
      // By value where it has no name, and what only a child may have among it.
      begin: dumpsForChild({ initializer, initargs }, true),
    };
  }

  [setStateSymbol]({ tasks, results, cells, places, functions, numbers, begin }: PortState): void {
    this.tasks = tasks;
    this.results = results;
    this.places = places;
    this.cells = new Cells(places, cells);
    this.settings = { ...numbers, initializer: undefined, initargs: [] };
    this.functions = undefined;
    this.functionsFd = functions.detach();
    new Finalize(this, close, { args: [this.functionsFd] });
    this.pickled = begin;
  }
}

type BeginSettings = Pick<WorkerSettings, 'initializer' | 'initargs'>;

nameExports(import.meta.url, { WorkerPort });
