/**
 * The fds that this process's parent passed to it by `duplicateForChild`; Python's
 * `forkserver.get_inherited_fds`.
 */
import { processWide } from '../base/state.ts';

const inherited = processWide('inheritedFds', () => ({ fds: undefined as number[] | undefined }));

/** Undefined in a process that was not launched by spawn or forkserver. */
export function getInheritedFds(): readonly number[] | undefined {
  return inherited.fds;
}

/** @internal */
export function setInheritedFds(fds: number[]): void {
  inherited.fds = fds;
}
