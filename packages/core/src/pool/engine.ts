/**
 * What gives tasks to workers and takes their answers: the three threads of multiprocessing/pool.py, without a thread.
 *
 * Tasks go through one channel to whichever worker takes them, and answers through another one back. A task is in one
 * place at a time: with its source, in a cell of the table that workers see, or settled.
 */
import { now } from '@multiprocessing/posix';
import type { AnyFunction } from '../base/names.ts';
import { SpinHope } from '../base/spin.ts';
import type { SharingContext } from '../process/sharing.ts';
import { prepareWaits } from '../wait/hub.ts';
import { behindThis, LoopTurns, nextTurn } from '../wait/loop_turns.ts';
import { Answers } from './answers.ts';
import { Backlog } from './backlog.ts';
import { Calls } from './calls.ts';
import { Crew, type MakeProcess, type Member } from './crew.ts';
import { Deadlines } from './deadlines.ts';
import { BrokenProcessPool, CancelledError, type WorkerLostError } from './errors.ts';
import type { FunctionTable } from './functions.ts';
import { InFlight } from './in_flight.ts';
import { WorkerPort, type WorkerSettings } from './port.ts';
import { type PoolStats, Tally } from './stats.ts';
import {
  type Call,
  fail,
  type KillReason,
  lossOf,
  type OnWorkerDeath,
  type Source,
  type Task,
  timeoutOf,
} from './tasks.ts';

/** Looks of a spin that are left out. */
const RARELY = 25;
/** Spins before the parent sleeps: about as long as a worker takes that has to be woken. */
const PATIENCE = 6;
/** How often a task is begun at most, where lost ones are tried again. */
const ATTEMPTS = 3;

/** @internal */
export interface EngineOptions {
  readonly settings: WorkerSettings;
  readonly processes: number;
  readonly make: MakeProcess;
  readonly ctx: SharingContext;
  /** Workers that there can be; at first there are `processes`. */
  readonly places: number;
  /** Whether workers are started when there are tasks for them. */
  readonly onDemand: boolean;
  /** Seconds between a cancellation and SIGKILL. */
  readonly killTimeout: number;
  readonly onWorkerDeath: OnWorkerDeath;
  /** Whether workers have what the main module exports by its name. */
  readonly mainByName: () => boolean;
  /** Is told of something that a task has left behind, which has thrown. */
  readonly onLeftover: (error: unknown, task: string | undefined) => void;
}

/** @internal */
export class Engine {
  readonly port: WorkerPort;
  readonly crew: Crew;
  readonly #options: EngineOptions;
  readonly #calls: Calls;
  readonly #inFlight: InFlight;
  readonly #answers: Answers;
  readonly #deadlines: Deadlines;
  readonly #backlog = new Backlog();
  #isScheduled = false;
  #isAsleep = false;
  readonly #hope = new SpinHope(PATIENCE);
  readonly #turns = new LoopTurns();
  /** No more tasks are taken on. */
  isClosed = false;
  isEnded = false;
  #isDisposed = false;
  broken: Error | undefined;
  /** Who waits until all is done. */
  readonly #whenDone: (() => void)[] = [];
  readonly #tally = new Tally();

  constructor(options: EngineOptions) {
    prepareWaits();
    this.#options = options;
    this.port = new WorkerPort(options.places, options.settings, options.ctx);
    this.#calls = new Calls(this.port.functions as FunctionTable, options.mainByName);
    this.#inFlight = new InFlight(this.port);
    this.#answers = new Answers(this.port, this.#inFlight, {
      answered: (task, failed) => this.#answered(task, failed),
      broken: (error) => this.break(error),
      leftover: options.onLeftover,
      left: (worker, task) => this.crew.left(worker, task),
      later: () => this.schedule(),
    });
    this.#deadlines = new Deadlines(this.#inFlight, this.port.cells, (task) =>
      this.cancel(task, 'timeout', timeoutOf(task)),
    );
    this.crew = new Crew(this.port, options.processes, options.make, {
      ended: (member, lost) => this.#lost(member, lost),
      broken: (error) => this.break(error),
      wanted: () => this.#wantedWorkers(),
    });
  }

  get isIdle(): boolean {
    return this.#inFlight.count === 0 && this.#backlog.isEmpty;
  }

  #wantedWorkers(): number {
    if (this.isEnded || (this.isClosed && this.isIdle)) return 0;
    return this.#options.onDemand ? this.#inFlight.count + this.#backlog.again.length : Infinity;
  }

  /** Has a function ready for workers, until `endCall`. @throws PicklingError, OSError */
  beginCall(fn: AnyFunction): Call {
    return this.#calls.begin(fn);
  }

  endCall(call: Call): void {
    this.#calls.end(call);
  }

  /** Takes on the tasks of a source. */
  add(source: Source): void {
    this.#backlog.add(source);
    this.schedule();
  }

  //
  // The parent's side of the work
  //

  /** Has everything looked after, when the code that runs is through. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    behindThis(this.#pump);
  }

  readonly #pump = (): void => {
    if (this.#turns.due()) {
      void nextTurn().then(this.#pump);
      return;
    }
    this.#isScheduled = false;
    if (this.isEnded) return;
    this.#give();
    let answers = this.#answers.drain();
    if (answers === 0 && this.#inFlight.count > 0 && this.#hope.spin(this.#hasAnswers, RARELY))
      answers = this.#answers.drain();
    if (answers > 0 && !this.isIdle) this.schedule();
    else this.#sleep();
    this.#endIfDone();
  };

  get #hasAnswers(): () => boolean {
    return this.port.results._channel.hasItems;
  }

  /** Until an answer comes. */
  #sleep(): void {
    const { items, hasItems } = this.port.results._channel;
    items.keepAlive(this.#inFlight.count > 0);
    if (this.#isAsleep) return;
    this.#isAsleep = true;
    const wake = () => {
      this.#isAsleep = false;
      if (!this.isEnded && !this.#isScheduled) this.#pump();
    };
    const isOver = () => {
      if (hasItems() || this.isEnded) return true;
      this.crew.lookSometimes();
      return false;
    };
    items.wait(isOver, Infinity).then(wake, (error: Error) => this.break(error));
  }

  /** Puts as many tasks as are good for the workers. */
  #give(): void {
    this.#inFlight.update();
    let count = 0;
    while (this.#inFlight.hasRoom) {
      const task = this.#backlog.next();
      if (task === undefined) break;
      if (this.#put(task)) count++;
    }
    if (count === 0) return;
    const unseen = this.port.cells.hasSpinner() ? count - 1 : count;
    if (unseen > 0) this.port.tasks._channel.items.notifySome(unseen);
    if (this.#options.onDemand) this.crew.fill();
  }

  /** @returns false when it cannot be sent: then it has failed */
  #put(task: Task): boolean {
    try {
      this.#inFlight.put(task, this.#calls.pickle(task));
    } catch (error) {
      fail(task, error);
      return false;
    }
    this.#deadlines.watch(task.timeout);
    return true;
  }

  #answered(task: Task, failed: boolean): void {
    this.#tally.answered(task.madeAt, this.port.cells.begunAt(task.cell), failed);
    this.#inFlight.clear(task);
  }

  //
  // Tasks that are not wanted any more, or lost
  //

  /**
   * Takes a task back. If a worker has it, that one is ended.
   * @param why what the task fails by
   * @returns false when it has its answer
   */
  cancel(task: Task, reason: KillReason, why: unknown): boolean {
    const worker = this.#backlog.forget(task) ? -1 : this.#inFlight.cancel(task);
    if (worker === undefined) return false;
    if (worker >= 0) this.crew.kill(worker, reason, this.#options.killTimeout);
    this.#tally.lost();
    fail(task, why);
    this.schedule();
    return true;
  }

  /** Takes a task back, unless a worker has it. @returns whether that is so */
  withdraw(task: Task, why: unknown): boolean {
    if (!this.#backlog.forget(task) && !this.#inFlight.withdraw(task)) return false;
    this.#tally.lost();
    fail(task, why);
    this.schedule();
    return true;
  }

  /** Takes back whatever no worker has begun. */
  withdrawAll(makeError: () => Error): void {
    for (const task of [...this.#backlog.again, ...this.#inFlight.all()])
      this.withdraw(task, makeError());
    this.#backlog.stop(makeError, true);
  }

  /** Whether a worker has begun a task. */
  isRunning(task: Task): boolean {
    return task.cell >= 0 && this.port.cells.isTaken(task.cell);
  }

  /** A worker has ended: what it had in hand is lost. @returns whether it had anything */
  #lost({ place, killed }: Member, lost: WorkerLostError): boolean {
    if (this.#isDisposed) return false;
    this.port.freeFromTheDead();
    while (this.#answers.drain() > 0); // what it has answered counts
    const tasks = this.#inFlight.takeFrom(place);
    const [first] = tasks;
    const { onWorkerDeath } = this.#options;
    if (first !== undefined && onWorkerDeath === 'break' && !this.isEnded) {
      this.break(lossOf(first, lost, killed), true);
      for (const task of tasks) fail(task, this.#brokenError());
      return true;
    }
    for (const task of tasks) {
      if (onWorkerDeath === 'retry' && task.attempt < ATTEMPTS && !this.isEnded) {
        task.attempt++;
        this.#backlog.retry(task);
      } else {
        this.#tally.lost();
        fail(task, lossOf(task, lost, killed));
      }
    }
    this.schedule();
    return tasks.length > 0;
  }

  //
  // The end
  //

  /**
   * Nothing works any more: whatever is not done fails, each with an error of its own.
   * @param isHeard whether somebody gets one; a warning says it, if not
   */
  break(error: Error, isHeard = !this.isIdle): void {
    if (this.isEnded) return;
    this.broken = error;
    if (!isHeard) process.emitWarning(this.#brokenError());
    this.terminate(() => this.#brokenError());
    this.join().catch(() => {}); // who joins the pool is told
  }

  #brokenError(): BrokenProcessPool {
    const error = this.broken as Error;
    if (error instanceof BrokenProcessPool)
      return new BrokenProcessPool(error.message, { cause: error.cause });
    return new BrokenProcessPool(`the pool is broken: ${error.message}`, { cause: error });
  }

  /** Has another number of workers. Those that are too many end when they have nothing in hand. */
  resize(processes: number): void {
    const { crew } = this;
    const surplus = crew.living.length - processes;
    crew.size = processes;
    this.port.cells.keepAll();
    if (surplus > 0) {
      this.port.cells.retire(surplus);
      this.port.tasks._channel.items.notifyAll();
    } else crew.fill();
  }

  /** Takes on no more; workers end when all is done. */
  close(): void {
    this.isClosed = true;
    this.schedule();
  }

  get #isDone(): boolean {
    return this.isEnded || (this.isClosed && this.isIdle && this.#answers.waiting === 0);
  }

  #endIfDone(): void {
    if (!this.#isDone) return;
    for (const tell of this.#whenDone.splice(0)) tell();
    if (this.isEnded || this.port.cells.isClosing) return;
    this.port.cells.setClosing();
    this.port.tasks._channel.items.notifyAll();
  }

  /** Ends all workers at once; what is not done fails. */
  terminate(makeError: () => Error = terminated): void {
    if (this.isEnded) return;
    this.isClosed = true;
    this.isEnded = true;
    this.#deadlines.stop();
    this.crew.terminate();
    for (const task of this.#inFlight.all()) {
      this.#inFlight.clear(task);
      fail(task, makeError());
    }
    this.#backlog.failAgain(makeError);
    this.#backlog.stop(makeError);
    this.#endIfDone();
    this.port.cells.setClosing(); // for one that is about to begin
    this.port.results._channel.items.recheck();
  }

  /** Waits until all workers have ended, and lets go of everything. */
  async join(): Promise<void> {
    this.crew.fill(); // they may not have been begun
    // Where workers come as tasks do there may be none now, and tasks that are not given yet.
    if (!this.#isDone) await new Promise<void>((resolve) => this.#whenDone.push(resolve));
    await this.crew.gone();
    this.#dispose();
  }

  /** The blocking twin. */
  joinSync(): void {
    if (!this.isEnded) {
      this.waitSync(() => this.isIdle, Infinity);
      this.#endIfDone();
    }
    this.crew.goneSync();
    this.#dispose();
  }

  #dispose(): void {
    this.isEnded = true;
    this.#isDisposed = true;
    this.port.results._channel.items.recheck();
    this.port.tasks.close();
    this.port.results.close();
    this.port.functions?.close();
  }

  //
  // For callers that block
  //

  /** Sleeps in the kernel until something is so. @param deadline as now() tells the time @returns whether it is */
  waitSync(done: () => boolean, deadline: number): boolean {
    const wasBlocked = this.crew.isBlocked;
    this.#setBlocked(true);
    try {
      if (!this.isEnded) this.crew.fill();
      return this.#waitBlocked(done, deadline);
    } finally {
      this.#setBlocked(wasBlocked);
    }
  }

  #setBlocked(on: boolean): void {
    this.#answers.isBlocked = on;
    this.crew.isBlocked = on;
  }

  #waitBlocked(done: () => boolean, deadline: number): boolean {
    const { items, hasItems } = this.port.results._channel;
    const isOver = () => hasItems() || done();
    for (;;) {
      if (done()) return true;
      if (!this.isEnded) this.#give();
      if (this.#answers.drain() > 0) continue;
      if (done()) return true;
      if (now() >= deadline) return false;
      if (this.#deadlines.next <= now()) this.#deadlines.look();
      else items.waitSync(isOver, Math.min(deadline, this.#deadlines.next), () => this.#lookSync());
    }
  }

  #lookSync(): void {
    this.crew.look();
    if (!this.isEnded) this.crew.fill();
  }

  stats(): PoolStats {
    const { cells } = this.port;
    const running = this.#inFlight.all().filter((task) => this.isRunning(task));
    const places = running.map(({ cell }) => cells.workerOf(cell));
    return {
      workers: this.crew.stats((place) => places.filter((taken) => taken === place).length),
      pending: this.#inFlight.count,
      running: running.length,
      replaced: Object.fromEntries(this.crew.replaced),
      ...this.#tally.counts(),
    };
  }
}

function terminated(): Error {
  return new CancelledError('the pool was terminated before the task was done');
}
