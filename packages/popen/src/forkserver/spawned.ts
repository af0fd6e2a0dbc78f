/**
 * Children that the server spawns, since it has threads of an addon, which no fork copies. Such a child is a fresh node that
 * imports the main module anew; for its parent it is as if it were forked. Deviations: D-109.
 */
import { util } from '@multiprocessing/core';
import { close } from '@multiprocessing/posix';
import { entryPath } from '../base/entries.ts';
import { startNode } from '../base/start_node.ts';
import { dieWith, openAgain } from '../base/start_watch.ts';
import { FIRST_INHERITED, spawnMain } from '../spawn/spawn.ts';
import { _emulatingServer, _forkserver } from './forkserver.ts';

/** The first argument of the server's program when it is such a child's. Behind it stands how many fds are passed on. */
const FLAG = '--spawned';
const EMULATES = 'emulates';

/** Of which node a child is made. @internal */
export interface SpawnSettings {
  executable: string;
  /** The node flags of a spawned child. */
  flags: string[];
  emulates: boolean;
}

/** The fds of a child, as the server has them. @internal */
export interface ChildFds {
  /** The client's end of the socketpair. */
  client: number;
  parentSentinel: number;
  data: number;
  inherited: readonly number[];
  /** What the child alone is to hold, where there are no pidfds. */
  life: number | undefined;
}

/**
 * Spawns a child in place of a fork.
 * @returns its pid
 * @throws OSError
 * @internal
 */
export function spawnServed(settings: SpawnSettings, fds: ChildFds): number {
  const { client, parentSentinel, data, inherited, life = parentSentinel } = fds;
  const args = [entryPath('forkserver_main'), FLAG, String(inherited.length)];
  if (settings.emulates) args.push(EMULATES);
  const guard = openAgain(parentSentinel);
  try {
    const passed = [parentSentinel, life, data, guard ?? parentSentinel, ...inherited, client];
    const pid = startNode(settings.executable, settings.flags, args, passed);
    if (guard !== undefined) dieWith(pid, guard);
    return pid;
  } finally {
    if (guard !== undefined) close(guard);
  }
}

/** Whether the server's program is to be such a child; then it is. @internal */
export function isSpawned([flag, passed, emulates]: readonly string[]): boolean {
  if (flag !== FLAG) return false;
  const server = emulates === EMULATES ? _emulatingServer : _forkserver;
  server._socket = FIRST_INHERITED + Number(passed);
  spawnMain(Number(passed), util.forgetExitHandlers);
  return true;
}
