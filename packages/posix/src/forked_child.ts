/**
 * What Node needs to go on living in a forked child: a loop of its own, its own pid, and a way to end
 * that does not wait for threads which fork(2) left behind.
 */
import { native } from './ffi.ts';
import { _exit, getpid } from './process.ts';
import { dieOfUncaught, reportUncaughtByEmit } from './uncaught.ts';

const uvDefaultLoop = native('void *uv_default_loop()');
const uvLoopFork = native('int uv_loop_fork(void *loop)');

const state = {
  leavesByExit: false,
  atExit: undefined as (() => void) | undefined,
};

/** Repairs this process after fork(2) returned 0 in it. @internal */
export function adoptForkedProcess(): void {
  uvLoopFork(uvDefaultLoop());
  Object.defineProperty(process, 'pid', { value: getpid(), configurable: true, enumerable: true });
  reportUncaughtByEmit();
  if (!state.leavesByExit) leaveByExit();
  state.leavesByExit = true;
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
  const leave = (code: unknown): never => _exit(Number(code ?? 0));
  const emit = process.emit as (event: string, ...args: unknown[]) => boolean;
  // Node calls this at the end of the event loop, from process.exit(), and for an uncaught error.
  process.emit = function (this: NodeJS.Process, event: string, ...args: unknown[]) {
    if (event === 'exit' && state.atExit !== undefined) {
      state.atExit();
      leave(process.exitCode ?? args[0]);
    }
    const handled = Reflect.apply(emit, this, [event, ...args]);
    if (event === 'exit') leave(process.exitCode ?? args[0]);
    if (event === 'uncaughtException' && !handled) dieOfUncaught(args[0]);
    return handled;
  } as typeof process.emit;
  (process as { reallyExit?: (code: number) => never }).reallyExit = leave;
}
