/**
 * What Node counts of a process's lines and branches where NODE_V8_COVERAGE is set. It writes that at an end that it sees, and
 * _exit(2) is none.
 */
import { calledByChildren } from '../ffi/compiled.ts';
import { _exit } from './process.ts';

/** Whether Node has counted since this process's start. */
export const writesCoverage = (process.env.NODE_V8_COVERAGE ?? '') !== '';

const savers: (() => void)[] = writesCoverage ? [saveCoverage] : [];

/** Has this process, a child, call that before it leaves: somebody else than Node counts in it. @internal */
export function savedBeforeLeaving(save: () => void): void {
  savers.push(save);
}

/** Ends this process, a child, like `_exit`, once its coverage is written. @param code 0 to 255 @internal */
export function leaveProcess(code: number): never {
  for (const save of savers) {
    try {
      save();
    } catch {
      // the directory is gone, and with it who wanted to know
    }
  }
  return _exit(code);
}

function saveCoverage(): void {
  // Its file has the pid that the kernel says, in a forked child as well.
  process.getBuiltinModule('node:v8').takeCoverage();
}

/**
 * Has this process, a server, write none at its end, when its family is gone and who reads it may be, too: its children begin with
 * what it has counted.
 * @internal
 */
export function leaveCoverageToChildren(): void {
  if (!writesCoverage) return;
  (process as unknown as { reallyExit: (code: unknown) => never }).reallyExit = (code) =>
    _exit(Number(code ?? 0));
}

calledByChildren(leaveProcess);
