/**
 * Counterpart of multiprocessing/popen_spawn_posix.py: a child that is a fresh node. Deviations: D-105.
 */
import { accessSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { inspect } from 'node:util';
import { type BaseProcess, type EmulatedBy, resourceTracker, trace } from '@multiprocessing/core';
import {
  dup,
  FIRST_PASSED_FD,
  pipe,
  positionOf,
  setTimeout,
  writeStderr,
} from '@multiprocessing/posix';
import { entryPath } from '../base/entries.ts';
import type { LaunchOptions } from '../base/launch_options.ts';
import { startNode } from '../base/start_node.ts';
import { dieWith, openAgain, START_LIMIT, StartWatch } from '../base/start_watch.ts';
import { codeCacheFd } from '../spawn/code_cache.ts';
import { practise } from '../spawn/rehearsal.ts';
import { DATA, FLAG, flagsOfSpawned, getExecutable, pickleForChild } from '../spawn/spawn.ts';
import * as popen_fork from './popen_fork.ts';

/** Launches a child by posix_spawn(3); Python's `popen_spawn_posix.Popen`. */
export class Popen extends popen_fork.Popen {
  // Declared without a value: it is filled while the base class's constructor pickles.
  declare private passed: number[] | undefined;
  declare private startWatch: StartWatch | undefined;

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
    const again = openAgain(childR);
    const guard = again === undefined ? childR : this.fds.add(again);
    const fds = [childR, childW, data, guard, ...passed];
    const flags = flagsOfSpawned();
    const args = [entryPath('spawn_main'), FLAG, String(passed.length)];
    const codeCache = codeCacheFd(practise);
    if (codeCache !== undefined) {
      args.push(String(FIRST_PASSED_FD + fds.push(codeCache) - 1));
    }
    const pid = startNode(executable, flags, args, fds);
    this.pid = pid;
    this.sentinelFd = parentR;
    if (again !== undefined) dieWith(pid, again);
    this.startWatch = new StartWatch(pid, flags, this.readingOf(pid, data));
    lookLater(new WeakRef(this));
    this.fds.close(childR, childW, data, guard);
    resourceTracker._resourceTracker._startReserved();
  }

  /** Tells whether a child has begun to read what is pickled for it. */
  private readingOf(pid: number, data: number): () => boolean {
    if (!isHidden(pid)) return () => hasRead(pid);
    let kept: number | undefined = this.fds.add(dup(data));
    return () => {
      if (kept !== undefined && positionOf(kept) === 0) return false;
      if (kept !== undefined) this.fds.close(kept);
      kept = undefined;
      return true;
    };
  }

  override poll(): number | undefined {
    if (super.poll() === undefined) this.endIfAsleep();
    return this.returncode;
  }

  /** Whether nobody knows yet that it has begun. @internal */
  get isStarting(): boolean {
    return this.startWatch !== undefined && this.startWatch.next !== Infinity;
  }

  /** A child that will never come to its first line is ended, and says why as one that fails. */
  private endIfAsleep(): void {
    const error = this.startWatch?.look();
    if (error === undefined) return;
    this.startWatch = undefined;
    writeStderr(`Process ${this.name}:\n${inspect(error)}\n`);
    this.sendSignal(constants.signals.SIGKILL);
    this.reap(0);
  }

  protected override waitFor(): popen_fork.WaitedFor {
    const waited = super.waitFor();
    return { ...waited, seconds: Math.min(waited.seconds, this.startWatch?.next ?? Infinity) };
  }
}

/** Whether a child has begun to read what its parent has pickled: it does so through the open file that both know. */
function hasRead(pid: number): boolean {
  try {
    return !/^pos:\s*0$/m.test(readFileSync(`/proc/${pid}/fdinfo/${DATA}`, 'latin1'));
  } catch {
    return true; // it has closed that file, or it cannot be told
  }
}

/** Whether a child does not show its open files: its program may not be read by who runs it. */
function isHidden(pid: number): boolean {
  try {
    accessSync(`/proc/${pid}/fdinfo/${DATA}`);
    return false;
  } catch (error) {
    return (error as { code?: string }).code === 'EACCES';
  }
}

/** Milliseconds; timers count from when their loop turned last. */
const LATER = (START_LIMIT + 1) * 1000;

/** Looks also for those that nobody waits for. */
function lookLater(ref: WeakRef<Popen>): void {
  setTimeout(() => {
    const popen = ref.deref();
    if (popen === undefined || popen.poll() !== undefined) return;
    if (popen.isStarting) lookLater(ref);
  }, LATER).unref();
}
