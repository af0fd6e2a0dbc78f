/**
 * What Node needs to go on living in a forked child: a loop of its own, its own pid, and a way to end
 * that does not wait for threads which fork(2) left behind.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { native } from './ffi.ts';
import { _exit, getpid } from './process.ts';

const uvDefaultLoop = native('void *uv_default_loop()');
const uvLoopFork = native('int uv_loop_fork(void *loop)');

/** Repairs this process after fork(2) returned 0 in it. @internal */
export function adoptForkedProcess(): void {
  uvLoopFork(uvDefaultLoop());
  Object.defineProperty(process, 'pid', { value: getpid(), configurable: true, enumerable: true });
  leaveByExit();
}

/**
 * Makes every way out of Node end in `_exit`: process.exit(), an uncaught error, and an empty event
 * loop. 'exit' handlers still run.
 */
function leaveByExit(): void {
  const leave = (code: number | string | null | undefined): never => _exit(Number(code ?? 0));
  const emit = process.emit as (event: string, ...args: unknown[]) => boolean;
  // Node calls this at the end of the event loop and from process.exit().
  process.emit = function (this: NodeJS.Process, event: string, ...args: unknown[]) {
    const handled = Reflect.apply(emit, this, [event, ...args]);
    if (event === 'exit') leave(process.exitCode ?? (args[0] as number));
    return handled;
  } as typeof process.emit;
  (process as { reallyExit?: (code: number) => never }).reallyExit = leave;
  process.on('uncaughtException', reportUncaught);
}

/** Node prints an uncaught error only after the 'exit' event, when a forked child is gone already. */
function reportUncaught(error: unknown): void {
  if (process.listenerCount('uncaughtException') > 1) return;
  writeSync(2, `Uncaught ${error instanceof Error ? error.stack : inspect(error)}\n`);
  process.exit(1);
}
