/**
 * A Node that cannot have all threads of its pool sleeps in its own start for ever, before any JavaScript (WorkerThreadsTaskRunner
 * waits for each of them to begin, also for those that were not made). Nothing in it can tell: who has started it looks.
 * Deviations: D-105.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { now, OSError, openRaw, signalOnChange } from '@multiprocessing/posix';

/** Seconds that a start may take before somebody looks whether it sleeps. */
export const START_LIMIT = 5;

/** For children: V8 gets one thread and not four. A process has then five to seven threads less under a limit. @internal */
export const SMALL_POOL = '--v8-pool-size=1';

const POOL_SIZE = /^--v8[-_]pool[-_]size(?:=(.*))?$/;
const DEFAULT_POOL_SIZE = 4;

/** The threads of V8's pool with these Node options; NaN where Node chooses itself. */
function poolSizeOf(argv: readonly string[]): number {
  let size = DEFAULT_POOL_SIZE;
  argv.forEach((flag, i) => {
    const found = POOL_SIZE.exec(flag);
    if (found !== null) size = Number(found[1] ?? argv[i + 1]);
  });
  return size > 0 ? size : Number.NaN;
}

/** Whether the options of this process and its children's environment leave the size of the pool to us. @internal */
export function mayChoosePool(): boolean {
  return !/--v8[-_]pool[-_]size/.test(process.env.NODE_OPTIONS ?? '');
}

/** @internal */
export class StartWatch {
  readonly #pid: number;
  readonly #poolSize: number;
  readonly #hasBegun: () => boolean;
  #looksAt = now() + START_LIMIT * 1000;

  /**
   * @param argv how it was started
   * @param hasBegun whether it has shown that JavaScript runs in it
   */
  constructor(pid: number, argv: readonly string[], hasBegun: () => boolean) {
    this.#pid = pid;
    this.#poolSize = poolSizeOf(argv);
    this.#hasBegun = hasBegun;
  }

  /** Seconds until the next look; Infinity when there is none any more. */
  get next(): number {
    return Math.max(0, (this.#looksAt - now()) / 1000);
  }

  /** Looks, if it is time to. @returns the error of a process that sleeps in its start, and is to be killed */
  look(): OSError | undefined {
    if (this.#looksAt === Infinity || now() < this.#looksAt) return undefined;
    if (this.#hasBegun()) this.#looksAt = Infinity;
    else if (this.#sleepsInStart()) return this.#error();
    else this.#looksAt = now() + START_LIMIT * 1000;
    return undefined;
  }

  /** Its main thread, the one for delayed tasks, and less than the whole pool: all of them asleep. */
  #sleepsInStart(): boolean {
    try {
      const tasks = readdirSync(`/proc/${this.#pid}/task`);
      if (tasks.length < 2 || !(tasks.length < 2 + this.#poolSize)) return false;
      return tasks.every((tid) => {
        return /^.*\) S /s.test(readFileSync(`/proc/${this.#pid}/task/${tid}/stat`, 'latin1'));
      });
    } catch {
      return false; // it cannot be told
    }
  }

  #error(): OSError {
    const message =
      `pthread_create: EAGAIN, node (${this.#pid}) could not make the threads that it starts with and waits for them for ever: ` +
      `raise the limit of processes and threads (${describeLimits(this.#pid)})`;
    return new OSError(constants.errno.EAGAIN, message, 'pthread_create');
  }
}

/** What may have refused a thread. */
function describeLimits(pid: number): string {
  const soft = /^Max processes\s+(\S+)/m.exec(textOf(`/proc/${pid}/limits`))?.[1] ?? '?';
  const group = /^0::(.*)$/m.exec(textOf(`/proc/${pid}/cgroup`))?.[1];
  const version1 = /^\d+:pids:(.*)$/m.exec(textOf(`/proc/${pid}/cgroup`))?.[1];
  const max =
    textOf(`/sys/fs/cgroup${group}/pids.max`) ||
    textOf(`/sys/fs/cgroup/pids${version1}/pids.max`) ||
    textOf('/sys/fs/cgroup/pids.max');
  return `ulimit -u is ${soft}, pids.max of the container or service ${max.trim() || 'is not known'}`;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * The read end of a pipe once more, as an open file of its own; `dieWith` makes it kill. Where that cannot be, undefined:
 * then nothing is guarded.
 * @internal
 */
export function openAgain(fd: number): number | undefined {
  const again = process.platform === 'linux' ? openRaw(`/proc/self/fd/${fd}`) : -1;
  return again === -1 ? undefined : again;
}

/**
 * Has the kernel kill a process that is just starting when the other end of a pipe is closed, until it closes its own end or
 * takes that back: while it sleeps it could not notice that its parent is gone. @internal
 */
export function dieWith(pid: number, fd: number): void {
  try {
    if (process.platform === 'linux') signalOnChange(fd, constants.signals.SIGKILL, pid);
  } catch {
    // it is not guarded then
  }
}
