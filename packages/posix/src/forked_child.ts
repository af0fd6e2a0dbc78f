/**
 * What Node needs to go on living in a forked child: a loop of its own, its own pid, and a way to end
 * that does not wait for threads which fork(2) left behind.
 */
import { native } from './ffi.ts';
import { _exit, getpid } from './process.ts';
import { reportUncaught } from './uncaught.ts';

const uvDefaultLoop = native('void *uv_default_loop()');
const uvLoopFork = native('int uv_loop_fork(void *loop)');

let leaving = false;

/** Repairs this process after fork(2) returned 0 in it. @internal */
export function adoptForkedProcess(): void {
  uvLoopFork(uvDefaultLoop());
  Object.defineProperty(process, 'pid', { value: getpid(), configurable: true, enumerable: true });
  reportUncaught('Uncaught error in a forked child:');
  if (!leaving) leaveByExit();
  leaving = true;
}

/**
 * Makes every way out of Node end in `_exit`: process.exit(), an uncaught error, and an empty event
 * loop. 'exit' handlers still run.
 */
function leaveByExit(): void {
  const leave = (code: unknown): never => _exit(Number(code ?? 0));
  const emit = process.emit as (event: string, ...args: unknown[]) => boolean;
  // Node calls this at the end of the event loop and from process.exit().
  process.emit = function (this: NodeJS.Process, event: string, ...args: unknown[]) {
    const handled = Reflect.apply(emit, this, [event, ...args]);
    if (event === 'exit') leave(process.exitCode ?? args[0]);
    return handled;
  } as typeof process.emit;
  (process as { reallyExit?: (code: number) => never }).reallyExit = leave;
}
