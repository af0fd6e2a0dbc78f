/**
 * Counterpart of multiprocessing/popen_forkserver.py: a child that a prepared server forks. Deviations: D-103.
 */
import {
  type BaseProcess,
  type EmulatedBy,
  EOFError,
  RuntimeError,
  resourceTracker,
  trace,
  wait,
} from '@multiprocessing/core';
import { close, dup, OSError, pipe, poll } from '@multiprocessing/posix';
import type { LaunchOptions } from '../base/launch_options.ts';
import { _forkserver as server } from '../forkserver/forkserver.ts';
import { readPid, readSigned } from '../forkserver/status.ts';
import { pickleForChild } from '../spawn/spawn.ts';
import * as popen_fork from './popen_fork.ts';

/** Launches a child by asking the server; Python's `popen_forkserver.Popen`. */
export class Popen extends popen_fork.Popen {
  // Declared without a value: it is filled while the base class's constructor pickles.
  declare private passed: number[] | undefined;

  override get method(): string {
    return 'forkserver';
  }

  /** Of an emulated fork, the method itself. */
  get emulatedBy(): EmulatedBy | undefined {
    return undefined;
  }

  protected get server(): typeof server {
    return server;
  }

  /** Passes an fd to the child. @returns its index among the fds that the child inherits */
  duplicateForChild(fd: number): number {
    this.passed ??= [];
    return this.passed.push(fd) - 1;
  }

  override _launch(process: BaseProcess, options: LaunchOptions): void {
    const data = this.fds.add(pickleForChild(this, process, options));
    const [statusR, statusW] = this.fds.addPair(pipe());
    const [childR, parentW] = this.fds.addPair(pipe());
    trace('popen_forkserver', 'pipes', this.name, () => ({ statusR, statusW, childR, parentW }));
    const fds = [childR, data, ...(this.passed ?? [])];
    this.server.connectToNewProcess(statusW, fds, options.allowThreads);
    this.sentinelFd = statusR;
    this.fds.close(childR, statusW, data);
    resourceTracker._resourceTracker._startReserved();
  }

  /** The server writes the pid once it has forked, or why it cannot. */
  override async launched(): Promise<void> {
    try {
      await wait([this.sentinelFd]);
    } catch (error) {
      if (!(error instanceof OSError)) throw error;
      // The request is out: whoever cannot wait for the answer in the event loop blocks.
    }
    this.launchedSync();
  }

  /** @throws OSError of the server's fork, EAGAIN among others; RuntimeError when the server is gone */
  override launchedSync(): void {
    try {
      this.pid = readPid(this.sentinelFd);
    } catch (error) {
      this.close();
      if (!(error instanceof EOFError)) throw error;
      const reason = this.server._lastWord();
      if (reason !== undefined) throw reason;
      throw new RuntimeError(
        'the forkserver died while it started this process: start a new Process, a new server comes with it',
        { cause: error },
      );
    }
    this.traceLaunch();
  }

  protected override traceLaunch(): void {
    if (this.pid !== undefined) super.traceLaunch();
  }

  /** The server reaps the child and writes its exit code; without it (the server was killed) it is 255. */
  protected override reap(): void {
    if (poll([this.sentinelFd], 0).length === 0) return;
    try {
      const returncode = readSigned(this.sentinelFd);
      poll([this.sentinelFd], 1); // the server closes its end next: then the sentinel is readable for good
      this.ended(returncode);
    } catch (error) {
      if (!(error instanceof EOFError)) throw error;
      this.ended(255);
    }
  }

  /** A duplicate: while somebody waits, a poll() elsewhere (start() reaps) may close the sentinel. */
  protected override waitFor(): popen_fork.WaitedFor {
    const fd = dup(this.sentinelFd);
    return { fds: [fd], seconds: Infinity, done: () => close(fd) };
  }
}
