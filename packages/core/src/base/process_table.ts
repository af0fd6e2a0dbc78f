/**
 * Who this process is, who started it, and its children: the module-level variables of
 * multiprocessing/process.py, in a file that both util/util.ts and process/process.ts can import.
 */
import { calledByChildren, writtenByChildren } from '@multiprocessing/posix';
import type { BaseProcess } from '../process/process.ts';
import { processWide } from './state.ts';

/** The variables of process.py. A forked child has its own copy and resets them. @internal */
export const table = processWide('process', () => ({
  current: undefined as BaseProcess | undefined,
  /** Made when somebody asks for it: few children do. */
  parent: undefined as BaseProcess | (() => BaseProcess) | undefined,
  children: new Set<BaseProcess>(),
  counter: 0,
  /** How many children have been started: what was made before one of them can be told from what came after. */
  launches: 0,
  /** True while a child imports the main module: it must not start processes then. */
  inheriting: false,
}));

/** The Process object of this process; Python's `multiprocessing.current_process`. */
export function currentProcess(): BaseProcess {
  return table.current as BaseProcess;
}

/** The Process object of the parent, or undefined in the main process; Python's `parent_process`. */
export function parentProcess(): BaseProcess | undefined {
  if (typeof table.parent === 'function') table.parent = table.parent();
  return table.parent;
}

/**
 * The living children of this process; Python's `multiprocessing.active_children`. Children that have ended
 * are reaped on the way.
 */
export function activeChildren(): BaseProcess[] {
  _cleanup();
  return [...table.children];
}

/** Reaps the children that have ended. @internal */
export function _cleanup(): void {
  for (const child of [...table.children]) {
    if (child._popen !== undefined && child._popen.poll() !== undefined)
      table.children.delete(child);
  }
}

calledByChildren(activeChildren, _cleanup);
writtenByChildren(table);
