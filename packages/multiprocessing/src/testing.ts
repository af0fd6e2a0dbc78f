/**
 * `multiprocessing/testing`: for suites that assert how processes live and end. No counterpart in CPython.
 *
 * What a test has left behind is children, fds, shared memory and temporary files. What this library keeps once per process (its
 * forkserver, the resource tracker, their fds) is none of it. Which processes a piece of code has started, in which order, and how they
 * have ended is known from the events of the trace.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { AssertionError, checkTimeout, ifMade, type TraceEvent } from '@multiprocessing/core';
import { close, now, pipe, setTimeout } from '@multiprocessing/posix';

//
// Leftovers
//

/** What mocha, vitest, jest and node:test have under these names. */
export interface TestHooks {
  beforeEach(body: () => void): unknown;
  afterEach(body: () => Promise<void>): unknown;
}

export interface LeftoverOptions extends Partial<TestHooks> {
  /** How long what is ending may take, in seconds; 10 unless it is given. */
  timeout?: number;
  /** What is no leftover: what it matches of a line of the error. */
  ignore?: RegExp;
  /** Which names in /dev/shm are looked at; those that this library makes, unless it is given. */
  segments?: RegExp;
}

/** Throws where something is left. Also at the end of a block: `await using nothingLeft = expectNoLeftovers()`. */
export interface LeftoverCheck extends AsyncDisposable {
  /** @throws AssertionError that lists what is left */
  (): Promise<void>;
}

type Leftovers = ReadonlyMap<string, string>;

const OURS = /^(psm_|mp-|pymp-)/;

/**
 * Notes what there is of children, fds, shared memory and temporary files, for a check that nothing has been added.
 *
 *     expectNoLeftovers({ beforeEach, afterEach });           // in a file of tests: after each of them
 *
 *     const check = expectNoLeftovers();                      // or around a piece of code
 *     ...
 *     await check();
 *
 * @param options.timeout seconds that what is ending may take: the kernel reaps when it comes to it
 * @param options.ignore what is no leftover, for instance fds of a server that the first test starts
 * @param options.segments which names in /dev/shm count, where tests name their shared memory
 * @throws TypeError, ValueError for a timeout that is none
 */
export function expectNoLeftovers(options: LeftoverOptions = {}): LeftoverCheck {
  const { timeout = 10, beforeEach, afterEach } = options;
  checkTimeout(timeout);
  const { ignore, segments = OURS } = options;
  const addedTo = (before: Leftovers) =>
    [...whatIs(segments)].filter(([key, what]) => !before.has(key) && !ignore?.test(what));
  openNodesOwn();
  let before = whatIs(segments);
  const check = async () => {
    let left = addedTo(before);
    const deadline = now() + timeout * 1000;
    while (left.length > 0) {
      if (now() >= deadline) {
        throw new AssertionError(`left behind: ${left.map(([, what]) => what).join(', ')}`);
      }
      await moment();
      // What appears later is somebody else's.
      const still = new Set(addedTo(before).map(([key]) => key));
      left = left.filter(([key]) => still.has(key));
    }
  };
  beforeEach?.(() => {
    before = whatIs(segments);
  });
  afterEach?.(check);
  return Object.assign(check, { [Symbol.asyncDispose]: check });
}

let isOpen = false;

/** Node opens /dev/null for good when it makes its first stream, which may be the first line that a test prints. */
function openNodesOwn(): void {
  if (isOpen) return;
  isOpen = true;
  const { Socket } = process.getBuiltinModule('node:net'); // late: children have this module, too
  const [reader, writer] = pipe();
  new Socket({ fd: reader }).destroy(); // closes it at once
  close(writer);
}

/** Nobody wakes who waits for a file or an fd to be gone. */
function moment(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 5);
  });
}

/** All that could be left, by a key that tells it from others: what it is. */
function whatIs(segments: RegExp): Leftovers {
  const { pids, fds } = ofLibrary();
  const all = new Map<string, string>();
  for (const [pid, what] of children(process.pid))
    if (!pids.has(pid)) all.set(`child ${pid}`, what);
  for (const server of servers()) {
    for (const [pid, what] of children(server)) all.set(`child ${pid}`, what);
  }
  for (const [fd, what] of openFds()) {
    // A queue's file is closed when the queue is collected.
    if (fds.has(fd) || what.startsWith('/memfd:multiprocessing-queue')) continue;
    all.set(`fd ${fd} ${what}`, `fd ${fd} (${what})`);
  }
  for (const name of list(tmpdir())) {
    if (/^(pymp-|mp-)/.test(name)) all.set(`file ${name}`, `temporary file ${name}`);
  }
  for (const name of list('/dev/shm')) {
    if (segments.test(name)) all.set(`segment ${name}`, `shared memory ${name}`);
  }
  return all;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not on this system, or gone by now
  }
}

function openFds(): [number, string][] {
  return list('/proc/self/fd').flatMap((fd): [number, string][] => {
    try {
      return [[Number(fd), readlinkSync(`/proc/self/fd/${fd}`)]];
    } catch {
      return []; // that of the listing itself
    }
  });
}

/** The pids of a process's children, and what each of them runs. */
function children(parent: number): [number, string][] {
  const tasks = list(`/proc/${parent}/task`);
  return tasks.flatMap((task) =>
    read(`/proc/${parent}/task/${task}/children`)
      .split(' ')
      .filter(Boolean)
      .map((pid): [number, string] => [Number(pid), `child ${pid} (${commandOf(pid)})`]),
  );
}

function commandOf(pid: string): string {
  return (
    read(`/proc/${pid}/cmdline`).split('\0').join(' ').trim().slice(0, 200) || 'ended, not joined'
  );
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

interface Server {
  _forkserverPid?: number;
  _socket?: number;
}

function serverStates(): Server[] {
  return ['forkserver', 'forkserver.emulating'].flatMap((name) => ifMade<Server>(name) ?? []);
}

function servers(): number[] {
  return serverStates().flatMap(({ _forkserverPid: pid }) => pid ?? []);
}

/** What the library keeps once per process. */
function ofLibrary(): { pids: ReadonlySet<unknown>; fds: ReadonlySet<unknown> } {
  const tracker = ifMade<{ _pid?: number; _fd?: number }>('resourceTracker');
  const hub = ifMade<Record<'bell' | 'ringer', { fd: number } | undefined>>('waitHub');
  const sharer = ifMade<{ listening?: { fd: number } }>('resourceSharer');
  const arenas = ifMade<Map<string, { fd: number }>>('arenas') ?? new Map<string, { fd: number }>();
  const fdOf = (name: string) => ifMade<{ fd?: number }>(name)?.fd;
  return {
    pids: new Set([...servers(), tracker?._pid]),
    fds: new Set([
      ...serverStates().map(({ _socket }) => _socket),
      tracker?._fd,
      hub?.bell?.fd,
      hub?.ringer?.fd,
      sharer?.listening?.fd,
      fdOf('endedSentinel'),
      fdOf('codeCache'),
      ...[...arenas.values()].map(({ fd }) => fd),
    ]),
  };
}

//
// Records
//

/** A process that has been started while somebody recorded. */
export interface ProcessRecord {
  /** The name of the Process. */
  readonly name: string;
  readonly pid: number;
  /** `'spawn'`, `'fork'` or `'forkserver'`. */
  readonly method: string;
  /** Its exit code once this process has learnt of its end: negative for a signal, as in Python. */
  readonly exitcode: number | undefined;
}

/** Ends with its block: `using recording = recordProcesses()`. */
export interface Recording extends Disposable {
  /** The processes that this one has started since, in the order of their starts. */
  readonly processes: readonly ProcessRecord[];
  /** Records no more. */
  stop(): void;
}

type Detail = { child: number; returncode: number };

/**
 * Records the processes that this process starts from now on, and their exit codes.
 *
 *     using recording = recordProcesses();
 *     await runJobs();
 *     assert.deepEqual(recording.processes.map(({ exitcode }) => exitcode), [0, 0]);
 */
export function recordProcesses(): Recording {
  const processes: { -readonly [K in keyof ProcessRecord]: ProcessRecord[K] }[] = [];
  const listen = (message: unknown) => {
    const { layer, event, name, detail } = message as TraceEvent;
    if (!layer.startsWith('popen_')) return;
    const { child, returncode } = detail as Detail;
    if (event === '_launch') {
      const method = layer.slice('popen_'.length);
      processes.push({ name, pid: child, method, exitcode: undefined });
    } else if (event === 'reap') {
      const record = processes.findLast(({ pid }) => pid === child);
      if (record !== undefined) record.exitcode = returncode;
    }
  };
  subscribe('multiprocessing', listen);
  const stop = () => void unsubscribe('multiprocessing', listen);
  return { processes, stop, [Symbol.dispose]: stop };
}
