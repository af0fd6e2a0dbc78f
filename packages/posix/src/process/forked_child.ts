/**
 * What Node needs to go on living in a forked child: a loop of its own, its own pid, and a way to end
 * that does not wait for threads which fork(2) left behind.
 */
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import { direct, leavesByExit, type NativeFunction, native } from '../ffi/ffi.ts';
import { leaveProcess } from './coverage.ts';
import { leaveChannel, noteChannel } from './ipc_channel.ts';
import { flushOutput, hasTerminal, leaveTerminalToParent } from './own_process.ts';
import { getpid, prepareExit } from './process.ts';
import { dieOfUncaught, reportUncaughtByEmit } from './uncaught.ts';

const uvDefaultLoop = native('void *uv_default_loop()');
const uvLoopFork = native('int uv_loop_fork(void *loop)');

interface ProcessInternals {
  emit: (event: string, ...args: unknown[]) => boolean;
  reallyExit: (code: unknown) => never;
  _exiting?: boolean;
}

const internals = process as unknown as ProcessInternals;

const state = {
  loop: 0,
  hasTerminal: false,
  uvLoopFork: undefined as NativeFunction | undefined,
  atExit: undefined as (() => void) | undefined,
  /** The process.emit of the process that forked. */
  emit: undefined as ProcessInternals['emit'] | undefined,
};

/**
 * Does what a child would have to do otherwise, each for itself: to make a field of `process.pid`, which V8 takes for
 * a constant, costs a quarter of a millisecond, to change the field next to nothing.
 * @internal
 */
export function prepareToAdopt(): void {
  state.hasTerminal = hasTerminal();
  noteChannel();
  if (state.loop !== 0) return;
  state.loop = uvDefaultLoop();
  state.uvLoopFork = direct(uvLoopFork);
  prepareExit();
  for (const pid of [-1, getpid()]) setPid(pid);
  const { emit, reallyExit } = internals;
  for (const value of [() => false, emit]) {
    Object.defineProperty(process, 'emit', { value, configurable: true, writable: true });
  }
  for (const value of [leave, reallyExit]) internals.reallyExit = value;
  // Getters of Node's, which no child has to compile then.
  void [process.exitCode, internals._exiting];
}

const pidProperty = { value: 0, configurable: true, enumerable: true };

function setPid(value: number): void {
  pidProperty.value = value;
  Object.defineProperty(process, 'pid', pidProperty);
}

const hooks: (() => void)[] = [];

/** Has every forked child call this before anything else of it runs. @internal */
export function atFork(hook: () => void): void {
  hooks.push(hook);
  calledByChildren(hook);
}

/** Repairs this process after fork(2) returned 0 in it. @internal */
export function adoptForkedProcess(): void {
  state.uvLoopFork?.(state.loop);
  setPid(getpid());
  for (const hook of hooks) hook();
  leaveChannel();
  if (state.hasTerminal) leaveTerminalToParent();
  leavesByExit();
  reportUncaughtByEmit();
  leaveByExit();
}

/** Has this forked child run `atExit` when it ends, and no 'exit' handler. @internal */
export function replaceExitHandlers(atExit: () => void): void {
  state.atExit = atExit;
}

/**
 * Makes every way out of Node end in `_exit`: process.exit(), an uncaught error (which Node prints only
 * after the 'exit' event), and an empty event loop.
 */
function leaveByExit(): void {
  if (state.emit !== undefined) return; // a child of such a child
  state.emit = internals.emit;
  internals.emit = emitAndLeave;
  internals.reallyExit = leave;
}

function leave(code: unknown): never {
  flushOutput();
  return leaveProcess(Number(code ?? 0));
}

/** Node calls this at the end of the event loop, from process.exit(), and for an uncaught error. */
function emitAndLeave(this: unknown, event: string, ...args: unknown[]): boolean {
  if (event === 'exit' && state.atExit !== undefined) {
    state.atExit();
    leave(process.exitCode ?? args[0]);
  }
  const handled = Reflect.apply(state.emit as ProcessInternals['emit'], this, [event, ...args]);
  if (event === 'exit') leave(process.exitCode ?? args[0]);
  if (event === 'uncaughtException' && !handled) dieOfUncaught(args[0]);
  return handled;
}

calledByChildren(adoptForkedProcess, replaceExitHandlers, leaveByExit, leave, emitAndLeave);
writtenByChildren(state);
