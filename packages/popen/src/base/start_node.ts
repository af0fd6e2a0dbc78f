/**
 * Starting another node: in the directory in which this program was started, since its flags and NODE_OPTIONS may have paths and
 * names of packages that are relative to that (`--import tsx`). The child goes on to its parent's directory before it imports
 * anything of the program. Deviations: D-100.
 */
import { environmentOfChildren, util } from '@multiprocessing/core';
import { startDirectory, workingDirectory } from '@multiprocessing/posix';
import { SMALL_POOL } from './start_watch.ts';

/**
 * @param executable the path of a node
 * @param flags its own flags
 * @param args its program and that one's arguments
 * @param fds it finds them as 3, 4, 5 ... in their order
 * @returns the pid
 * @throws OSError when it cannot be started, or when that directory is gone and there are flags
 * @internal
 */
export function startNode(
  executable: string,
  flags: readonly string[],
  args: readonly string[],
  fds: readonly number[],
): number {
  const flagged = flags.some((flag) => flag !== SMALL_POOL) || Boolean(process.env.NODE_OPTIONS);
  const directory = flagged ? startDirectory() : undefined;
  const elsewhere = directory === workingDirectory() ? undefined : directory;
  return util.spawnvPassfds(executable, [executable, ...flags, ...args], fds, {
    directory: elsewhere,
    env: environmentOfChildren(),
  });
}
