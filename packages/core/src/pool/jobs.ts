/**
 * What calls of a pool are made of: where their tasks come from, and where the results go. `MapResult` and `IMapIterator` of
 * multiprocessing/pool.py are the callers' side of them (results.ts, imap.ts).
 */
import { now } from '@multiprocessing/posix';
import { behindThis } from '../wait/loop_turns.ts';
import type { Signal } from './current_task.ts';
import type { Engine } from './engine.ts';
import { CancelledError } from './errors.ts';
import { CALL } from './port.ts';
import { type Progress, ProgressMeter } from './progress.ts';
import type { Call, Errors, Source, Task } from './tasks.ts';

/** Options of each call of a pool. */
export interface CallOptions {
  /** Seconds from the moment in which a worker begins a task, or a chunk of them; then it is ended. */
  timeout?: number | undefined;
  /** What is queued is not begun after this, and what runs is ended. */
  signal?: Signal | undefined;
  /** Is told how far it is, ten times a second at most. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** @internal */
export interface JobOptions extends CallOptions {
  readonly call: Call;
  readonly kind: number;
}

/** A call whose items are handed out in chunks. @internal */
export abstract class Job implements Source {
  protected readonly engine: Engine;
  protected readonly options: JobOptions;
  /** Tasks that are not settled. */
  protected readonly open = new Set<Task>();
  protected meter: ProgressMeter | undefined;
  #isReleased = false;
  #stopListening = () => {};
  /** Why no more tasks come, if the call was stopped. */
  protected stopped: { readonly error: unknown } | undefined;

  constructor(engine: Engine, options: JobOptions) {
    this.engine = engine;
    this.options = options;
    const { onProgress, signal } = options;
    if (onProgress !== undefined) {
      this.meter = new ProgressMeter(onProgress, () => ({
        total: this.total,
        running: [...this.open].filter((task) => engine.isRunning(task)).length,
      }));
    }
    if (signal !== undefined) this.#listen(signal);
  }

  abstract get isOver(): boolean;
  abstract next(): Task | undefined;
  protected abstract get total(): number | undefined;
  /** What has become of a chunk. */
  protected abstract settled(
    index: number,
    count: number,
    values: readonly unknown[],
    errors: Errors,
  ): void;

  #listen(signal: Signal): void {
    const abort = () => {
      const { reason } = signal;
      this.stop(new CancelledError('the call was aborted by its signal', { cause: reason }));
    };
    if (signal.aborted) {
      behindThis(abort);
      return;
    }
    this.#stopListening = onAbort(signal, abort);
  }

  /** No more tasks, and those that are on their way are taken back. @param leaves whether what a worker has begun goes on */
  stop(error: unknown, leaves = false): void {
    if (this.#isReleased || this.stopped !== undefined) return;
    this.stopped = { error };
    for (const task of [...this.open]) {
      if (leaves) this.engine.withdraw(task, error);
      else this.engine.cancel(task, 'cancel', error);
    }
    this.afterStop();
    this.engine.schedule();
  }

  protected afterStop(): void {}

  protected task(items: readonly unknown[], index: number): Task {
    const { call, kind, timeout = Infinity } = this.options;
    const task: Task = {
      call,
      kind,
      items,
      index,
      timeout,
      attempt: 1,
      madeAt: now(),
      cell: -1,
      settle: (values, errors) => {
        this.open.delete(task);
        const count = kind === CALL.APPLY ? 1 : items.length;
        const whole = values.length === 0 && errors.length > 0;
        this.meter?.add(count, whole ? count : errors.length);
        this.settled(index, count, values, errors);
      },
      progress: this.meter && ((value) => this.meter?.report(index, value)),
    };
    this.open.add(task);
    return task;
  }

  /** All is settled. */
  protected finish(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#stopListening();
    this.engine.endCall(this.options.call);
    this.meter?.end();
  }
}

/** Who is told of each signal: one listener for all, since many calls may have one signal, and Node warns of many. */
const listening = new WeakMap<object, Set<() => void>>();

/** @returns what ends it */
function onAbort(signal: Signal, callback: () => void): () => void {
  let callbacks = listening.get(signal);
  if (callbacks === undefined) {
    const all = new Set<() => void>();
    callbacks = all;
    listening.set(signal, all);
    signal.addEventListener('abort', () => [...all].forEach((tell) => void tell()), { once: true });
  }
  callbacks.add(callback);
  return () => callbacks.delete(callback);
}

/** One call of a function. @internal */
export class ApplyJob extends Job {
  #args: readonly unknown[] | undefined;
  readonly #done: Done;

  constructor(engine: Engine, options: JobOptions, args: readonly unknown[], done: Done) {
    super(engine, options);
    this.#args = args;
    this.#done = done;
  }

  override get isOver(): boolean {
    return this.#args === undefined;
  }

  protected override get total(): number {
    return 1;
  }

  /** Where it is, if a worker may have it. */
  get running(): Task | undefined {
    const [task] = this.open;
    return task;
  }

  /** Takes it back, unless a worker has it. @returns whether that is so */
  withdraw(why: unknown): boolean {
    const task = this.running;
    if (task !== undefined) return this.engine.withdraw(task, why);
    if (this.#args === undefined) return false;
    this.stop(why);
    return true;
  }

  override next(): Task | undefined {
    const args = this.#args;
    this.#args = undefined;
    return args && this.task(args, 0);
  }

  protected override afterStop(): void {
    if (this.#args === undefined) return;
    this.#args = undefined;
    this.settled(0, 1, [], [[0, this.stopped?.error]]);
  }

  protected override settled(
    _index: number,
    _count: number,
    values: readonly unknown[],
    errors: Errors,
  ): void {
    this.finish();
    const [first] = errors;
    this.#done(values, first && { error: first[1] });
  }
}

/** Is told what has become of a call: what its items gave, or what the first of those that failed has thrown. @internal */
export type Done = (
  values: readonly unknown[],
  error: { readonly error: unknown } | undefined,
) => void;

/** A call for each of many items that are there. @internal */
export class MapJob extends Job {
  readonly #items: readonly unknown[];
  readonly #chunksize: number;
  readonly #values: unknown[];
  readonly #done: Done;
  #next = 0;
  #left: number;
  /** The place of the first item that failed. */
  #firstAt = Infinity;
  #first: { readonly error: unknown } | undefined;

  constructor(
    engine: Engine,
    options: JobOptions,
    items: readonly unknown[],
    chunksize: number,
    done: Done,
  ) {
    super(engine, options);
    this.#items = items;
    this.#chunksize = chunksize;
    this.#values = new Array(items.length);
    this.#left = items.length;
    this.#done = done;
  }

  override get isOver(): boolean {
    return this.#next >= this.#items.length;
  }

  protected override get total(): number {
    return this.#items.length;
  }

  override next(): Task | undefined {
    const index = this.#next;
    if (index >= this.#items.length) return undefined;
    this.#next = Math.min(index + this.#chunksize, this.#items.length);
    return this.task(this.#items.slice(index, this.#next), index);
  }

  protected override afterStop(): void {
    const index = this.#next;
    this.#next = this.#items.length;
    if (index < this.#next) this.settled(index, this.#next - index, [], [[0, this.stopped?.error]]);
  }

  protected override settled(
    index: number,
    count: number,
    values: readonly unknown[],
    errors: Errors,
  ): void {
    for (let i = 0; i < values.length; i++) this.#values[index + i] = values[i];
    for (const [i, error] of errors) {
      if (index + i >= this.#firstAt) continue;
      this.#firstAt = index + i;
      this.#first = { error };
    }
    this.#left -= count;
    if (this.#left > 0) return;
    this.finish();
    this.#done(this.#values, this.#first);
  }
}
