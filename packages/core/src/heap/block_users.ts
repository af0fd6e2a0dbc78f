/**
 * Who may still see a block of the heap after its own process has let go of it: the children that it was
 * pickled for, and those that were forked while it was there.
 * Deviations: D-059.
 */

import { type ProcessEntry, table } from '../base/process_table.ts';
import { getSpawningProcess } from '../process/spawning.ts';

/** Whether a child of this process runs, or is on its way to. @internal */
export function lives(child: ProcessEntry): boolean {
  if (child._parentPid !== process.pid) return false; // a forked child has its parent's objects
  if (child._popen !== undefined) return child._popen.poll() === undefined;
  return child._starting || child === getSpawningProcess();
}

/** The children of one block. @internal */
export class BlockUsers {
  readonly #born = table.launches;
  /** Weakly: those that live are held by the table of processes. */
  #given: WeakRef<ProcessEntry>[] = [];

  /** Notes the child that is being launched now, and forgets those that have ended. */
  addSpawning(): void {
    const child = getSpawningProcess();
    if (child === undefined) return;
    const others = this.#given.filter((ref) => {
      const other = ref.deref();
      return other !== undefined && other !== child && lives(other);
    });
    this.#given = [...others, new WeakRef(child)];
  }

  /** Those that live. */
  living(): Set<ProcessEntry> {
    const given = this.#given.map((ref) => ref.deref());
    const forked = [...table.children].filter((child) => {
      return child._popen?.method === 'fork' && child._launch > this.#born;
    });
    return new Set(
      [...given, ...forked].filter((child) => child !== undefined && lives(child)),
    ) as Set<ProcessEntry>;
  }
}
