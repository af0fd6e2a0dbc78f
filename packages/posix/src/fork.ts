/**
 * A real fork(2) of this Node process; Python's `os.fork`.
 *
 * V8 marks its memory MADV_DONTFORK: a plain fork gives a child with holes where the heap was. So the
 * marks are taken back first, and because V8 may map a new page between that and the fork, every fork
 * is *validated*: the child waits; if the parent's memory map has changed meanwhile, the child is
 * thrown away and the fork made again. Threads do not survive fork(2); the process must have been
 * started with V8's --single-threaded, so that V8 hands hardly any work to them; v8_pool.ts sees to the rest.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { MADV_DOFORK } from './constants.ts';
import { ForkUnavailableError, osError } from './errors.ts';
import { pipe } from './fd.ts';
import { errno, native, resolveNatives } from './ffi.ts';
import { adoptForkedProcess, prepareToAdopt } from './forked_child.ts';
import { _exit, kill, waitpid } from './process.ts';
import { emptyPool, poolIsKnown, poolSlept, poolTime } from './v8_pool.ts';

const cFork = native('int fork()');
const madvise = native('int madvise(uintptr_t address, size_t length, int advice)');

const FLAG = /(^|[\s"'])--single[-_]threaded($|[\s"'])/;

/**
 * Says whether this process can fork; `reason` tells why not and what to do.
 */
export function forkAvailable(): { available: boolean; reason?: string } {
  const no = (reason: string) => ({ available: false, reason });
  if (process.platform !== 'linux') return no(`fork() needs Linux, this is ${process.platform}`);
  // Asked for here, not imported: it takes 2 ms to load in every process.
  const { isMainThread } = process.getBuiltinModule('node:worker_threads');
  if (!isMainThread) return no('fork() works in the main thread only, this is a worker thread');
  if (
    !process.execArgv.some((arg) => FLAG.test(arg)) &&
    !FLAG.test(process.env.NODE_OPTIONS ?? '')
  ) {
    return no(
      "this process has V8's threads, which do not survive a fork:" +
        " start it with `node --single-threaded`, or make `import 'multiprocessing/forkable'` the program's first line",
    );
  }
  if (!poolIsKnown()) {
    return no(
      `this build of Node ${process.version} does not show its thread pool, without which no copy of it is safe`,
    );
  }
  return { available: true };
}

/** How often a fork had to be made again because memory or threads had changed under it. @internal */
export const forkStatistics = { forks: 0, retries: 0 };

const MAX_TRIES = 50;
/** The texts of two memory maps; made at the first fork, a process that never forks needs none. */
let before = Buffer.alloc(0);
let after = before;

/**
 * Forks this process. Returns the child's pid in the parent, and 0 in the child: a copy of the whole
 * process, stack included, that shares nothing but open files. The child must end by `_exit` or
 * `process.exit`, both of which leave without running the exit of Node (it would wait for threads
 * that the child does not have).
 *
 * @throws ForkUnavailableError when this process cannot fork, with the reason; OSError (EAGAIN, ENOMEM)
 */
export function fork(): number {
  const { pid, waitUntilWhole } = forkUnconfirmed();
  waitUntilWhole();
  return pid;
}

/** A fork whose copy may still turn out to have holes. */
export interface UnconfirmedFork {
  /** 0 in the child. */
  pid: number;
  /** To be called in the child before it does anything that others can see; ends a copy with holes. */
  waitUntilWhole: () => void;
}

/**
 * As `fork`, but the child goes on while the parent still checks that the copy is whole: what the child prepares
 * in the meantime costs nothing.
 * @throws ForkUnavailableError, OSError
 * @internal
 */
export function forkUnconfirmed(): UnconfirmedFork {
  const { available, reason } = forkAvailable();
  if (!available) throw new ForkUnavailableError(reason as string);
  resolveNatives();
  prepareToAdopt();
  if (before.length === 0) [before, after] = [Buffer.alloc(1 << 18), Buffer.alloc(1 << 18)];
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const forked = tryFork();
    if (forked !== undefined) return forked;
    forkStatistics.retries++;
  }
  throw osError(11 /* EAGAIN */, 'fork', 'memory and threads did not come to rest');
}

/** Forks once. Undefined: memory or V8's threads did not rest meanwhile, and the child is gone again. */
function tryFork(): UnconfirmedFork | undefined {
  const length = markForkable();
  const [goRead, goWrite] = pipe();
  const ran = poolTime();
  const pid = cFork();
  if (pid === 0) {
    emptyPool();
    forkStatistics.forks = 0;
    forkStatistics.retries = 0;
    adoptForkedProcess();
    return { pid, waitUntilWhole: () => waitForGo(goRead, goWrite) };
  }
  const failed = pid < 0 ? errno() : 0;
  const unchanged = failed === 0 && mapsAreStill(length);
  lastGood = unchanged ? length : -1;
  const whole = unchanged && poolSlept(ran);
  if (whole) writeSync(goWrite, 'g');
  closeSync(goRead);
  closeSync(goWrite);
  if (failed !== 0) throw osError(failed, 'fork');
  if (whole) {
    forkStatistics.forks++;
    return { pid, waitUntilWhole: nothing };
  }
  kill(pid, 9);
  waitpid(pid, 0);
  return undefined;
}

function nothing(): void {}

/** In the child: sleeps until the parent says that this copy is whole. */
function waitForGo(goRead: number, goWrite: number): void {
  closeSync(goWrite);
  const go = Buffer.alloc(1);
  if (readSync(goRead, go, 0, 1, null) !== 1) _exit(99);
  closeSync(goRead);
}

/** The length of the map's text at the last good fork: `before` and `after` still hold it. -1: there is none. */
let lastGood = -1;
/** Whether the map was the same at the last two forks. Then it is not read before the next, only after it. */
let steady = false;

/**
 * Takes MADV_DONTFORK back everywhere; returns the length of the memory map's text in `before`. The advice
 * itself may change the map (neighbours merge), so it is read again until it rests; a map that is the same
 * as at the last fork rests already.
 */
function markForkable(): number {
  if (steady && lastGood >= 0) {
    adviseDoFork(before, lastGood);
    return lastGood;
  }
  for (;;) {
    const length = readMaps('before');
    steady = length === lastGood && before.compare(after, 0, length, 0, length) === 0;
    adviseDoFork(before, length);
    if (steady || mapsAreStill(length)) return length;
  }
}

function mapsAreStill(length: number): boolean {
  return readMaps('after') === length && before.compare(after, 0, length, 0, length) === 0;
}

function readMaps(into: 'before' | 'after'): number {
  const fd = openSync('/proc/self/maps', 'r');
  let buffer = into === 'before' ? before : after;
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) break;
    length += count;
    if (length === buffer.length) {
      before = Buffer.concat([before], before.length * 2);
      after = Buffer.concat([after], after.length * 2);
      buffer = into === 'before' ? before : after;
    }
  }
  closeSync(fd);
  return length;
}

/**
 * Advises every private anonymous mapping in the text of /proc/self/maps. It parses bytes in place: no
 * strings, no arrays, so that the pass itself maps as little new memory as it can.
 */
function adviseDoFork(text: Buffer, length: number): void {
  const at = { i: 0 };
  while (at.i < length) {
    const start = parseHex(text, at);
    const end = parseHex(text, at);
    const isPrivate = text[at.i + 3] === 0x70; // the p of "rw-p"
    let newline = at.i;
    while (text[newline] !== 0x0a) newline++;
    const isAnonymous = text[newline - 1] === 0x20; // no path follows
    if (isPrivate && isAnonymous) madvise(start, end - start, MADV_DOFORK);
    at.i = newline + 1;
  }
}

/** Parses a hexadecimal number and steps over the character behind it. */
function parseHex(text: Buffer, at: { i: number }): number {
  let value = 0;
  for (;;) {
    const c = text[at.i++] as number;
    if (c >= 0x30 && c <= 0x39) value = value * 16 + c - 0x30;
    else if (c >= 0x61 && c <= 0x66) value = value * 16 + c - 0x57;
    else return value;
  }
}
