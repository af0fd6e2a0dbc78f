/**
 * Counterpart of multiprocessing/popen_spawn_posix.py: a child that is a fresh node.
 */
import { fileURLToPath } from 'node:url';
import { type BaseProcess, trace, util } from '@multiprocessing/core';
import { pipe } from '@multiprocessing/posix';
import * as popen_fork from './popen_fork.ts';
import { argsFromInterpreterFlags, getExecutable, pickleForChild } from './spawn.ts';

/** The child's entry, and how it knows that it is one: behind the flag stands the number of passed fds. */
const ENTRY = fileURLToPath(new URL('./spawn_main.js', import.meta.url));
const FLAG = '--multiprocessing-fork';

/** Launches a child by posix_spawn(3); Python's `popen_spawn_posix.Popen`. */
export class Popen extends popen_fork.Popen {
  // Declared without a value: it is filled while the base class's constructor pickles.
  declare private passed: number[] | undefined;

  override get method(): string {
    return 'spawn';
  }

  /** Passes an fd to the child. @returns its index among the fds that the child inherits */
  duplicateForChild(fd: number): number {
    this.passed ??= [];
    return this.passed.push(fd) - 1;
  }

  override _launch(process: BaseProcess): void {
    const data = this.fds.add(pickleForChild(this, process));
    const [parentR, childW] = this.fds.addPair(pipe());
    const [childR, parentW] = this.fds.addPair(pipe());
    trace('popen_spawn', 'pipes', this.name, () => ({ parentR, childW, childR, parentW }));
    const executable = getExecutable();
    const passed = this.passed ?? [];
    const argv = [executable, ...argsFromInterpreterFlags(), ENTRY, FLAG, String(passed.length)];
    this.pid = util.spawnvPassfds(executable, argv, [childR, childW, data, ...passed]);
    this.sentinelFd = parentR;
    this.fds.close(childR, childW, data);
  }
}
