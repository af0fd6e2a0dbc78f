/**
 * `JoinableQueue` of multiprocessing/queues.py: a queue that counts what was put and is not done. CPython counts in a
 * semaphore; here it is the difference of what was put and what is done. Deviations: D-092.
 */
import { now, tidOf } from '@multiprocessing/posix';
import { damaged, ValueError } from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { limit } from '../synchronize/locks.ts';
import { Queue } from './queue.ts';

/** A queue whose items are tasks: who takes one says when it is done. Python's `multiprocessing.JoinableQueue`. */
export class JoinableQueue<T = unknown> extends Queue<T> {
  /** @internal */
  override _taking(): () => void {
    const { members } = this._channel;
    return () => members.hold(1);
  }

  /** Tasks that were put and are not done. */
  private _unfinished(): number {
    const done = Atomics.load(this._channel.tasksDone, 0);
    const unfinished = (this._channel.puts - done) | 0;
    if (unfinished < 0) throw damaged('Queue');
    return unfinished;
  }

  /**
   * Says that a task that `get` gave is done; Python's `task_done`.
   * @throws ValueError when it is called more often than there were tasks
   */
  taskDone(): void {
    if (!this._finish(1)) throw new ValueError('task_done() called too many times');
    this._channel.members.hold(-1);
  }

  /** @returns false, and nothing has changed, when there are not so many */
  private _finish(count: number): boolean {
    const { tasksDone, done } = this._channel;
    for (;;) {
      const before = Atomics.load(tasksDone, 0);
      const unfinished = (this._channel.puts - before) | 0;
      if (unfinished < 0) throw damaged('Queue');
      if (unfinished < count) return false;
      const after = (before + count) | 0;
      if (Atomics.compareExchange(tasksDone, 0, before, after) === before) break;
    }
    if (this._isDone()) done.notifyAll();
    return true;
  }

  private _isDone(): boolean {
    return this._unfinished() === 0;
  }

  /**
   * Waits until every task is done; Python's `join`. Tasks that a process had in hand when it was killed count as done
   * after a moment, with a warning.
   * @param timeout seconds, which Python does not have; undefined waits for ever
   * @returns whether all are done
   * @throws TypeError or ValueError (NaN) for a bad timeout
   */
  async join(timeout?: number): Promise<boolean> {
    const seconds = limit(timeout);
    const deadline = now() + seconds * 1000;
    if (!(await this._feeder.join(seconds))) return false;
    const left = Math.max(0, (deadline - now()) / 1000);
    return this._channel.done.wait(() => this._isDone() || this._forgetDead(), left);
  }

  /** The blocking twin of `join`: sleeps in the kernel. */
  joinSync(timeout?: number): boolean {
    const deadline = now() + limit(timeout) * 1000;
    if (!this._feeder.joinSync(deadline)) return false;
    return this._channel.done.waitSync(
      () => this._isDone(),
      deadline,
      () => {
        this._forgetDead();
      },
    );
  }

  /** Counts the tasks as done that died with who had them. @returns whether all are done */
  private _forgetDead(): boolean {
    const { members } = this._channel;
    for (const { token, held } of members.takeDead()) {
      const lost = this._unfinished() - this._channel.size - members.heldByLiving();
      const count = Math.min(held, lost);
      if (count <= 0 || !this._finish(count)) continue;
      warn(
        `process ${tidOf(token)} ended with ${count} task(s) of ${this} in hand, which count as done`,
      );
    }
    return this._isDone();
  }
}

function warn(message: string): void {
  const warning = new Error(message);
  warning.name = 'LostTaskWarning';
  warning.stack = `${warning.name}: ${message}`;
  process.emit('warning', warning);
}

nameExports(import.meta.url, { JoinableQueue });
