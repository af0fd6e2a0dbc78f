/**
 * Who this process is, who started it, and its children: the module-level variables of multiprocessing/process.py. What
 * the lower rooms need to know of a Process is an interface here; process/process.ts has the class.
 */
import { calledByChildren, writtenByChildren } from '@multiprocessing/posix';
import { processWide } from './state.ts';

/** A launched child, as the popen package makes it: Python's `Popen` classes. */
export interface Popen {
  readonly method: string;
  /** Undefined until the launch is over. */
  readonly pid: number | undefined;
  readonly sentinel: number;
  readonly returncode: number | undefined;
  /** True in a forked child whose target goes on asynchronously: its caller must never be resumed. */
  readonly inChild: boolean;
  /** Waits until the child has a pid. */
  launched(): Promise<void>;
  launchedSync(): void;
  /** Reaps the child if it has ended. @returns the exit code */
  poll(): number | undefined;
  wait(timeout?: number): Promise<number | undefined>;
  waitSync(timeout?: number): number | undefined;
  interrupt(): void;
  terminate(): void;
  kill(): void;
  close(): void;
}

/** Inherited by descendants; Python's `_config`. @internal */
export interface ProcessConfig {
  authkey?: Uint8Array;
  semprefix?: string;
  daemon?: boolean;
  tempdir?: string;
  /** How many processes have started each other since a target began. */
  depth?: number;
}

/** A Process object, as far as the lower rooms have to do with it. @internal */
export interface ProcessEntry {
  readonly name: string;
  readonly daemon: boolean;
  readonly authkey: Uint8Array;
  readonly _config: ProcessConfig;
  readonly _identity: readonly number[];
  readonly _parentPid: number | undefined;
  readonly _popen: Popen | undefined;
  readonly _starting: boolean;
  readonly _launch: number;
  joinSync(timeout?: number): void;
}

/** The variables of process.py. A forked child has its own copy and resets them. @internal */
export const table = processWide('process', () => ({
  current: undefined as ProcessEntry | undefined,
  /** Made when somebody asks for it: few children do. */
  parent: undefined as ProcessEntry | (() => ProcessEntry) | undefined,
  children: new Set<ProcessEntry>(),
  counter: 0,
  /** How many children have been started: what was made before one of them can be told from what came after. */
  launches: 0,
}));

/** @internal */
export function currentProcess(): ProcessEntry {
  return table.current as ProcessEntry;
}

/** @internal */
export function parentProcess(): ProcessEntry | undefined {
  if (typeof table.parent === 'function') table.parent = table.parent();
  return table.parent;
}

/** @internal */
export function activeChildren(): ProcessEntry[] {
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
