/**
 * Counterpart of multiprocessing/popen_fork.py: a child by fork(2), and what all start methods share once
 * the child is there: waiting, signals, closing. Deviations: D-006, D-007, D-008,
 * D-022, D-023, D-024, D-033, D-104, D-107.
 *
 *     popen_fork_emulated.ts  what stands in for it where this process cannot fork(2)
 *     popen_forkserver.ts     a child that a prepared server forks
 *     popen_spawn_posix.ts    a child that is a fresh node
 */
import { constants } from 'node:os';
import { types } from 'node:util';
import {
  type BaseProcess,
  type Popen as PopenInterface,
  processWide,
  RuntimeError,
  trace,
  ValueError,
  wait,
  waitSync,
  watchThreads,
} from '@multiprocessing/core';
import {
  ChildProcessError,
  calledByChildren,
  close,
  compile,
  dropInheritedWork,
  ForeignThreadsError,
  foreignThreads,
  fork,
  forkAvailable,
  inheritedLoop,
  kill,
  knownForeignThreads,
  now,
  OSError,
  ProcessLookupError,
  pidfdOpen,
  pipe,
  poll,
  prepareToQuiet,
  WNOHANG,
  waitpid,
  waitstatusToExitcode,
} from '@multiprocessing/posix';
import type { LaunchOptions } from '../base/launch_options.ts';
import { closeInheritedFds, OwnedFds } from '../base/owned_fds.ts';
import { failOffThreadImports, isForkSafeProcess, loaderOf } from '../loader/loader.ts';
import { type ForkedOptions, leaveForked, reportAndExit } from '../spawn/forked.ts';

/** What a wait for the end of a child waits for before it looks whether the child has ended. */
export interface WaitedFor {
  readonly fds: readonly number[];
  /** At most so many. */
  readonly seconds: number;
  readonly done: () => void;
}

/** Seconds between looks where no pidfd tells the end of a child. */
const LOOK = 0.05;
const LOOK_AGAIN = 0.01;

const nothing = () => {};

/** @param timeout seconds */
function deadlineOf(timeout: number | undefined): number {
  return timeout === undefined ? Infinity : now() + timeout * 1000;
}

function secondsUntil(deadline: number): number {
  return (deadline - now()) / 1000;
}

function finite(seconds: number): number | undefined {
  return seconds === Infinity ? undefined : seconds;
}

/** Launches a child by fork(2); Python's `popen_fork.Popen`. */
export class Popen implements PopenInterface {
  pid: number | undefined;
  returncode: number | undefined;
  inChild = false;
  readonly name: string;
  protected readonly fds = new OwnedFds();
  protected sentinelFd = -1;
  #sentinelSeen = false;

  /** A getter, because the constructor launches before a subclass's fields exist. */
  get method(): string {
    return 'fork';
  }

  constructor(process: BaseProcess, options: LaunchOptions) {
    this.name = process.name;
    trace(`popen_${this.method}`, 'Popen', this.name);
    this.fds.closeWith(this);
    try {
      this._launch(process, options);
    } catch (error) {
      this.fds.close();
      throw error;
    }
    if (!this.inChild) this.traceLaunch();
  }

  protected traceLaunch(): void {
    const { pid, sentinelFd: sentinel } = this;
    trace(`popen_${this.method}`, '_launch', this.name, () => ({ child: pid, sentinel }));
  }

  /** Makes the child. @internal */
  _launch(process: BaseProcess, options: LaunchOptions): void {
    checkForkable(process, options);
    const [parentR, childW] = this.fds.addPair(pipe());
    const [childR, parentW] = this.fds.addPair(pipe());
    trace('popen_fork', 'pipes', this.name, () => ({ parentR, childW, childR, parentW }));
    const loadsInThread = isForkSafeProcess() || loaderOf().kind === 'native';
    watchThreads(); // here, so that no child has to
    const inherited = inheritedLoop();
    for (const fn of [process._target, process.run, process._afterFork]) compile(fn);
    if (isAsync(process)) prepareToQuiet();
    const own = [childR, childW] as const;
    const forked = { inherited, canWait: !options.sync, loadsInThread };
    const pid = fork({ alone: options.allowThreads !== true });
    if (pid === 0) {
      runForked(process, own, forked);
      this.inChild = true;
    } else {
      this.pid = pid;
      this.fds.close(childW, childR);
      this.sentinelFd = parentR;
    }
  }

  async launched(): Promise<void> {}

  launchedSync(): void {}

  /**
   * Readable once the child has ended. After that and if nobody asked for it before, it is an fd that all
   * ended processes share: their own is closed when they are reaped.
   */
  get sentinel(): number {
    if (this.sentinelFd === -1) return endedSentinel();
    this.#sentinelSeen = true;
    return this.sentinelFd;
  }

  poll(): number | undefined {
    if (this.returncode === undefined) this.reap(WNOHANG);
    return this.returncode;
  }

  /** waitpid(2); when it finds the child ended, its exit code is known and its fds are closed. */
  protected reap(options: number): void {
    try {
      const [pid, status] = waitpid(this.pid as number, options);
      if (pid === this.pid) this.ended(waitstatusToExitcode(status));
    } catch (error) {
      if (!(error instanceof ChildProcessError)) throw error;
      this.ended(255); // somebody else has reaped it: its exit code is lost
    }
  }

  protected ended(returncode: number): void {
    this.returncode = returncode;
    trace(`popen_${this.method}`, 'reap', this.name, () => ({ child: this.pid, returncode }));
    if (this.#sentinelSeen) return;
    this.fds.close();
    this.sentinelFd = -1;
  }

  async wait(timeout?: number): Promise<number | undefined> {
    const deadline = deadlineOf(timeout);
    while (this.poll() === undefined) {
      const left = secondsUntil(deadline);
      if (left <= 0) break;
      const { fds, seconds, done } = this.waitFor();
      try {
        await wait(fds, finite(Math.min(left, seconds)));
      } finally {
        done();
      }
    }
    return this.returncode;
  }

  waitSync(timeout?: number): number | undefined {
    const deadline = deadlineOf(timeout);
    while (this.poll() === undefined) {
      const left = secondsUntil(deadline);
      if (left <= 0) break;
      const { fds, seconds, done } = this.waitFor();
      try {
        waitSync(fds, finite(Math.min(left, seconds)));
      } finally {
        done();
      }
    }
    return this.returncode;
  }

  /**
   * What tells that the child has ended and can be reaped: a pidfd. Unlike the sentinel it cannot be
   * held open by somebody who inherited the child's fds. Where there is none (Linux before 5.3, some sandboxes, the limit of
   * open files) the sentinel tells, and a look now and then whether somebody holds it.
   */
  protected waitFor(): WaitedFor {
    try {
      const fd = pidfdOpen(this.pid as number);
      return { fds: [fd], seconds: Infinity, done: () => close(fd) };
    } catch (error) {
      if (!(error instanceof OSError)) throw error;
      // A child that has closed its end lives on, and its sentinel would be ready at once for ever.
      const fds = this.sentinelFd === -1 ? [] : [this.sentinelFd];
      const isOver = poll(fds, 0).length === fds.length;
      return { fds: isOver ? [] : fds, seconds: isOver ? LOOK_AGAIN : LOOK, done: nothing };
    }
  }

  /** Sends a signal, unless the child is known to have ended; Python's `_send_signal`. */
  protected sendSignal(signal: number): void {
    if (this.poll() !== undefined) return;
    try {
      kill(this.pid as number, signal);
    } catch (error) {
      if (!(error instanceof ProcessLookupError)) throw error;
    }
  }

  interrupt(): void {
    this.sendSignal(constants.signals.SIGINT);
  }

  /** A stopped process gets a SIGTERM only when it goes on: as systemd and shells do, it is told to. */
  terminate(): void {
    this.sendSignal(constants.signals.SIGTERM);
    this.sendSignal(constants.signals.SIGCONT);
  }

  kill(): void {
    this.sendSignal(constants.signals.SIGKILL);
  }

  close(): void {
    this.fds.close();
    this.sentinelFd = -1;
  }
}

/** The child's life, from its first line. Returns if it goes on in the event loop. */
function runForked(
  process: BaseProcess,
  own: readonly [number, number],
  options: ForkedOptions & { loadsInThread: boolean },
): void {
  try {
    if (!options.loadsInThread) failOffThreadImports();
    closeInheritedFds(own);
    dropInheritedWork(options.inherited);
    leaveForked(process, own[0], options);
  } catch (error) {
    reportAndExit(error); // thrown on, it would run the parent's own code in the child
  }
}

calledByChildren(runForked);

function isAsync(process: BaseProcess): boolean {
  return types.isAsyncFunction(process.run) || types.isAsyncFunction(process._target);
}

/** Throws before anything is made if the process cannot be forked. */
function checkForkable(process: BaseProcess, { sync, allowThreads }: LaunchOptions): void {
  const { available, reason } = forkAvailable();
  if (!available) throw new ValueError(`this process cannot fork: ${reason}`);
  // Known ones are told before anything else is; new ones fork() finds.
  if (allowThreads !== true && knownForeignThreads().length > 0 && foreignThreads().length > 0)
    throw new ForeignThreadsError();
  if (sync && isAsync(process)) {
    throw new RuntimeError(
      'startSync() cannot fork an asynchronous target: the child would have to return into the' +
        ' middle of its parent. Use `await process.start()`',
    );
  }
}

const shared = processWide('endedSentinel', () => ({ fd: undefined as number | undefined }));

/** One pipe without a writer, readable for ever. */
function endedSentinel(): number {
  if (shared.fd === undefined) {
    const [readEnd, writeEnd] = pipe();
    close(writeEnd);
    shared.fd = readEnd;
  }
  return shared.fd;
}
