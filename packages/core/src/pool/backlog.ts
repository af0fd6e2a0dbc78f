/**
 * The tasks that no worker can see yet: with the calls that they come from, or to be tried again.
 */
import { fail, type Source, type Task } from './tasks.ts';

/** @internal */
export class Backlog {
  readonly #sources: Source[] = [];
  /** Tasks whose worker was lost: before all others. */
  readonly #again: Task[] = [];

  get isEmpty(): boolean {
    return this.#sources.length === 0 && this.#again.length === 0;
  }

  /** Those that are to be tried again. */
  get again(): readonly Task[] {
    return this.#again;
  }

  add(source: Source): void {
    this.#sources.push(source);
  }

  retry(task: Task): void {
    this.#again.push(task);
  }

  /** The task that is to be given next; undefined when there is none for now. */
  next(): Task | undefined {
    const again = this.#again.shift();
    if (again !== undefined) return again;
    for (let i = 0; i < this.#sources.length; ) {
      const source = this.#sources[i] as Source;
      const task = source.next();
      if (task !== undefined) return task;
      if (source.isOver) this.#sources.splice(i, 1);
      else i++;
    }
    return undefined;
  }

  /** Has a task not tried again. @returns whether it was to be */
  forget(task: Task): boolean {
    const place = this.#again.indexOf(task);
    if (place >= 0) this.#again.splice(place, 1);
    return place >= 0;
  }

  /** No more tasks come of any call. @param leaves whether what a worker has begun goes on */
  stop(makeError: () => Error, leaves = false): void {
    for (const source of this.#sources.splice(0)) source.stop(makeError(), leaves);
  }

  /** What was to be tried again has failed. */
  failAgain(makeError: () => Error): void {
    for (const task of this.#again.splice(0)) fail(task, makeError());
  }
}
