/**
 * What a function that runs in a worker of a pool can ask and say.
 */
import type { AsyncLocalStorage } from 'node:async_hooks';
import { processWide } from '../base/state.ts';

/** An AbortSignal, as far as this library has to do with one. */
interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

/** The AbortSignal of Node or of the DOM, whichever types a program has; and if it has none, what is used of it. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer S } }
  ? S
  : AbortSignalLike;

/** What a worker does for the task that it has in hand. @internal */
export interface TaskHost {
  readonly id: number;
  readonly index: number;
  readonly attempt: number;
  readonly name: string;
  report(value: unknown): void;
  signal(): Signal;
}

const state = processWide('pool.task', () => ({
  /** Made by the first task: few processes are workers. */
  hosts: undefined as AsyncLocalStorage<TaskHost> | undefined,
}));

/** The task that this code belongs to, whatever has become of it. @internal */
export function taskHost(): TaskHost | undefined {
  return state.hosts?.getStore();
}

/** Runs a task's code so that it knows its task. @internal */
export function runAs<T>(host: TaskHost, code: () => T): T {
  state.hosts ??= new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)<TaskHost>();
  return state.hosts.run(host, code);
}

/** The task that runs in a worker of a pool or an executor. No counterpart in Python. */
export class CurrentTask {
  readonly #host: TaskHost;

  constructor(host: TaskHost) {
    this.#host = host;
  }

  /** Its number among the tasks of its pool. */
  get id(): number {
    return this.#host.id;
  }

  /** The place of its item in the iterable of `map` and its kin; 0 for `apply`. */
  get index(): number {
    return this.#host.index;
  }

  /** How often it was begun: 1, and more where a lost task is tried again. */
  get attempt(): number {
    return this.#host.attempt;
  }

  /**
   * Is aborted when the task is cancelled or its time is over. What listens has `killTimeout` seconds of its pool to clean up; an
   * endless loop never hears of it.
   */
  get signal(): Signal {
    return this.#host.signal();
  }

  /** Tells who waits for the task how far it is: the `onProgress` of its call. @throws PicklingError */
  reportProgress(value: unknown): void {
    this.#host.report(value);
  }
}

/** The task that calls this; undefined outside of a pool's worker. No counterpart in Python. */
export function currentTask(): CurrentTask | undefined {
  const host = taskHost();
  return host && new CurrentTask(host);
}
