/**
 * A task that a worker has in hand.
 */
import type { Signal, TaskHost } from './current_task.ts';
import type { TaskMessage } from './port.ts';

/** What a task in hand needs of its worker. @internal */
export interface TaskWorker {
  /** Tells the parent of a task's progress. @throws PicklingError */
  report(cell: number, value: unknown): void;
  /** Aborts a signal when a task is taken back. */
  watch(task: TaskInHand, controller: AbortController): Promise<void>;
}

/** @internal */
export class TaskInHand implements TaskHost {
  readonly #worker: TaskWorker;
  readonly id: number;
  readonly index: number;
  readonly attempt: number;
  readonly name: string;
  /** Aborted when the task is cancelled; there, if anybody has asked for it. */
  controller: AbortController | undefined;
  /** Whether it has been answered for. */
  isOver = false;

  constructor(
    worker: TaskWorker,
    cell: number,
    [, , , , , index, attempt]: TaskMessage,
    name: string,
  ) {
    this.#worker = worker;
    this.id = cell;
    this.index = index;
    this.attempt = attempt;
    this.name = name;
  }

  report(value: unknown): void {
    if (!this.isOver) this.#worker.report(this.id, value);
  }

  signal(): Signal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      void this.#worker.watch(this, this.controller);
    }
    return this.controller.signal;
  }
}
