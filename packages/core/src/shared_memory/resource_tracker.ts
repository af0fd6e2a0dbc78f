/**
 * Counterpart of multiprocessing/resource_tracker.py: a process that outlives all others of the program, and then
 * removes what they left in /dev/shm (its own program is resource_tracker_script.ts).
 * Deviations: D-049, D-050, D-051, D-108.
 */
import { constants } from 'node:os';
import { inspect } from 'node:util';
import {
  BrokenPipeError,
  ChildProcessError,
  calledByChildren,
  close,
  OSError,
  pidfdOpen,
  pipe,
  poll,
  posixSpawn,
  shmInode,
  WNOHANG,
  waitpid,
  waitstatusToExitcode,
  write,
} from '@multiprocessing/posix';
import { RuntimeError, typeError, ValueError } from '../base/errors.ts';
import { processWide } from '../base/state.ts';
import type { SpawningPopen } from '../process/spawning.ts';
import { Finalize } from '../util/finalize.ts';
import { trackerScript } from './resource_tracker_script.ts';

/** What can be tracked. A 'noop' is nothing: there is nothing to remove, it only counts. */
export type ResourceType = 'noop' | 'semaphore' | 'shared_memory';

const types: readonly string[] = ['noop', 'semaphore', 'shared_memory'] satisfies ResourceType[];

/** A pipe takes so many bytes from one process in one piece, whatever the others write (POSIX). */
const MAX_MESSAGE = 512;

/** After all other finalizers, which may still unlink something. */
const LAST = -1000;
/** How long who is not process 1 waits for the tracker at its end, in seconds: others may have its pipe, and go on. */
const PATIENCE = 1;

const { SIGHUP, SIGINT, SIGQUIT, SIGTERM } = constants.signals;

/** The handle on the process that cleans up after all others; Python's `ResourceTracker`. */
export class ResourceTracker {
  /** Our end of its pipe. It ends when nobody holds one. @internal */
  _fd: number | undefined;
  /** The tracker, when this process has started it. @internal */
  _pid: number | undefined;
  /** What it ended with, after `_stop()`. @internal */
  _exitcode: number | undefined;
  /** The shell that runs it, with its options. @internal */
  _shell: readonly string[];
  /** What this process has registered, as the tail of a message: it is told to the next tracker if this one dies. */
  readonly #live = new Set<string>();
  /** Whether all other processes end with this program, or perhaps do: it is process 1, or that one's child. */
  readonly #ofInit = process.pid === 1 || process.ppid === 1;
  /** The process that this handle was made in: a forked child has its parent's pipe, and nothing else of it. */
  #owner = process.pid;
  /** The other end of the pipe, until the tracker has it. */
  #reserved: number | undefined;
  /** Why no tracker can run. */
  #unavailable: OSError | undefined;
  #hasWarned = false;

  /** @param shell a POSIX shell with its options */
  constructor(shell: readonly string[] = ['/bin/sh']) {
    this._shell = shell;
  }

  /** The pid of the tracker; undefined if it does not run, or is not a child of this process. */
  get pid(): number | undefined {
    this.#checkOwner();
    return this._pid;
  }

  /**
   * Makes sure that the tracker runs; Python's `ensure_running`. Where it cannot run, which is told by one warning of
   * the process, nothing is tracked.
   */
  ensureRunning(): void {
    this.#checkOwner();
    if (this.#reserved !== undefined) this.#start(true);
    if (this._fd !== undefined && !this._checkAlive()) this.#relaunch();
    if (this._fd === undefined) this.#launch();
  }

  /**
   * Has a resource removed when all processes of the program have ended; Python's `register`.
   * @param name as its class calls it, for instance `shm.name`
   * @param inode of its file, so that no other is removed that gets the name later; looked up without it
   * @throws ValueError for an unknown type, for a name that is too long or has a colon, a newline or a slash in it
   */
  register(
    name: string,
    type: ResourceType,
    inode: bigint | undefined = inodeOf(name, type),
  ): void {
    const tail = tailOf(name, type, inode);
    this.#checkOwner();
    this.#live.add(tail);
    this.#send(`REGISTER${tail}`);
  }

  /**
   * Takes the registration back, in whichever process of the program it was made; Python's `unregister`.
   * @param inode of the file that is meant; all of that name, without
   * @throws ValueError as `register`
   */
  unregister(name: string, type: ResourceType, inode?: bigint): void {
    const prefix = tailOf(name, type, inode).slice(0, -1);
    this.#checkOwner();
    for (const tail of this.#live) {
      if (tail === `${prefix}\n` || (inode === undefined && tail.startsWith(`${prefix}:`))) {
        this.#live.delete(tail);
      }
    }
    this.#send(`UNREGISTER${prefix}\n`);
  }

  /**
   * The fd of the pipe to the tracker; Python's `getfd`.
   * @throws RuntimeError where no tracker can run
   */
  getfd(): number {
    this.ensureRunning();
    if (this._fd !== undefined) return this._fd;
    throw new RuntimeError(`the resource tracker cannot run: it needs ${this._shell[0]}`);
  }

  /** Whether the tracker reads; Python's `_check_alive`. @internal */
  _checkAlive(): boolean {
    return this._fd !== undefined && this.#write('PROBE:0:noop\n');
  }

  /** Whether this process has a tracker, its own or its parent's. @internal */
  _isKnown(): boolean {
    return this._fd !== undefined;
  }

  /** Closes our end, and waits for a tracker of our own: others must not hold it. Python's `_stop`. @internal */
  _stop(): void {
    this.#checkOwner();
    const pid = this._pid;
    this.#forget();
    if (pid !== undefined) this._exitcode = reap(pid);
  }

  /**
   * Passes the pipe to a child that is being launched. If there is no tracker yet the pipe is made, and the tracker once the
   * child is on its way (`_startReserved`): no child waits for it.
   * @returns the fd's index; undefined where no tracker can run
   * @internal
   */
  _passTo(popen: SpawningPopen): number | undefined {
    this.#checkOwner();
    if (this._pid !== undefined && hasEnded(this._pid)) this.#relaunch();
    if (this._fd === undefined && !this.#unavailable) this.#reserve();
    return this._fd === undefined ? undefined : popen.duplicateForChild(this._fd);
  }

  /** Starts the tracker whose pipe was passed to a child, if it does not run yet. @internal */
  _startReserved(): void {
    if (this.#reserved !== undefined) this.#start(false);
  }

  /** In a child: uses the tracker of its parent, instead of any that it has. @internal */
  _takeOver(fd: number): void {
    this.#checkOwner();
    this.#forget();
    this._fd = fd;
  }

  #checkOwner(): void {
    if (this.#owner === process.pid) return;
    this.#owner = process.pid;
    this._pid = undefined;
    this.#live.clear();
    if (this.#reserved !== undefined) close(this.#reserved);
    this.#reserved = undefined;
  }

  #launch(): void {
    if (this.#unavailable) {
      this.#warnUnavailable();
      return;
    }
    if (this.#reserved === undefined) this.#reserve();
    this.#start(true);
  }

  #reserve(): void {
    [this.#reserved, this._fd] = pipe();
  }

  /** @param warn whether to say if it cannot run */
  #start(warn: boolean): void {
    const reading = this.#reserved as number;
    this.#reserved = undefined;
    const [path = ''] = this._shell;
    try {
      this._pid = posixSpawn(path, [...this._shell, '-c', trackerScript], {
        // The commands of the script are where every system has them, or where this process finds them.
        // A bash whose stdin is a socket would read ~/.bashrc, if it were not started by another shell.
        env: { PATH: `/usr/bin:/bin:${process.env.PATH ?? ''}`, LC_ALL: 'C', SHLVL: '2' },
        passFds: [reading],
        // What ends the program by a signal to all must not end the tracker before it has cleaned up.
        blocked: [SIGHUP, SIGINT, SIGQUIT, SIGTERM],
        ownGroup: true,
      });
      this._exitcode = undefined;
      if (this.#ofInit) new Finalize(null, () => this.#endFirst(), { exitpriority: LAST });
    } catch (error) {
      this.#forgetFd();
      if (!(error instanceof OSError)) throw error;
      this.#unavailable = error;
      if (warn) this.#warnUnavailable();
    } finally {
      close(reading);
    }
  }

  /**
   * When process 1 of a container ends the kernel kills all others, the tracker too, before it could clean up; and a process
   * that stands in for it (docker's --init) ends with its child. So the tracker ends first.
   */
  #endFirst(): void {
    this.#checkOwner();
    const pid = this._pid;
    if (pid === undefined) return;
    // Who else has its pipe is about to be killed.
    if (process.pid === 1) this.#write('END:0:noop\n');
    this.#forget();
    if (process.pid === 1 || endsInTime(pid)) reap(pid);
  }

  /** Once, and only in a program that has something to track. */
  #warnUnavailable(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    process.emitWarning(
      `resource_tracker: cannot run ${this._shell.join(' ')} (${this.#unavailable?.code}): ` +
        'shared memory that nobody unlinks stays in /dev/shm',
    );
  }

  /** A new tracker in the place of one that is gone. It learns what this process has registered. */
  #relaunch(): void {
    const pid = this._pid;
    this.#forgetFd();
    if (pid !== undefined) reap(pid);
    process.emitWarning(
      'resource_tracker: process died unexpectedly, relaunching.  Some resources might leak.',
    );
    this.#launch();
    for (const tail of this.#live) this.#write(`REGISTER${tail}`);
  }

  #send(message: string): void {
    if (this._fd === undefined) this.#launch();
    else if (this.#reserved !== undefined) this.#start(true);
    // A new tracker is told of what is live, and so of what this message adds or takes away.
    if (this._fd !== undefined && !this.#write(message)) this.#relaunch();
  }

  /** Writes a message in one piece; false if nobody reads. */
  #write(message: string): boolean {
    if (this._fd === undefined) return false;
    try {
      write(this._fd, message);
      return true;
    } catch (error) {
      if (error instanceof BrokenPipeError) return false;
      throw error;
    }
  }

  #forget(): void {
    this.#forgetFd();
    this.#live.clear();
  }

  #forgetFd(): void {
    if (this._fd !== undefined) close(this._fd);
    this._fd = undefined;
    this._pid = undefined;
  }

  static {
    const some = new ResourceTracker();
    calledByChildren(some._takeOver, some.#checkOwner, some.#forget, some.#forgetFd);
  }
}

/** Whether a child has ended; reaps it then. */
function hasEnded(pid: number): boolean {
  try {
    return waitpid(pid, WNOHANG)[0] !== 0;
  } catch (error) {
    if (!(error instanceof ChildProcessError)) throw error;
    return true; // somebody else has reaped it
  }
}

/** Whether a child ends in time. An old kernel cannot wait for a time. */
function endsInTime(pid: number): boolean {
  try {
    const fd = pidfdOpen(pid);
    const ready = poll([fd], PATIENCE);
    close(fd);
    return ready.length > 0;
  } catch (error) {
    if (!(error instanceof OSError)) throw error;
    return false;
  }
}

function reap(pid: number): number | undefined {
  try {
    return waitstatusToExitcode(waitpid(pid, 0)[1]);
  } catch (error) {
    if (!(error instanceof ChildProcessError)) throw error;
    return undefined; // somebody else has reaped it
  }
}

function inodeOf(name: string, type: ResourceType): bigint | undefined {
  tailOf(name, type, undefined);
  if (type === 'noop' || process.platform !== 'linux') return undefined;
  return shmInode(type === 'semaphore' ? `sem.${name.replace(/^\//, '')}` : name);
}

/** What stands behind the command of a message. */
function tailOf(name: unknown, type: unknown, inode: bigint | undefined): string {
  if (typeof type !== 'string' || !types.includes(type)) {
    throw new ValueError(`type must be one of ${types.join(', ')}, not ${inspect(type)}`);
  }
  if (typeof name !== 'string') throw typeError(`name must be a string, not ${inspect(name)}`);
  if (/[\n:\0]/.test(name)) {
    throw new ValueError(
      `name must have no colon, newline or null character in it: ${inspect(name)}`,
    );
  }
  const file = type === 'noop' ? name : name.replace(/^\//, '');
  if (type !== 'noop' && file.includes('/'))
    throw new ValueError(`name must be that of a file, without a slash in it: ${inspect(name)}`);
  const tail = `:${file}:${type}${inode === undefined ? '' : `:${inode}`}\n`;
  if (Buffer.byteLength(`UNREGISTER${tail}`) > MAX_MESSAGE) {
    throw new ValueError(`name is too long: a message of ${MAX_MESSAGE} bytes has to hold it`);
  }
  return tail;
}

/** The tracker of this process and its descendants. @internal */
export const _resourceTracker = processWide('resourceTracker', () => new ResourceTracker());

/** Makes sure that the tracker runs; Python's `ensure_running`. */
export function ensureRunning(): void {
  _resourceTracker.ensureRunning();
}

/**
 * Has a resource removed when all processes of the program have ended; Python's `register`.
 * @param name as its class calls it, for instance `shm.name`
 * @throws ValueError for an unknown type, for a name that is too long or has a colon, a newline or a slash in it
 */
export function register(name: string, type: ResourceType): void {
  _resourceTracker.register(name, type);
}

/** Takes the registration back; Python's `unregister`. @throws ValueError as `register` */
export function unregister(name: string, type: ResourceType): void {
  _resourceTracker.unregister(name, type);
}

/** The fd of the pipe to the tracker; Python's `getfd`. @throws RuntimeError where no tracker can run */
export function getfd(): number {
  return _resourceTracker.getfd();
}
