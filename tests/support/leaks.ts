/**
 * What a test must not leave behind: children, fds, shared memory, temporary files.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Snapshot {
  fds: Map<string, string>;
  children: Set<string>;
  files: Set<string>;
}

/** What exists now. The library's own forkserver and tracker, which outlive a test by design, do not count. */
export async function takeSnapshot(): Promise<Snapshot> {
  const { ownPids, ownFds } = await libraryState();
  const children = childPids().filter((pid) => !ownPids.has(pid));
  // A queue's file is closed when the queue is collected: tests/queues/data.test.ts looks after that.
  const fds = openFds().filter(([fd, what]) => {
    return !ownFds.has(fd) && !what.startsWith('/memfd:multiprocessing-queue');
  });
  return { fds: new Map(fds), children: new Set(children), files: new Set(temporaryFiles()) };
}

/**
 * Throws unless everything that was made since is gone. What is being closed gets a moment: the event loop
 * closes handles in its next turn, and the kernel reaps when it comes to it.
 */
export async function waitUntilClean(before: Snapshot): Promise<void> {
  const deadline = performance.now() + 10_000;
  let left = leftovers(before, await takeSnapshot());
  do {
    // What appears later is not this test's: others use /dev/shm at the same time.
    const still = leftovers(before, await takeSnapshot());
    left = left.filter((what) => still.includes(what));
    if (left.length === 0) return;
    await sleep(5);
  } while (performance.now() < deadline);
  throw new Error(`the test left behind: ${left.join(', ')}`);
}

function leftovers(before: Snapshot, now: Snapshot): string[] {
  return [
    ...[...now.children].filter((pid) => !before.children.has(pid)).map((pid) => `child ${pid}`),
    ...[...now.fds]
      .filter(([fd, what]) => before.fds.get(fd) !== what)
      .map(([fd, what]) => `fd ${fd} (${what})`),
    ...[...now.files].filter((file) => !before.files.has(file)).map((file) => `file ${file}`),
  ];
}

function openFds(): [string, string][] {
  return readdirSync('/proc/self/fd').flatMap((fd): [string, string][] => {
    try {
      return [[fd, readlinkSync(`/proc/self/fd/${fd}`)]];
    } catch {
      return []; // the fd of the listing itself
    }
  });
}

function childPids(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // the thread has ended since
      throw error;
    }
  });
}

function temporaryFiles(): string[] {
  const ours = readdirSync(tmpdir()).filter((name) => /^(pymp-|mp-|psm_)/.test(name));
  return [...ours, ...readdirSync('/dev/shm')];
}

type Registry = Map<string, Record<string, unknown>>;

/** The forkserver, the resource tracker, and the fds that the library keeps once per process. */
async function libraryState(): Promise<{ ownPids: Set<string>; ownFds: Set<string> }> {
  const globals = globalThis as { [key: symbol]: Registry | undefined };
  const state = globals[Symbol.for('multiprocessing.state')];
  const server = state?.get('forkserver');
  const hub = state?.get('waitHub') as Record<string, { fd: number } | undefined> | undefined;
  const shared = [state?.get('endedSentinel')?.fd, state?.get('codeCache')?.fd];
  const bells = [hub?.bell?.fd, hub?.ringer?.fd];
  const arenas = (state?.get('arenas') ?? new Map()) as Map<string, { fd: number }>;
  const tracker = state?.get('resourceTracker');
  const sharer = state?.get('resourceSharer')?.listening as { fd: number } | undefined;
  const pids = [server?._forkserverPid, tracker?._pid];
  const fds = [
    server?._socket,
    tracker?._fd,
    sharer?.fd,
    ...shared,
    ...bells,
    ...[...arenas.values()].map(({ fd }) => fd),
  ];
  return { ownPids: new Set(pids.map(String)), ownFds: new Set(fds.map(String)) };
}
