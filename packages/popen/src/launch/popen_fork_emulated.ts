/**
 * What stands in for a forked child where this process cannot fork(2): a child of another start method that gets the
 * target, and all that it can reach, by value. No counterpart in Python. Deviations: D-094.
 */
import type { BaseProcess, EmulatedBy } from '@multiprocessing/core';
import type { LaunchOptions } from '../base/launch_options.ts';
import {
  _emulatingServer,
  checkForkserverAvailable,
  ForkServerUnavailableError,
} from '../forkserver/forkserver.ts';
import type { Popen } from './popen_fork.ts';
import { Popen as PopenForkServer } from './popen_forkserver.ts';
import { Popen as PopenSpawn } from './popen_spawn_posix.ts';

const METHOD = 'fork_emulated';

class ByForkServer extends PopenForkServer {
  override get method(): string {
    return METHOD;
  }

  override get emulatedBy(): EmulatedBy {
    return 'forkserver';
  }

  protected override get server(): typeof _emulatingServer {
    return _emulatingServer;
  }
}

class BySpawn extends PopenSpawn {
  override get method(): string {
    return METHOD;
  }

  override get emulatedBy(): EmulatedBy {
    return 'spawn';
  }
}

/** Set when a server has failed at its start: this program cannot use one. */
let serverFails = false;

/** Whether the server is there, made by `start`; a program that cannot have one forks by spawn. */
function served<T>(start: () => T): T | undefined {
  if (serverFails) return undefined;
  try {
    checkForkserverAvailable();
    return start();
  } catch (error) {
    noteFailure(error);
    return undefined;
  }
}

function noteFailure(error: unknown): void {
  if (!(error instanceof ForkServerUnavailableError)) throw error;
  serverFails = true;
}

/** Waits for the server of emulated forks, if this program can use one. */
export async function prepareEmulatedFork(): Promise<void> {
  await served(() => _emulatingServer.ready())?.catch(noteFailure);
}

/** Launches a child that stands in for a forked one; the server forks it, or else it is spawned. */
export function emulateFork(process: BaseProcess, options: LaunchOptions): Popen {
  return served(() => new ByForkServer(process, options)) ?? new BySpawn(process, options);
}
