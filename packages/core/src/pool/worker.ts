/**
 * The life of a worker: `worker` of multiprocessing/pool.py. It takes a task, runs it, answers, until it is told to end.
 */
import { getPriority, setPriority } from 'node:os';
import {
  leaveProcess,
  now,
  setImmediate,
  toSharedClock,
  writeStderr,
} from '@multiprocessing/posix';
import { SystemExit } from '../base/errors.ts';
import { type AnyFunction, nameExports } from '../base/names.ts';
import { SpinHope } from '../base/spin.ts';
import { trace } from '../base/trace.ts';
import { loadsFromParent } from '../closures/closures.ts';
import { HAS_CODE } from '../pickle/codes.ts';
import type { Pickled } from '../pickle/message.ts';
import { PARENT } from '../pickle/permissions.ts';
import { loadsBeside } from '../pickle/reduction.ts';
import { dieWithParent } from '../process/bootstrap.ts';
import { currentProcess } from '../process/process.ts';
import { BUSY, type Taken } from '../queues/channel.ts';
import { LoopTurns, nextTurn } from '../wait/loop_turns.ts';
import { answerOf, dumpsAnswer, errorMessage, leftoverMessage } from './answer_message.ts';
import {
  BUSY as BUSY_FOR,
  LEFT,
  LEFT_BEHIND,
  PID,
  READY_AT,
  RSS,
  STARTED_IN,
  TASKS,
} from './cells.ts';
import { runAs, taskHost } from './current_task.ts';
import { MaybeEncodingError } from './errors.ts';
import { FunctionCache } from './functions.ts';
import { LoopResources } from './loop_resources.ts';
import { ANSWER, CELL_BITS, type TaskMessage, type WorkerPort } from './port.ts';
import { isThenable, type RunResult, runTask } from './run_task.ts';
import { TaskInHand, type TaskWorker } from './task_in_hand.ts';

/** Looks of a spin that are left out, while somebody else is about to change the memory. */
const RARELY = 25;
/** Milliseconds after which one that sleeps in the kernel lets its event loop have a turn. */
const NAP = 250;
/** Milliseconds between looks at the own memory. */
const LOOK_AT_MEMORY = 10;
/** Seconds for which another worker that takes a task is waited for. */
const MOMENT = 1;

/** Why a worker takes no more tasks. */
type Reason = 'tasks' | 'memory' | 'cancelled' | 'error';

class PoolWorker implements TaskWorker {
  readonly #port: WorkerPort;
  readonly #worker: number;
  readonly #functions: FunctionCache;
  readonly #fields: Float64Array;
  readonly #hope = new SpinHope(4);
  readonly #turns = new LoopTurns();
  readonly #loop = new LoopResources();
  /** Tasks in hand that are asynchronous. */
  #inHand = 0;
  #whenFree: (() => void) | undefined;
  #leaves: Reason | undefined;
  #tasks = 0;
  #lookAtMemory = 0;
  readonly #cells: WorkerPort['cells'];
  /** Whether the last item was a task that is this worker's now, and when. */
  #taken = false;
  /** The name of the last one that was done. */
  #lastTask: string | undefined;
  #time = 0;
  /** Whether it has seen its next task in a spin. */
  #isSpinner = false;

  constructor(port: WorkerPort, worker: number) {
    this.#port = port;
    this.#worker = worker;
    this.#cells = port.cells;
    this.#functions = new FunctionCache(port.functionsFd);
    this.#fields = port.cells.fieldsOf(worker);
    this.#fields[PID] = process.pid;
  }

  async run(startedAt: number): Promise<void> {
    await this.#loop.begin();
    if (!(await this.#initialize())) {
      process.exitCode = 1;
      return;
    }
    process.on('uncaughtException', this.#onUncaught);
    const readyAt = toSharedClock(now());
    this.#fields[READY_AT] = readyAt;
    this.#fields[STARTED_IN] = (readyAt - startedAt) / 1000;
    await this.#work();
    while (this.#inHand > 0) await this.#oneIsDone();
    this.#fields[LEFT] = 1;
    process.off('uncaughtException', this.#onUncaught);
  }

  async #initialize(): Promise<boolean> {
    try {
      const { niceIncrement } = this.#port.settings;
      if (niceIncrement !== 0) setPriority(Math.min(19, getPriority() + niceIncrement));
      const { initializer, initargs } = await this.#port.begin();
      await initializer?.(...(initargs as never[]));
      return true;
    } catch (error) {
      this.#send(errorMessage(error), this.#worker, ANSWER.INITIALIZER);
      return false;
    }
  }

  async #work(): Promise<void> {
    const { concurrency, maxTasks } = this.#port.settings;
    while (this.#leaves === undefined) {
      if (this.#tasks >= maxTasks) {
        this.#leaves = 'tasks';
        break;
      }
      if (this.#inHand >= concurrency) {
        await this.#oneIsDone();
        continue;
      }
      if (this.#inHand === 0 && this.#cells.isSurplus()) break;
      const taken = this.#take();
      if (taken === undefined) {
        if (this.#cells.isClosing && !this.#port.tasks._channel.hasItems()) break;
        if (!(await this.#rest())) break;
        continue;
      }
      this.#tasks++;
      this.#tellOthers();
      this.#begin(taken);
      if (this.#turns.due()) await nextTurn();
    }
    this.#tellOthers(); // of what it has seen and does not take
    trace('pool', 'leave', currentProcess().name, () => ({ reason: this.#leaves ?? 'closed' }));
  }

  /** Tasks may have been given, and nobody woken for them, while this worker was the one that looks for them. */
  #tellOthers(): void {
    if (!this.#isSpinner) return;
    this.#isSpinner = false;
    const { items, hasItems } = this.#port.tasks._channel;
    if (hasItems()) items.notifySome(1);
  }

  /** Waits for a task, or for one in hand to be done. @returns false when there was none for so long that this worker leaves */
  async #rest(): Promise<boolean> {
    const { items, hasItems } = this.#port.tasks._channel;
    const isIdle = this.#inHand === 0;
    const isOver = () =>
      hasItems() ||
      this.#cells.isClosing ||
      this.#leaves !== undefined ||
      (isIdle && this.#cells.hasSurplus);
    if (isIdle) {
      if (this.#spin(hasItems)) return true;
      await nextTurn(); // what the last task has left for it: rejections, timers that are due
      if (isOver()) return true;
      // With nothing to do for the event loop it sleeps in the kernel, where it is woken in half of the time.
      const left = this.#loop.leftBehind();
      if (left > (this.#fields[LEFT_BEHIND] as number) && this.#lastTask !== undefined)
        this.#send(dumpsAnswer(this.#lastTask), this.#worker, ANSWER.LEFT);
      this.#fields[LEFT_BEHIND] = left;
      if (left === 0) return this.#sleep(isOver);
    }
    const waiting = items.wait(isOver, isIdle ? this.#port.settings.idleTimeout : Infinity);
    if (isIdle) return waiting;
    await Promise.race([waiting, this.#oneIsDone()]);
    return true;
  }

  /**
   * Looks for a task all the time, for a moment. One worker does at a time: the others sleep, and are not woken for the task
   * that this one takes.
   * @returns whether there is one
   */
  #spin(hasItems: () => boolean): boolean {
    if (!this.#cells.beginSpin(this.#worker)) return false;
    this.#isSpinner = this.#hope.spin(hasItems, RARELY);
    this.#cells.endSpin(this.#worker);
    return this.#isSpinner;
  }

  /** @returns false when there was nothing for so long that this worker leaves */
  async #sleep(isOver: () => boolean): Promise<boolean> {
    const end = now() + this.#port.settings.idleTimeout * 1000;
    while (!this.#port.tasks._channel.items.sleepSync(isOver, Math.min(end, now() + NAP))) {
      await nextTurn(); // handlers of signals, timers that are not waited for
      if (this.#loop.leftBehind() > 0) return true;
      if (now() >= end) return false;
    }
    return true;
  }

  #oneIsDone(): Promise<void> {
    return new Promise((resolve) => {
      const before = this.#whenFree;
      this.#whenFree = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Takes the next task that is still wanted. */
  #take(): Taken | undefined {
    const channel = this.#port.tasks._channel;
    for (;;) {
      if (!channel.hasItems()) return undefined;
      if (!channel.getLock.acquireSync(true, MOMENT)) return undefined;
      let taken: Taken | undefined | typeof BUSY;
      try {
        this.#taken = false;
        taken = channel.take(this.#claim);
        if (taken === BUSY && channel.putLock.acquireSync(true, MOMENT)) {
          try {
            channel.refill();
          } finally {
            channel.putLock.release();
          }
          taken = channel.take(this.#claim);
        }
      } finally {
        channel.getLock.release();
      }
      if (taken === undefined || taken === BUSY) return undefined;
      if (this.#taken) return taken;
    }
  }

  readonly #claim = (cell: number): void => {
    this.#time = now();
    this.#taken = this.#cells.take(cell, this.#worker, this.#time);
    if (this.#taken && this.#tasks === 0) this.#cells.prepare(cell); // the first has something to import
  };

  #begin(taken: Taken): void {
    const begun = this.#time;
    const cell = taken.tag;
    if (this.#tasks === 1) this.#loop.forgetGone();
    let host: TaskInHand | undefined;
    let imports = this.#tasks === 1;
    const prepare = () => {
      imports = true;
      this.#cells.prepare(cell);
    };
    const run = (message: TaskMessage) => {
      const [id, at, length, kind, items] = message;
      if (!this.#functions.has(id)) prepare();
      const call = (fn: AnyFunction) => {
        host = new TaskInHand(this, cell, message, fn.name || '(anonymous)');
        if (imports) this.#cells.begin(cell, now());
        return runAs(host, () => runTask(fn, kind, items));
      };
      const fn = this.#functions.get(id, at, length);
      return isThenable(fn) ? fn.then(call) : call(fn);
    };
    let result: RunResult | Promise<RunResult>;
    try {
      const message = this.#read(taken);
      if (isThenable(message)) prepare();
      result = isThenable(message) ? message.then(run) : run(message);
    } catch (error) {
      result = { error };
    }
    if (!isThenable(result)) {
      this.#finish(cell, host, result, begun);
      return;
    }
    this.#inHand++;
    void result
      .then(undefined, (error: unknown) => ({ error }))
      .then((done) => this.#finishLater(cell, host, done, begun));
  }

  #finishLater(cell: number, host: TaskInHand | undefined, result: RunResult, begun: number): void {
    if (host?.isOver) return;
    this.#inHand--;
    this.#finish(cell, host, result, begun);
    this.#free();
  }

  #free(): void {
    const whenFree = this.#whenFree;
    this.#whenFree = undefined;
    whenFree?.();
  }

  /** What a task is to do, or a promise of it when something has to be imported first. */
  #read(taken: Taken): TaskMessage | Promise<TaskMessage> {
    if (taken.bytes[0] !== HAS_CODE) {
      return loadsBeside(taken, false, PARENT) as TaskMessage | Promise<TaskMessage>;
    }
    // What is taken next overwrites the bytes.
    const bytes = Uint8Array.from(taken.bytes.subarray(0, taken.length));
    return loadsFromParent(bytes, taken.beside) as Promise<TaskMessage>;
  }

  /** Sends the answer, if it is still wanted. */
  #finish(cell: number, host: TaskInHand | undefined, result: RunResult, begun: number): void {
    if (host !== undefined) {
      host.isOver = true;
      this.#lastTask = host.name;
    }
    if ('error' in result && result.error instanceof SystemExit) this.#exit(result.error);
    const answer = answerOf(result);
    this.#fields[TASKS] = (this.#fields[TASKS] as number) + 1;
    this.#fields[BUSY_FOR] = (this.#fields[BUSY_FOR] as number) + (now() - begun) / 1000;
    trace('pool', 'task', currentProcess().name, () => ({
      function: host?.name,
      index: host?.index,
      ms: now() - begun,
    }));
    if (!this.#cells.answer(cell, this.#worker)) this.#leaves = 'cancelled';
    else this.#send(answer.message, cell, answer.kind);
    this.#lookAtOwnMemory();
  }

  #lookAtOwnMemory(): void {
    const { maxMemory } = this.#port.settings;
    if (maxMemory === Infinity || now() < this.#lookAtMemory) return;
    this.#lookAtMemory = now() + LOOK_AT_MEMORY;
    const rss = process.memoryUsage.rss();
    this.#fields[RSS] = rss;
    if (rss > maxMemory) this.#leaves ??= 'memory';
  }

  #send(message: Pickled, place: number, kind: number): void {
    const channel = this.#port.results._channel;
    channel.putLock.acquireSync(true, Infinity);
    try {
      channel.put(message, place | (kind << CELL_BITS));
    } catch (error) {
      if (kind === ANSWER.PROGRESS) throw error;
      const small = dumpsAnswer(
        new MaybeEncodingError(error, 'a value for which there is no memory'),
      );
      channel.put(small, place | (ANSWER.ERROR << CELL_BITS));
    } finally {
      channel.putLock.release();
    }
    channel.items.notify();
  }

  /** What a task says of its progress. @throws PicklingError */
  report(cell: number, value: unknown): void {
    if (!this.#cells.isCancelled(cell)) this.#send(dumpsAnswer(value), cell, ANSWER.PROGRESS);
  }

  /** Waits for the cancellation of a task in hand. */
  async watch(host: TaskInHand, controller: AbortController): Promise<void> {
    const { items } = this.#port.tasks._channel;
    await items.wait(() => host.isOver || this.#cells.isCancelled(host.id), Infinity);
    if (!host.isOver) controller.abort();
  }

  /** The task wants the process to end. */
  #exit(exit: SystemExit): never {
    const { exitcode } = exit;
    if (typeof exitcode === 'string') writeStderr(`${exitcode}\n`);
    const isPlain = exitcode === undefined || exitcode === null || typeof exitcode === 'boolean';
    const code = isPlain ? Number(exitcode ?? 0) : typeof exitcode === 'number' ? exitcode : 1;
    try {
      process.exit(code);
    } finally {
      leaveProcess(code); // a test runner's process.exit() throws
    }
  }

  /** Of a timer, an event, a promise that nobody awaits. Whatever it was, this process ends after what it has in hand. */
  readonly #onUncaught = (error: unknown): void => {
    if (process.listenerCount('uncaughtException') > LISTENERS) return; // the program's own sees to it
    const host = taskHost() as TaskInHand | undefined;
    this.#leaves = 'error';
    process.exitCode = 1;
    if (host?.isOver === false && this.#cells.answer(host.id, this.#worker)) {
      host.isOver = true;
      this.#inHand--;
      this.#send(errorMessage(error), host.id, ANSWER.ERROR);
    } else this.#send(leftoverMessage(error, host?.name), this.#worker, ANSWER.LEFTOVER);
    this.#port.tasks._channel.items.recheck();
    setImmediate(() => this.#free());
  };
}

/** Listeners for uncaught errors that are this library's own: the child's and the worker's. */
const LISTENERS = 2;

/**
 * What a worker's process runs.
 * @param worker its place among the workers
 * @param startedAt when its start began, on the clock that all processes share
 * @internal
 */
export async function work(port: WorkerPort, worker: number, startedAt: number): Promise<void> {
  if (!currentProcess().daemon) dieWithParent(); // nobody else wants its answers
  await new PoolWorker(port, worker).run(startedAt);
}

nameExports(import.meta.url, { work });
