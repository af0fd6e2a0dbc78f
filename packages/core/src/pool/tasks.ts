/**
 * What an engine works with: tasks, and where they come from.
 */
import { TimeoutError } from '../base/errors.ts';
import type { AnyFunction } from '../base/names.ts';
import { type TaskInfo, WorkerLostError } from './errors.ts';
import type { Entry } from './functions.ts';

/** A function on its way to workers. @internal */
export interface Call {
  readonly fn: AnyFunction;
  readonly name: string;
  entry: Entry;
  /** Whether what the main module exports went by name. */
  mainByName: boolean;
}

/** Places of items in a task and what they have thrown, in order. @internal */
export type Errors = readonly (readonly [number, unknown])[];

/** A task: some items for a function, and who waits for what becomes of them. @internal */
export interface Task {
  readonly call: Call;
  readonly kind: number;
  readonly items: readonly unknown[];
  /** The place of the first item in its call. */
  readonly index: number;
  /** Seconds from its begin in a worker; Infinity: no limit. */
  readonly timeout: number;
  attempt: number;
  /** When it was asked for, as now() tells the time. */
  readonly madeAt: number;
  /** Where it is in the table of cells; -1 while it is not. */
  cell: number;
  /** Is told what has become of the items. Without any value it failed as a whole, by the first error. */
  readonly settle: (values: readonly unknown[], errors: Errors) => void;
  readonly progress: ((value: unknown) => void) | undefined;
}

/** Where tasks come from: a call of the pool. @internal */
export interface Source {
  /** The next task, if there is one now. It throws nothing. */
  next(): Task | undefined;
  /** Whether no more will come. */
  readonly isOver: boolean;
  /** No more tasks come: what it has not given yet fails. @param leaves whether what a worker has begun goes on */
  stop(error: unknown, leaves?: boolean): void;
}

/** What becomes of a task whose worker has died. */
export type OnWorkerDeath = 'fail-task' | 'retry' | 'break';

/** Why a worker was ended, where the pool itself has done it. @internal */
export type KillReason = 'timeout' | 'cancel' | 'terminate';

/** A task fails as a whole. @internal */
export function fail(task: Task, error: unknown): void {
  task.settle([], [[0, error]]);
}

function infoOf({ call, index, items }: Task): TaskInfo {
  return { function: call.name, index, args: items };
}

function describe({ call, index }: Task): string {
  return `${call.name} (item ${index})`;
}

/** What a task fails by whose time is over. @internal */
export function timeoutOf(task: Task): TimeoutError {
  const text = `task ${describe(task)} has not ended in ${task.timeout} seconds: its worker was ended`;
  return Object.assign(new TimeoutError(text), { task: infoOf(task) });
}

/** What a task fails by whose worker has ended. @internal */
export function lossOf(
  task: Task,
  lost: WorkerLostError,
  killed: KillReason | undefined,
): WorkerLostError {
  const { pid, exitcode } = lost;
  const byItself = killed === undefined && exitcode !== undefined && exitcode >= 0;
  const why =
    killed === undefined
      ? `${lost.message} in the middle of task ${describe(task)}`
      : `task ${describe(task)} is lost: its worker was ended because of the ${killed} of another one`;
  const hint = byItself ? ': the task ends its process, by process.exit() or SystemExit' : '';
  return new WorkerLostError(why + hint, {
    task: infoOf(task),
    ...(pid !== undefined && { pid }),
    ...(exitcode !== undefined && { exitcode }),
  });
}
