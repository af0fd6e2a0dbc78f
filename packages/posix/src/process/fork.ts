/**
 * A real fork(2) of this Node process; Python's `os.fork`.
 *
 * V8 keeps its memory from being copied, and a copy without it crashes: memory_map.ts undoes that before the fork, and
 * says after it whether the copy is whole. Every fork is *validated* so: the child waits; if it is not whole, it is
 * thrown away and the fork made again. Threads do not survive fork(2); the process must have been
 * started with V8's --single-threaded, so that V8 hands hardly any work to them; v8_pool.ts sees to the rest.
 */

import { inspect } from 'node:util';
import { pipe } from '../fds/fd.ts';
import { closeRaw, readRaw, writeRaw } from '../fds/raw_fd.ts';
import { calledByChildren, prepareForChildren, writtenByChildren } from '../ffi/compiled.ts';
import { ForkUnavailableError, OSError, osError } from '../ffi/errors.ts';
import { errno, native, resolveNatives } from '../ffi/ffi.ts';
import { execArgv, nodeOptions } from '../node/program.ts';
import { prepareConnectionPools } from './connection_pools.ts';
import { adoptForkedProcess, prepareToAdopt } from './forked_child.ts';
import { holdFinishedWork, releaseFinishedWork } from './inherited_loop.ts';
import { isWhole, makeForkable } from './memory_map.ts';
import { _exit, kill, waitpid } from './process.ts';
import { prepareToRenew, renewRandom } from './random.ts';
import { ForeignThreadsError, foreignThreads, prepareForeignThreads } from './threads.ts';
import { writeStderr } from './uncaught.ts';
import { emptyPool, poolIsKnown, poolSlept, poolTime, waitForPool } from './v8_pool.ts';

const cFork = native('int fork()');

const FLAG = /(^|[\s"'])--single[-_]threaded($|[\s"'])/;

/** Whether forkAvailable has said so: it never changes. */
let isAvailable = false;

/**
 * Says whether this process can fork; `reason` tells why not and what to do.
 * @throws OSError EMFILE among others, when that cannot be found out now
 */
export function forkAvailable(): { available: boolean; reason?: string } {
  if (isAvailable) return { available: true };
  const no = (reason: string) => ({ available: false, reason });
  if (process.platform !== 'linux') return no(`fork() needs Linux, this is ${process.platform}`);
  // Asked for here, not imported: it takes 2 ms to load in every process.
  const { isMainThread } = process.getBuiltinModule('node:worker_threads');
  if (!isMainThread) return no('fork() works in the main thread only, this is a worker thread');
  if (!execArgv.some((arg) => FLAG.test(arg)) && !FLAG.test(nodeOptions)) {
    return no(
      "this process has V8's threads, which do not survive a fork:" +
        " start it with `node --single-threaded`, or make `import 'multiprocessing/forkable'` the program's first line",
    );
  }
  const missing = whatIsMissing();
  if (missing !== undefined) return no(`${missing}, without which no copy of this process is safe`);
  isAvailable = true;
  return { available: true };
}

function whatIsMissing(): string | undefined {
  try {
    if (poolIsKnown()) return undefined;
    return `this build of Node ${process.version} does not show its thread pool`;
  } catch (error) {
    if (!(error instanceof OSError) || !FOR_GOOD.has(error.code)) throw error;
    return `/proc is not mounted, or does not show this process its threads (${error.message})`;
  }
}

/** What is the same the next time. */
const FOR_GOOD = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENOSYS']);

/** How often a fork had to be made again because memory or threads had changed under it. @internal */
export const forkStatistics = { forks: 0, retries: 0 };

const MAX_TRIES = 50;
/** Milliseconds that V8's threads may go on with something before each further try. */
const REST = 200;

/**
 * Forks this process. Returns the child's pid in the parent, and 0 in the child: a copy of the whole
 * process, stack included, that shares nothing but open files. The child must end by `_exit` or
 * `process.exit`, both of which leave without running the exit of Node (it would wait for threads
 * that the child does not have).
 *
 * @param options.alone whether a process with threads of addons is not forked
 * @throws ForkUnavailableError when this process cannot fork, with the reason; OSError (EAGAIN, ENOMEM); ForeignThreadsError
 */
export function fork({ alone = false } = {}): number {
  const { available, reason } = forkAvailable();
  if (!available) throw new ForkUnavailableError(reason as string);
  resolveNatives();
  prepareToAdopt();
  prepareToRenew();
  prepareConnectionPools();
  prepareForeignThreads();
  prepareForChildren();
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const pid = tryFork(alone);
    if (pid !== undefined) return pid;
    forkStatistics.retries++;
    waitForPool(REST);
  }
  throw osError(11 /* EAGAIN */, 'fork', 'memory and threads did not come to rest');
}

/** The one byte that tells a child that it is whole. */
const go = Buffer.alloc(1);

/** Forks once. Undefined: memory or V8's threads did not rest meanwhile, and the child is gone again. */
function tryFork(alone: boolean): number | undefined {
  const [goRead, goWrite] = pipe();
  let pid = -1;
  let whole = false;
  try {
    const ran = poolTime();
    makeForkable();
    // Here: the memory of a thread that begins later is seen afterwards, and the fork made again.
    if (alone && foreignThreads().length > 0) throw new ForeignThreadsError();
    const finishedWork = holdFinishedWork();
    pid = cFork();
    if (pid === 0) {
      inChild(goRead, goWrite, finishedWork);
      return pid;
    }
    const failed = pid < 0 ? errno() : 0;
    releaseFinishedWork(finishedWork);
    if (failed !== 0) throw osError(failed, 'fork');
    whole = isWhole(pid) && poolSlept(ran);
    if (whole) writeRaw(goWrite, go);
  } finally {
    if (pid !== 0) letGo(goRead, goWrite, whole ? 0 : pid);
  }
  if (!whole) return undefined;
  forkStatistics.forks++;
  return pid;
}

/** Closes the pipe, and ends the child that is not whole, if there is one. */
function letGo(goRead: number, goWrite: number, child: number): void {
  closeRaw(goRead);
  closeRaw(goWrite);
  if (child <= 0) return;
  kill(child, 9);
  waitpid(child, 0);
}

/** An error in here must not be thrown on: it would run the parent's own code in the child. */
function inChild(goRead: number, goWrite: number, finishedWork: bigint | undefined): void {
  try {
    emptyPool(); // first of all: V8 may collect garbage at any time
    releaseFinishedWork(finishedWork);
    waitForGo(goRead, goWrite);
    forkStatistics.forks = 0;
    forkStatistics.retries = 0;
    renewRandom();
    adoptForkedProcess();
  } catch (error) {
    writeStderr(`fork: ${inspect(error)}\n`);
    _exit(1);
  }
}

/** In the child: sleeps until the parent says that this copy is whole. */
function waitForGo(goRead: number, goWrite: number): void {
  closeRaw(goWrite); // so that a parent that dies is the end of the file
  for (;;) {
    const count = readRaw(goRead, go);
    if (count === 1) break;
    if (count === 0 || errno() !== 4 /* EINTR */) _exit(99);
  }
  closeRaw(goRead);
}

calledByChildren(inChild, waitForGo);
writtenByChildren(forkStatistics);
