/**
 * Counterpart of multiprocessing/process.py: the Process object. What it does in the child is in bootstrap.ts.
 * Deviations: D-001, D-020, D-028, D-029, D-030, D-031, D-037.
 *
 *     authkey.ts         AuthenticationString: the key of a family of processes
 *     bootstrap.ts       a child's life, from its first line to its exit code
 *     inspecting.ts      children that a debugger can look at
 *     last_turn.ts       what a target has left for the end of its turn
 *     load_module.ts     how a child loads the files of its program
 *     main_module.ts     which file is the main module; isMain
 *     options.ts         what `new Process(...)` takes
 *     parent_process.ts  what parentProcess() returns
 *     sharing.ts         what may be given to which child
 *     spawning.ts        whether a child is being launched just now: the last part of context.py
 *     start_method.ts    which start method the default context uses
 *     test_runners.ts    what runs the tests of others, and must not begin again in a child
 *     threads.ts         a child's worker threads, which it waits for
 */
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { calledByChildren } from '@multiprocessing/posix';
import { checkTimeout } from '../base/arguments.ts';
import { checkMayStart } from '../base/bootstrapping.ts';
import { assert, ValueError } from '../base/errors.ts';
import * as entries from '../base/process_table.ts';
import { _cleanup, type Popen, type ProcessConfig, table } from '../base/process_table.ts';
import { trace } from '../base/trace.ts';
import { _flushStdStreams, needsFlush } from '../util/util.ts';
import { type AuthenticationString, randomAuthkey, toAuthkey } from './authkey.ts';
import { checkProcessOptions, type ProcessOptions, type Target } from './options.ts';

export { _cleanup, type Popen } from '../base/process_table.ts';
export { AuthenticationString } from './authkey.ts';
export type { ProcessOptions, Target } from './options.ts';

/** The Process object of this process; Python's `multiprocessing.current_process`. */
export const currentProcess = entries.currentProcess as () => BaseProcess;

/** The Process object of the parent, or undefined in the main process; Python's `parent_process`. */
export const parentProcess = entries.parentProcess as () => BaseProcess | undefined;

/**
 * The living children of this process; Python's `multiprocessing.active_children`. Children that have ended
 * are reaped on the way.
 */
export const activeChildren = entries.activeChildren as () => BaseProcess[];

//
// The Process class
//

/**
 * An activity in a process of its own; Python's `multiprocessing.process.BaseProcess`. The contexts derive
 * their Process classes from it, which say how the child is launched.
 */
export class BaseProcess<T extends Target = Target> {
  /** @internal */ _identity: readonly number[];
  /** @internal */ _config: ProcessConfig;
  /** @internal */ _parentPid: number | undefined;
  /** @internal */ _parentName: string | undefined;
  /** @internal */ _popen: Popen | undefined;
  /** @internal */ _closed = false;
  /** @internal */ _target: Target | undefined;
  /** @internal */ _args: readonly unknown[] | undefined;
  /** @internal */ _kwargs: object | undefined;
  /** @internal */ _name: string;
  /** @internal */ _starting = false;
  /** The number of its launch among this process's. @internal */ _launch = 0;

  /**
   * @param options target, args (an array), kwargs (one last object argument), name, daemon
   * @throws TypeError for an unknown option or one of the wrong type
   */
  constructor(options: ProcessOptions<T> = {} as ProcessOptions<T>) {
    checkProcessOptions(options);
    const creator = table.current;
    this._identity = creator === undefined ? [] : [...creator._identity, ++table.counter];
    this._config = { ...creator?._config };
    this._parentPid = process.pid;
    this._parentName = creator?.name;
    this._target = options.target;
    this._args = [...(options.args ?? [])];
    this._kwargs = { ...options.kwargs };
    this._name = options.name || `${this.constructor.name}-${this._identity.join(':')}`;
    if (options.daemon !== undefined) this.daemon = options.daemon;
  }

  /** Launches the child; a context's Process class says how. @internal */
  _Popen(_how: { sync: boolean }): Popen {
    throw new TypeError('BaseProcess cannot be started: use the Process class of a context');
  }

  /** What an asynchronous start waits for before it launches. @internal */
  _beforeLaunch(): Promise<void> | undefined {
    return undefined;
  }

  /** Launches the child of an asynchronous start. @internal */
  async _launchLater(): Promise<Popen> {
    const pid = process.pid;
    await this._beforeLaunch();
    if (process.pid !== pid) await never; // a sibling forked meanwhile: this is its child
    return this._Popen({ sync: false });
  }

  private _checkClosed(): void {
    if (this._closed) throw new ValueError('process object is closed');
  }

  /** Runs in the child: calls the target. May be overridden; may be asynchronous. Python's `run`. */
  run(): unknown {
    if (this._target === undefined) return undefined;
    const kwargs = this._kwargs ?? {};
    const tail = Object.keys(kwargs).length > 0 ? [kwargs] : [];
    return this._target(...([...(this._args ?? []), ...tail] as never[]));
  }

  /**
   * Starts the child. Resolves when it has a pid; it has not run anything then.
   * @throws AssertionError when started twice, by another process, or by a daemon; PicklingError for a
   *   target or argument that cannot travel (not under fork); RuntimeError from a main module without guard;
   *   ValueError when this process cannot use the start method; OSError when no process can be made
   */
  async start(): Promise<void> {
    this._checkStart();
    this._starting = true;
    try {
      if (needsFlush()) await _flushStdStreams(); // a forked child would have a copy of what still waits
      const popen = await this._launchLater();
      if (popen.inChild) await never;
      await popen.launched();
      this._started(popen);
    } finally {
      this._starting = false;
    }
  }

  /** The blocking twin of `start`. Under fork it takes a synchronous target only. */
  startSync(): void {
    this._checkStart();
    const popen = this._Popen({ sync: true });
    popen.launchedSync();
    this._started(popen);
  }

  private _checkStart(): void {
    this._checkClosed();
    assert(this._popen === undefined && !this._starting, 'cannot start a process twice');
    assert(
      this._parentPid === process.pid,
      'can only start a process object created by current process',
    );
    assert(!table.current?._config.daemon, 'daemonic processes are not allowed to have children');
    this._config.depth = checkMayStart();
    _cleanup();
    trace('process', 'start', this._name);
  }

  private _started(popen: Popen): void {
    this._popen = popen;
    this._launch = ++table.launches;
    // The parent has no more use for them, and the target may hold on to much (bpo-30775).
    this._target = undefined;
    this._args = undefined;
    this._kwargs = undefined;
    table.children.add(this as unknown as BaseProcess);
  }

  private _startedPopen(what: string): Popen {
    this._checkClosed();
    if (this._popen === undefined) {
      throw new ValueError(`cannot ${what} a process that is not started: call start() first`);
    }
    return this._popen;
  }

  /** Sends SIGINT; Python's `Process.interrupt` (3.14). @throws ValueError before start */
  interrupt(): void {
    this._startedPopen('interrupt').interrupt();
  }

  /** Sends SIGTERM, and SIGCONT, without which a stopped process does not get it; Python's `Process.terminate`. @throws ValueError before start */
  terminate(): void {
    this._startedPopen('terminate').terminate();
  }

  /** Sends SIGKILL; Python's `Process.kill`. @throws ValueError before start */
  kill(): void {
    this._startedPopen('kill').kill();
  }

  private _joinable(timeout: number | undefined): Popen {
    this._checkClosed();
    checkTimeout(timeout);
    assert(this._parentPid === process.pid, 'can only join a child process');
    assert(this._popen !== undefined, 'can only join a started process');
    return this._popen;
  }

  /**
   * Waits until the child has ended, and reaps it; Python's `Process.join`.
   * @param timeout seconds; undefined waits for ever, 0 and less return at once
   * @throws AssertionError for a process that is no started child of this one; TypeError or ValueError (NaN)
   *   for a bad timeout
   */
  async join(timeout?: number): Promise<void> {
    const code = await this._joinable(timeout).wait(timeout);
    if (code !== undefined) table.children.delete(this as unknown as BaseProcess);
  }

  /** The blocking twin of `join`: sleeps in the kernel. */
  joinSync(timeout?: number): void {
    const code = this._joinable(timeout).waitSync(timeout);
    if (code !== undefined) table.children.delete(this as unknown as BaseProcess);
  }

  /** Whether the process runs; Python's `is_alive`. @throws AssertionError for another process's child */
  isAlive(): boolean {
    this._checkClosed();
    if ((this as unknown) === table.current) return true;
    assert(this._parentPid === process.pid, 'can only test a child process');
    if (this._popen === undefined) return false;
    if (this._popen.poll() === undefined) return true;
    table.children.delete(this as unknown as BaseProcess);
    return false;
  }

  /**
   * Releases what this object holds: its fds. Every later use throws; a second close does not. Python's
   * `Process.close`.
   * @throws ValueError while the process runs
   */
  close(): void {
    if (this._popen !== undefined) {
      if (this._popen.poll() === undefined) {
        throw new ValueError(
          'Cannot close a process while it is still running. You should first call join() or terminate().',
        );
      }
      this._popen.close();
      this._popen = undefined;
      table.children.delete(this as unknown as BaseProcess);
    }
    this._closed = true;
  }

  get name(): string {
    return this._name;
  }

  /** @throws AssertionError for a name that is no string */
  set name(name: string) {
    assert(typeof name === 'string', 'name must be a string');
    this._name = name;
  }

  /** Whether the process is terminated when its parent ends. Can be set before start. */
  get daemon(): boolean {
    return this._config.daemon ?? false;
  }

  /** @throws AssertionError after start */
  set daemon(daemonic: boolean) {
    assert(this._popen === undefined && !this._starting, 'process has already started');
    this._config.daemon = daemonic;
  }

  /** The key by which processes of one family know each other; inherited from the creator. */
  get authkey(): AuthenticationString {
    return this._config.authkey as AuthenticationString;
  }

  /** @throws TypeError unless it is bytes or text, ValueError when it is empty */
  set authkey(authkey: Uint8Array | string) {
    this._config.authkey = toAuthkey(typeof authkey === 'string' ? Buffer.from(authkey) : authkey);
  }

  /** undefined until it ended; 0 to 255, or minus the number of the signal that ended it. */
  get exitcode(): number | undefined {
    this._checkClosed();
    return this._popen?.poll();
  }

  /** The pid; undefined before start. */
  get ident(): number | undefined {
    this._checkClosed();
    return (this as unknown) === table.current ? process.pid : this._popen?.pid;
  }

  get pid(): number | undefined {
    return this.ident;
  }

  /** An fd number that `wait` finds ready once the process has ended. @throws ValueError before start */
  get sentinel(): number {
    this._checkClosed();
    if (this._popen === undefined) throw new ValueError('process not started');
    return this._popen.sentinel;
  }

  toString(): string {
    let exitcode: number | undefined;
    let status = 'initial';
    if ((this as unknown) === table.current) status = 'started';
    else if (this._closed) status = 'closed';
    else if (this._parentPid !== process.pid) status = 'unknown';
    else if (this._popen !== undefined) {
      exitcode = this._popen.poll();
      status = exitcode === undefined ? 'started' : 'stopped';
    }
    const fields = [this.constructor.name, `name='${this._name.replaceAll("'", "\\'")}'`];
    if (this._popen !== undefined) fields.push(`pid=${this._popen.pid}`);
    fields.push(`parent=${this._parentPid ?? 'None'}`, status);
    if (exitcode !== undefined) fields.push(`exitcode=${exitcodeName(exitcode)}`);
    if (this.daemon) fields.push('daemon');
    return `<${fields.join(' ')}>`;
  }

  [inspect.custom](): string {
    return this.toString();
  }

  /** `await using p = ...`: waits for the child if it was started, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this._closed) return;
    if (this._popen !== undefined) await this.join();
    this.close();
  }

  /** What start methods do in the child before anything else of it runs. @internal */
  _afterFork(): void {}
}

/** Awaited where a forked child must not go on: the rest of the function is its parent's. */
const never = new Promise<never>(() => {});

const signalNames = new Map<number, string>(
  Object.entries(constants.signals).map(([name, number]) => [-number, `-${name}`]),
);

function exitcodeName(exitcode: number): string {
  return signalNames.get(exitcode) ?? String(exitcode);
}

//
// The main process
//

/** Python's `_MainProcess`. */
class MainProcess extends BaseProcess {
  constructor() {
    super({ name: 'MainProcess' });
    this._parentPid = undefined;
    this._config = { semprefix: '/mp' };
    makeWhenUsed(this._config, 'authkey', randomAuthkey);
  }

  override close(): void {}
}

/** Most children get their parent's key and never need one of their own. */
function makeWhenUsed<K extends string, V>(
  object: { [key in K]?: V },
  key: K,
  make: () => V,
): void {
  const define = (value: V) => {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true });
    return value;
  };
  Object.defineProperty(object, key, {
    get: () => define(make()),
    set: define,
    enumerable: true,
    configurable: true,
  });
}

table.current ??= new MainProcess();

calledByChildren(BaseProcess.prototype.run);
