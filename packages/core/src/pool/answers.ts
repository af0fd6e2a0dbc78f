/**
 * What workers answer, on its way to who waits for it.
 */
import { ANYBODY } from '../pickle/permissions.ts';
import { loadsBeside } from '../pickle/reduction.ts';
import { BUSY, type Taken } from '../queues/channel.ts';
import { BrokenProcessPool, withTraceback } from './errors.ts';
import { AHEAD, type InFlight } from './in_flight.ts';
import { ANSWER, CELL_BITS, type WorkerPort } from './port.ts';
import { isThenable } from './run_task.ts';
import { fail, type Task } from './tasks.ts';

const PLACE = (1 << CELL_BITS) - 1;

/** @internal */
export interface AnswerHooks {
  /** A task is answered, and not settled yet. */
  answered(task: Task, failed: boolean): void;
  /** The initializer of a worker has thrown. */
  broken(error: Error): void;
  /** Something that a task has left behind has thrown. */
  leftover(error: unknown, task: string | undefined): void;
  /** A task has left something in the event loop of a worker. */
  left(worker: number, task: string): void;
  /** Some answers have been waited for, and are told. */
  later(): void;
}

/** @internal */
export class Answers {
  readonly #port: WorkerPort;
  readonly #inFlight: InFlight;
  readonly #hooks: AnswerHooks;
  /** While a caller blocks nothing that is awaited goes on. */
  isBlocked = false;
  /** Answers that wait for modules which are being imported. */
  waiting = 0;

  constructor(port: WorkerPort, inFlight: InFlight, hooks: AnswerHooks) {
    this.#port = port;
    this.#inFlight = inFlight;
    this.#hooks = hooks;
  }

  /** Takes those that are there. @returns how many */
  drain(): number {
    let count = 0;
    while (count < AHEAD) {
      const taken = this.#take();
      if (taken === undefined) break;
      count++;
      this.#read(taken);
    }
    return count;
  }

  #take(): Taken | undefined {
    const channel = this.#port.results._channel;
    if (!channel.hasItems()) return undefined;
    channel.getLock.acquireSync(true, Infinity);
    try {
      const taken = channel.take();
      if (taken !== BUSY) return taken;
      channel.putLock.acquireSync(true, Infinity);
      try {
        channel.refill();
      } finally {
        channel.putLock.release();
      }
      const again = channel.take();
      return again === BUSY ? undefined : again;
    } finally {
      channel.getLock.release();
    }
  }

  #read(taken: Taken): void {
    const kind = taken.tag >>> CELL_BITS;
    const task = kind <= ANSWER.PROGRESS ? this.#inFlight.at(taken.tag & PLACE) : undefined;
    if (task !== undefined && kind !== ANSWER.PROGRESS)
      this.#hooks.answered(task, kind === ANSWER.ERROR);
    const refuse = (error: unknown) => {
      if (task !== undefined && kind !== ANSWER.PROGRESS) fail(task, error);
    };
    try {
      const value = loadsBeside(taken, this.isBlocked, ANYBODY);
      if (kind === ANSWER.LEFT) this.#hooks.left(taken.tag & PLACE, value as string);
      else if (isThenable(value)) void this.#readLater(value, kind, task, refuse);
      else this.#deliver(kind, task, value);
    } catch (error) {
      refuse(error);
    }
  }

  async #readLater(
    value: Promise<unknown>,
    kind: number,
    task: Task | undefined,
    refuse: (error: unknown) => void,
  ): Promise<void> {
    this.waiting++;
    try {
      this.#deliver(kind, task, await value);
    } catch (error) {
      refuse(error);
    }
    this.waiting--;
    this.#hooks.later();
  }

  #deliver(kind: number, task: Task | undefined, value: unknown): void {
    switch (kind) {
      case ANSWER.RESULT:
        task?.settle([value], []);
        break;
      case ANSWER.ERROR:
        if (task !== undefined) fail(task, withTraceback(value));
        break;
      case ANSWER.CHUNK: {
        const [values, errors] = value as [unknown[], [number, unknown][]];
        task?.settle(
          values,
          errors.map(([i, error]) => [i, withTraceback(error)]),
        );
        break;
      }
      case ANSWER.PROGRESS:
        task?.progress?.(value);
        break;
      case ANSWER.INITIALIZER: {
        const message = 'the initializer of a worker has thrown: see its cause';
        this.#hooks.broken(new BrokenProcessPool(message, { cause: value }));
        break;
      }
      default: {
        const [error, name] = value as [unknown, string | undefined];
        this.#hooks.leftover(error, name);
      }
    }
  }
}
