/**
 * Counterpart of multiprocessing/forkserver.py, the side of the processes that use the server (the server
 * itself is server.ts). Deviations: D-015, D-016, D-017, D-025, D-034,
 * D-039, D-103, D-105, D-109.
 *
 * All processes of a family hold one end of a socketpair whose other end the server reads. There is no
 * address that a stranger could connect to, a request is one message, and when the last holder is gone
 * the server reads the end of file and goes too.
 *
 *     forkserver_main.ts  the server's program
 *     request.ts          what a client asks the server for
 *     served.ts           the server's children, and how it learns of their end
 *     server.ts           the server
 *     spawned.ts          children that it spawns because it has threads of an addon
 *     status.ts           numbers on the pipe between server and client
 */
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { inspect } from 'node:util';
import {
  importsMain,
  isMainOfUse,
  isMainRequired,
  mainPath,
  processWide,
  RuntimeError,
  trace,
  typeError,
  ValueError,
  wait,
  waitSync,
} from '@multiprocessing/core';
import {
  BrokenPipeError,
  ChildProcessError,
  close,
  dup,
  isSingleExecutable,
  kill,
  type OSError,
  pipe,
  poll,
  socketpair,
  startDirectory,
  WNOHANG,
  waitpid,
  workingDirectory,
} from '@multiprocessing/posix';
import { entryPath } from '../base/entries.ts';
import { OwnedFds } from '../base/owned_fds.ts';
import { startNode } from '../base/start_node.ts';
import { dieWith, START_LIMIT, StartWatch } from '../base/start_watch.ts';
import { forkSafeExecArgv, loaderOf } from '../loader/loader.ts';
import { argsFromInterpreterFlags, flagsOfSpawned, getExecutable } from '../spawn/spawn.ts';
import { sendRequest } from './request.ts';
import { readLastWord, readSome } from './status.ts';

/** What a preload that fails does: nothing, a warning on stderr, or the end of the server. */
export type OnPreloadError = 'ignore' | 'warn' | 'fail';

/** Handed to the server on its command line, as JSON. @internal */
export interface ServerSettings {
  preload: string[];
  onError: OnPreloadError;
  /** Whether it serves emulated forks: the main module does not run in it. */
  emulates: boolean;
  /** The node, and its flags, of a child that cannot be forked. */
  executable: string;
  flags: string[];
  mainPath: string | undefined;
  importsMain: boolean;
  mainRequired: boolean;
  argv: string[];
  /** The working directory; undefined where it is gone. */
  dir: string | undefined;
  /** The directory in which the program was started. */
  startDir: string | undefined;
}

const preload = processWide('forkserver.preload', () => ({
  names: ['__main__'],
  onError: 'ignore' as OnPreloadError,
}));

/** The forkserver method cannot work for this program; the message says why. */
export class ForkServerUnavailableError extends ValueError {}

/** The process's handle on its server; Python's `forkserver.ForkServer`. */
class ForkServer {
  /** Our end of the socketpair. @internal */
  _socket: number | undefined;
  /** The server, when this process has started it. @internal */
  _forkserverPid: number | undefined;
  /** Where the server says that it is ready, or why it is not; undefined once read. */
  #report: number | undefined;
  #startWatch: StartWatch | undefined;
  readonly #emulates: boolean;

  constructor(emulates: boolean) {
    this.#emulates = emulates;
  }

  /** Ends the server and waits for it, if no child of it is left; for tests. Python's `_stop`. @internal */
  _stop(): void {
    const pid = this._forkserverPid;
    this._forkserverPid = undefined;
    this.#forget();
    if (pid !== undefined) reap(pid);
  }

  /**
   * Names modules that the server imports before it forks; Python's `set_forkserver_preload`. `'__main__'`
   * stands for the main module, which is the default.
   * @param moduleNames module specifiers, as for import(), relative ones to the working directory
   * @param options.onError what an import that fails does (CPython 3.15's `on_error`)
   * @throws TypeError unless it is a list of strings
   */
  setForkserverPreload(
    moduleNames: readonly string[],
    { onError = 'ignore' }: { onError?: OnPreloadError | undefined } = {},
  ): void {
    if (!Array.isArray(moduleNames) || !moduleNames.every((name) => typeof name === 'string')) {
      throw typeError('module_names must be a list of strings');
    }
    if (!['ignore', 'warn', 'fail'].includes(onError)) {
      throw new ValueError(`onError must be 'ignore', 'warn' or 'fail', not ${inspect(onError)}`);
    }
    preload.names = [...moduleNames];
    preload.onError = onError;
  }

  /**
   * Makes sure that a server runs; Python's `ensure_running`. A process that the server forked uses the same
   * server.
   * @throws ForkServerUnavailableError (a ValueError)
   */
  ensureRunning(): void {
    if (this.#isAlive()) return;
    this.#forget();
    checkForkserverAvailable();
    const executable = getExecutable();
    const execArgv = forkSafeExecArgv(argsFromInterpreterFlags());
    const settings: ServerSettings = {
      preload: this.#preloads(),
      onError: preload.onError,
      emulates: this.#emulates,
      executable,
      flags: flagsOfSpawned(),
      mainPath: mainPath(),
      importsMain: importsMain(),
      mainRequired: isMainRequired(),
      argv: process.argv,
      dir: workingDirectory(),
      startDir: startDirectory(),
    };
    const args = [entryPath('forkserver_main'), JSON.stringify(settings)];
    const fds = new OwnedFds();
    try {
      const [client, server] = fds.addPair(socketpair());
      const [reportR, reportW] = fds.addPair(pipe());
      const pid = startNode(executable, execArgv, args, [server, reportW]);
      this._forkserverPid = pid;
      this.#startWatch = new StartWatch(pid, execArgv, () => poll([reportR], 0).length > 0);
      dieWith(pid, reportW);
      fds.close(server, reportW);
      this._socket = client;
      this.#report = reportR;
      fds.release(client, reportR);
    } catch (error) {
      fds.close();
      throw error;
    }
    trace('forkserver', 'ensureRunning', 'forkserver', () => ({ server: this._forkserverPid }));
  }

  /** The main module only where a child would import it: a test runner is not what children want. */
  #preloads(): string[] {
    const withMain = !this.#emulates && isMainOfUse();
    return preload.names.filter((name) => name !== '__main__' || withMain);
  }

  /**
   * Waits until the server is ready to fork.
   * @throws ForkServerUnavailableError with its reason; OSError EAGAIN when it cannot start for want of threads
   */
  async ready(): Promise<void> {
    this.ensureRunning();
    if (this.#report !== undefined) {
      const copy = dup(this.#report); // of several starts the first to hear of it closes the report
      try {
        while ((await wait([copy], START_LIMIT)).length === 0) this.#checkStart();
      } finally {
        close(copy);
      }
    }
    this.#readReport();
  }

  readySync(): void {
    this.ensureRunning();
    while (this.#report !== undefined && waitSync([this.#report], START_LIMIT).length === 0) {
      this.#checkStart();
    }
    this.#readReport();
  }

  /** Ends a server that sleeps in its start. */
  #checkStart(): void {
    const error = this.#startWatch?.look();
    if (error === undefined || this._forkserverPid === undefined) return;
    kill(this._forkserverPid, constants.signals.SIGKILL);
    this.#forget();
    throw error;
  }

  /** The report is one JSON object with an error, or nothing. */
  #readReport(): void {
    if (this.#report === undefined) return;
    const chunks: Uint8Array[] = [];
    for (;;) {
      const chunk = readSome(this.#report, 65536);
      if (chunk.length === 0) break;
      chunks.push(chunk);
    }
    close(this.#report);
    this.#report = undefined;
    const text = Buffer.concat(chunks).toString();
    if (text === 'ready') return;
    this.#forget();
    throw new ForkServerUnavailableError(
      `start method 'forkserver' cannot be used by this program: ${text || 'the server ended at its start'}`,
    );
  }

  /**
   * Asks the server for a new process.
   * @param status where the server answers: it goes first, so that it arrives where not all can
   * @param fds what the child gets: parent sentinel, data, and the passed ones
   * @param allowThreads whether the server forks although it has threads of an addon
   * @throws OSError ETOOMANYREFS or EAGAIN where the kernel does not take so many fds at once
   */
  connectToNewProcess(status: number, fds: readonly number[], allowThreads = false): void {
    this.readySync();
    const socket = this._socket as number;
    try {
      sendRequest(socket, status, [socket, ...fds], allowThreads);
    } catch (error) {
      if (!(error instanceof BrokenPipeError)) throw error;
      throw new RuntimeError('the forkserver died: start the process again', { cause: error });
    }
  }

  /** What the server has said before it ended, to the first who asks. @internal */
  _lastWord(): OSError | undefined {
    if (this._socket === undefined || this.#isAlive()) return undefined;
    return readLastWord(this._socket);
  }

  /**
   * The server writes nothing but its last word to the socket: it is readable when the server is gone. A child that the server was
   * forking when it was killed holds the other end a moment longer; whoever started the server can ask the kernel, too.
   */
  #isAlive(): boolean {
    if (this._socket === undefined || poll([this._socket], 0).length > 0) return false;
    return this._forkserverPid === undefined || !reap(this._forkserverPid, WNOHANG);
  }

  #forget(): void {
    if (this._socket !== undefined) close(this._socket);
    if (this.#report !== undefined) close(this.#report);
    const pid = this._forkserverPid;
    this._socket = undefined;
    this.#report = undefined;
    this._forkserverPid = undefined;
    // It has closed its fds, and so has ended or is about to.
    if (pid !== undefined) reap(pid);
  }
}

/** Whether a child of this process has ended. */
function reap(pid: number, options = 0): boolean {
  try {
    return waitpid(pid, options)[0] === pid;
  } catch (error) {
    if (!(error instanceof ChildProcessError)) throw error;
    return false; // of a forked child the server is no child
  }
}

/**
 * Throws if this program cannot use a forkserver.
 * @throws ForkServerUnavailableError, a ValueError that says why
 */
export function checkForkserverAvailable(): void {
  if (process.platform !== 'linux') {
    throw new ForkServerUnavailableError(
      `start method 'forkserver' needs Linux, this is ${process.platform}: use 'spawn'`,
    );
  }
  if (isSingleExecutable()) {
    throw new ForkServerUnavailableError(
      "start method 'forkserver' cannot be used here: a single executable takes no flags of node, as --single-threaded: use 'spawn'",
    );
  }
  if (!existsSync('/proc/self/maps')) {
    throw new ForkServerUnavailableError(
      "start method 'forkserver' cannot be used here: /proc is not mounted, without which no copy of a process is safe",
    );
  }
  const { forkSafe, reason } = loaderOf();
  if (!forkSafe) {
    throw new ForkServerUnavailableError(
      `start method 'forkserver' cannot be used by this program: ${reason}`,
    );
  }
}

/** @internal */
export const _forkserver = processWide('forkserver', () => new ForkServer(false));

/** The server of emulated forks (launch/popen_fork_emulated.ts): the main module is not imported there. @internal */
export const _emulatingServer = processWide('forkserver.emulating', () => new ForkServer(true));
