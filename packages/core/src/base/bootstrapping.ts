/**
 * Which code may start processes. In a child that is what its target begins, in a forkserver nothing: what the import of the main
 * module begins would begin again in every child that it starts, a chain without an end.
 *
 * What an import began may go on beside the target, behind awaits, timers and events. So it carries a mark, by
 * AsyncLocalStorage; where Node makes every promise pay for that, by hook_marks.ts.
 * Deviations: D-098, D-099.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { calledByChildren, inWorker, writtenByChildren } from '@multiprocessing/posix';
import { RuntimeError } from './errors.ts';
import { HookMarks } from './hook_marks.ts';
import { table } from './process_table.ts';
import { processWide } from './state.ts';

/**
 * Set while this process is bootstrapping, with its pid: the worker threads that an import starts get a copy of the
 * environment, and a copy of this library that knows of nothing.
 */
const IN_WORKERS = 'MULTIPROCESSING_BOOTSTRAPPING';

/** So many processes may have started each other without that the target of one of them has begun. */
const DEEPEST = 4;

const state = processWide('bootstrapping', () => ({
  /** Whether this is a process of ours, which imports what it runs. */
  isChild: false,
  /** True until the target begins. */
  early: inWorker && process.env[IN_WORKERS] === String(process.pid),
  /** Whether the environment says so to worker threads. */
  announced: false,
  marks: undefined as Marks | undefined,
}));

/** Says that this process is a child of ours or a forkserver, and that no target has begun. @internal */
export function beginBootstrapping(): void {
  state.isChild = true;
  state.early = true;
  state.announced = true;
  process.env[IN_WORKERS] = String(process.pid);
}

/**
 * Loads a module, and has what it begins carry the mark, if this process is bootstrapping.
 * @internal
 */
export function importing<T>(load: () => Promise<T>): Promise<T> {
  if (!state.early) return load();
  state.marks ??= makeMarks();
  return state.marks.run(load);
}

interface Marks {
  run<T>(load: () => T): T;
  isMarked(): boolean;
  /** Says that the imports are over. */
  watch(): void;
}

function makeMarks(): Marks {
  const storage = new AsyncLocalStorage<true>();
  // So Node keeps the store where it has its hooks for that, and nothing better.
  if ('kResourceStore' in storage) return new HookMarks();
  return {
    run: (load) => storage.run(true, load),
    isMarked: () => storage.getStore() === true,
    watch: () => {},
  };
}

function isMarked(): boolean {
  return state.marks?.isMarked() === true;
}

/** Says that all is imported, in a forkserver. What an import has begun stays marked, in its children too. @internal */
export function endImports(): void {
  if (state.announced) delete process.env[IN_WORKERS];
  state.announced = false;
  state.marks?.watch();
}

/** Says that this process's target begins: what that does may start processes. @internal */
export function beginTarget(): void {
  const config = table.current?._config;
  if (config?.depth) config.depth = 0;
  if (!state.early) return;
  state.early = false;
  endImports();
}

/** Whether the caller was begun by the import of a module, and not by a target. @internal */
export function isImported(): boolean {
  return state.early || isMarked();
}

/** Calls a function on behalf of the import of a module. @internal */
export function callAsImported<T>(call: () => T): T {
  const { early } = state;
  state.early = true;
  try {
    return call();
  } finally {
    state.early = early;
  }
}

/** Whether this process runs its 'exit' handlers: nobody would wait for what one of them starts. */
function isExiting(): boolean {
  return (process as { _exiting?: boolean })._exiting === true;
}

/**
 * To be asked before a process is started.
 * @returns how many processes have started each other, that one included, since a target began
 * @throws RuntimeError in what the import of a module has begun, and in the 'exit' handlers of a child
 * @internal
 */
export function checkMayStart(): number {
  const depth = (table.current?._config.depth ?? 0) + 1;
  if (!isImported() && depth <= DEEPEST && !(state.isChild && isExiting())) return depth;
  throw new RuntimeError(
    `An attempt has been made to start a new process before the current process has finished its
bootstrapping phase.

This probably means that you are not using fork to start your child processes and you have forgotten
to use the proper idiom in the main module:

    if (mp.isMain(import.meta)) {
      ...
    }
`,
  );
}

calledByChildren(beginTarget, endImports, isImported, isMarked);
writtenByChildren(state);
