/**
 * The life of a child: `BaseProcess._bootstrap` of multiprocessing/process.py. It stands in a file of its own so
 * that process.ts need not know of ParentProcess, which derives from it.
 * Deviations: D-002, D-003, D-004, D-005, D-012, D-032.
 */
import { constants } from 'node:os';
import { inspect, types } from 'node:util';
import {
  calledByChildren,
  reportUncaught,
  signalOnChange,
  writeStderr,
  writtenByChildren,
} from '@multiprocessing/posix';
import { beginTarget } from '../base/bootstrapping.ts';
import { SystemExit } from '../base/errors.ts';
import { table } from '../base/process_table.ts';
import { trace } from '../base/trace.ts';
import { wait, waitSync } from '../base/wait_fds.ts';
import {
  _closeStdin,
  _exitFunction,
  _flushStdStreams,
  info,
  needsFlush,
  writeOwnOutput,
} from '../util/util.ts';
import { inspectIfAsked } from './inspecting.ts';
import { afterTurn, endTurn } from './last_turn.ts';
import { ParentProcess } from './parent_process.ts';
import type { BaseProcess } from './process.ts';
import { forgetThreads, pendingThreads, watchThreads } from './threads.ts';

/**
 * Runs a process object in its child, from the first line to the exit code. Returns a number when the target
 * was synchronous, and a promise of it when there is something to wait for.
 * @param parentSentinel an fd that becomes readable when the parent ends
 * @param within what this is called from: the turn of a synchronous target ends in there, or behind it, or never
 * @internal
 */
export function bootstrap(
  self: BaseProcess,
  parentSentinel: number,
  within: Within = 'microtask',
): number | Promise<number> {
  let result: unknown;
  try {
    enterChild(self, parentSentinel);
    self._afterFork();
    trace('process', 'bootstrap', self.name, () => ({ parentSentinel }));
    info('child process calling run()');
    trace('process', 'run', self.name);
    inspectIfAsked(self.name);
    beginTarget();
    result = self.run();
  } catch (error) {
    return leave(self, exitcodeOf(self, error), within);
  }
  if (!isThenable(result)) return leave(self, 0, within);
  return leaveLater(self, result);
}

type Within = 'turn' | 'microtask' | 'parent';

function leave(self: BaseProcess, exitcode: number, within: Within): number | Promise<number> {
  if (within === 'microtask') return afterTurn(leaveChild, self, exitcode);
  if (within === 'turn') endTurn();
  return leaveChild(self, exitcode);
}

async function leaveLater(self: BaseProcess, result: PromiseLike<unknown>): Promise<number> {
  let exitcode = 0;
  try {
    await result;
  } catch (error) {
    exitcode = exitcodeOf(self, error);
  }
  return afterTurn(leaveChild, self, exitcode);
}

const born = { self: undefined as BaseProcess | undefined, parentSentinel: -1 };

function makeParent(): ParentProcess {
  return new ParentProcess(born.self?._parentName, born.self?._parentPid, born.parentSentinel);
}

function enterChild(self: BaseProcess, parentSentinel: number): void {
  if (process.exitCode !== undefined) process.exitCode = undefined;
  if (self._starting) self._starting = false;
  if (table.children.size > 0) table.children.clear();
  table.current = self;
  born.self = self;
  born.parentSentinel = parentSentinel;
  table.parent = makeParent;
  table.counter = 0; // the objects made so far, the parent's among them, were no children of this process
  _closeStdin();
  reportUncaught(`Process ${self.name}:`);
  forgetThreads();
  watchThreads();
  if (self._config.daemon) dieWithParent();
}

/** Has the kernel kill this process when its parent ends, also in the middle of a busy loop. @internal */
export function dieWithParent(parentSentinel = born.parentSentinel): void {
  if (process.platform === 'linux') signalOnChange(parentSentinel, constants.signals.SIGKILL);
  else void wait([parentSentinel]).then(() => process.kill(process.pid, 'SIGKILL'));
  if (waitSync([parentSentinel], 0).length > 0) process.kill(process.pid, 'SIGKILL');
}

function leaveChild(self: BaseProcess, exitcode: number): number | Promise<number> {
  const threads = pendingThreads();
  if (threads !== undefined) return threads.then(() => leaveChild(self, exitcode));
  _exitFunction();
  const code = exitcode === 0 ? Number(process.exitCode ?? 0) : exitcode;
  info('process exiting with exitcode %d', code);
  trace('process', 'exit', self.name, () => ({ exitcode: code }));
  writeOwnOutput();
  return needsFlush() ? _flushStdStreams().then(() => code) : code;
}

/** What an error thrown by the target makes of the exit code; prints it where Python does. */
function exitcodeOf(self: BaseProcess, error: unknown): number {
  if (!(error instanceof SystemExit)) {
    writeStderr(`Process ${self.name}:\n${inspect(error)}\n`);
    return 1;
  }
  const code = error.exitcode;
  if (code === undefined || code === null) return 0;
  if (typeof code === 'boolean') return Number(code);
  if (typeof code === 'number' && Number.isInteger(code)) return code;
  writeStderr(`${typeof code === 'string' ? code : inspect(code)}\n`);
  return 1;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value === undefined || value === null) return false;
  return types.isPromise(value) || typeof (value as { then?: unknown }).then === 'function';
}

writtenByChildren(born);
calledByChildren(inspectIfAsked, bootstrap, enterChild, leave, leaveLater, leaveChild, isThenable);
