/**
 * "Is this thread launching a child right now?": the last part of multiprocessing/context.py.
 * It stands in core because the classes that may only be pickled at that time do.
 */
import { RuntimeError } from '../base/errors.ts';
import type { ProcessEntry } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import type { EmulatedBy } from './start_method.ts';

/** What an object that is pickled while a child is launched may ask of the launcher. */
export interface SpawningPopen {
  /** The start method's name. */
  readonly method: string;
  /**
   * The start method that stands in for fork. The child does not import the main module then: the functions of it, and
   * all others that are no exports, travel by value.
   */
  readonly emulatedBy?: EmulatedBy | undefined;
  /**
   * Passes an open fd to the child. Returns what stands for it in the child; the child turns that
   * into its own fd number by `DupFd.detach()` (multiprocessing/reduction).
   */
  duplicateForChild(fd: number): number;
}

const tls = processWide('spawning', () => ({
  popen: undefined as SpawningPopen | undefined,
  process: undefined as ProcessEntry | undefined,
}));

/** The Popen that is pickling for its child now, or undefined; Python's `get_spawning_popen`. @internal */
export function getSpawningPopen(): SpawningPopen | undefined {
  return tls.popen;
}

/** Whether what is pickled now goes to a child that is being launched, and not to a thread of this process. @internal */
export function isLaunching(): boolean {
  return tls.popen !== undefined && tls.popen.method !== 'thread';
}

/** The process object that is being pickled for its child now, if it is known. @internal */
export function getSpawningProcess(): ProcessEntry | undefined {
  return tls.process;
}

/** Python's `set_spawning_popen`. @internal */
export function setSpawningPopen(popen: SpawningPopen | undefined, process?: ProcessEntry): void {
  tls.popen = popen;
  tls.process = process;
}

/**
 * Throws unless a child is being launched; Python's `assert_spawning`.
 * @throws RuntimeError for an object that may only be inherited
 * @internal
 */
export function assertSpawning(obj: object): void {
  if (getSpawningPopen() === undefined) {
    throw new RuntimeError(
      `${obj.constructor.name} objects should only be shared between processes through inheritance:` +
        ' pass it in the args of a Process',
    );
  }
}
