/**
 * Counterpart of multiprocessing/popen_spawn_posix.py: a child that is a fresh node.
 */
import { type BaseProcess, type EmulatedBy, resourceTracker, trace } from '@multiprocessing/core';
import { FIRST_PASSED_FD, pipe } from '@multiprocessing/posix';
import { entryPath } from '../base/entries.ts';
import type { LaunchOptions } from '../base/launch_options.ts';
import { startNode } from '../base/start_node.ts';
import { codeCacheFd } from '../spawn/code_cache.ts';
import { argsFromInterpreterFlags, getExecutable, pickleForChild } from '../spawn/spawn.ts';
import * as popen_fork from './popen_fork.ts';

/** How a child knows that it is one. Behind it stand the number of passed fds, the fd of the code cache, and 1 if the child adds to that. */
const FLAG = '--multiprocessing-fork';

/** Launches a child by posix_spawn(3); Python's `popen_spawn_posix.Popen`. */
export class Popen extends popen_fork.Popen {
  // Declared without a value: it is filled while the base class's constructor pickles.
  declare private passed: number[] | undefined;

  override get method(): string {
    return 'spawn';
  }

  /** Of an emulated fork, the method itself. */
  get emulatedBy(): EmulatedBy | undefined {
    return undefined;
  }

  /** Passes an fd to the child. @returns its index among the fds that the child inherits */
  duplicateForChild(fd: number): number {
    this.passed ??= [];
    return this.passed.push(fd) - 1;
  }

  override _launch(process: BaseProcess, options: LaunchOptions): void {
    const data = this.fds.add(pickleForChild(this, process, options));
    const [parentR, childW] = this.fds.addPair(pipe());
    const [childR, parentW] = this.fds.addPair(pipe());
    trace('popen_spawn', 'pipes', this.name, () => ({ parentR, childW, childR, parentW }));
    const executable = getExecutable();
    const passed = this.passed ?? [];
    const fds = [childR, childW, data, ...passed];
    const args = [entryPath('spawn_main'), FLAG, String(passed.length)];
    const codeCache = codeCacheFd();
    if (codeCache !== undefined) {
      args.push(String(FIRST_PASSED_FD + fds.push(codeCache.fd) - 1));
      if (codeCache.adds) args.push('1');
    }
    this.pid = startNode(executable, argsFromInterpreterFlags(), args, fds);
    this.sentinelFd = parentR;
    this.fds.close(childR, childW, data);
    resourceTracker._resourceTracker._startReserved();
  }
}
