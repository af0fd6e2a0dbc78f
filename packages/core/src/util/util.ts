/**
 * Counterpart of multiprocessing/util.py: the end of a process, output, and small helpers. Deviations: D-009, D-010, D-011, D-038,
 * D-106.
 *
 *     daemons.ts   the end of daemons
 *     finalize.ts  Finalize
 *     logging.ts   getLogger, logToStderr, debug, info ...
 */
import { closeSync, existsSync, openSync, rmSync } from 'node:fs';
import {
  afterFatalError,
  calledByChildren,
  close,
  closeRaw,
  flushBeforeExit,
  isFfiLoaded,
  isFfiLoading,
  makeBlocking,
  openRaw,
  POLLOUT,
  poll,
  posixSpawn,
  setStatusFlags,
  watchForFatalErrors,
  write,
  writtenByChildren,
} from '@multiprocessing/posix';
import { activeChildren, currentProcess } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import { makeTempDir } from '../base/temp_dir.ts';
import { endDaemons } from './daemons.ts';
import { _runFinalizers, clearFinalizers, Finalize } from './finalize.ts';
import { debug, info } from './logging.ts';

export { _runFinalizers, Finalize } from './finalize.ts';
export {
  debug,
  getLogger,
  info,
  Logger,
  type LogHandler,
  type LogRecord,
  loggingState,
  logToStderr,
  SUBDEBUG,
  SUBWARNING,
  subDebug,
  subWarning,
} from './logging.ts';

const state = processWide('util', () => ({
  exiting: false,
  afterFork: [] as { object: WeakRef<object>; func: (obj: never) => void }[],
}));

//
// A temporary directory which is removed at exit
//

/** The longest path of a Unix socket (107 bytes) without a name of up to 19 bytes in that directory. */
const MAX_TEMP_DIR = 87;

/**
 * A directory for this process and its descendants, removed at exit; Python's `util.get_temp_dir`. Its path is short
 * enough for Unix sockets in it, unless only a TMPDIR that is too long can be written.
 * @throws OSError ENOENT where no temporary directory can be written
 */
export function getTempDir(): string {
  const config = currentProcess()._config;
  // Somebody may clean up /tmp while the program runs, or the process that has made it is gone.
  if (config.tempdir === undefined || !existsSync(config.tempdir)) {
    const tempdir = makeTempDir('pymp-', MAX_TEMP_DIR);
    info('created temp directory %s', tempdir);
    new Finalize(null, removeTempDir, { args: [tempdir], exitpriority: -100 });
    config.tempdir = tempdir;
  }
  return config.tempdir;
}

function removeTempDir(tempdir: string): void {
  rmSync(tempdir, { recursive: true, force: true });
  delete currentProcess()._config.tempdir;
}

//
// What a forked child has to make anew
//

/**
 * Has `func(obj)` called in every forked child, as long as the object lives; Python's
 * `util.register_after_fork`.
 */
export function registerAfterFork<T extends object>(obj: T, func: (obj: T) => void): void {
  state.afterFork.push({ object: new WeakRef(obj), func });
}

/** Runs what was registered, oldest first; Python's `util._run_after_forkers`. @internal */
export function _runAfterForkers(): void {
  if (state.afterFork.length === 0) return;
  state.afterFork = state.afterFork.filter(({ object }) => object.deref() !== undefined);
  for (const { object, func } of state.afterFork) {
    try {
      func(object.deref() as never);
    } catch (error) {
      info('after forker raised exception %s', error);
    }
  }
}

//
// The end of a process
//

/** Whether this process is shutting down; Python's `util.is_exiting`. */
export function isExiting(): boolean {
  return state.exiting;
}

/**
 * What a process does at its end: finalizers from priority 0, daemons terminated, children joined, the other
 * finalizers. Python's `util._exit_function`.
 * @internal
 */
export function _exitFunction(): void {
  if (state.exiting) return;
  state.exiting = true;
  info('process shutting down');
  debug('running all "atexit" finalizers with priority >= 0');
  _runFinalizers(0);
  endDaemons(activeChildren().filter((child) => child.daemon));
  for (const child of activeChildren()) {
    if (child.daemon) continue; // it is dead, and in the hands of a debugger
    info('calling join() for process %s', child.name);
    child.joinSync();
  }
  debug('running the remaining "atexit" finalizers');
  _runFinalizers();
}

/** Has `_exitFunction` run when this process ends: after the print of the error, if it ends of one. @internal */
export function registerExitFunction(): void {
  process.on('exit', exitOrLater);
}

function exitOrLater(): void {
  if (!afterFatalError(_exitFunction)) _exitFunction();
}

/** Makes the end of a forked child its own: its parent's finalizers are not run here. @internal */
export function resetExit(): void {
  state.exiting = false;
  clearFinalizers();
  forgetOutput();
}

/** Forgets the 'exit' handlers of the program: the forkserver runs none, nor do its children. @internal */
export function forgetExitHandlers(): void {
  process.removeAllListeners('exit');
  registerExitFunction();
}

//
// Standard streams
//

/** Closes stdin and opens it again on /dev/null; Python's `util._close_stdin`. @internal */
export function _closeStdin(): void {
  if (isFfiLoaded()) {
    closeRaw(0);
    openRaw('/dev/null'); // takes the lowest free number: 0
    return;
  }
  try {
    closeSync(0);
  } catch {
    // it was closed already
  }
  openSync('/dev/null', 'r');
}

const STREAMS = ['stdout', 'stderr'] as const;
const streams = { stdout: false, stderr: false };

/** Whether what is printed has to leave at once, and how to end that. */
const blocking = { on: false, restore: [] as { fd: number; flags: number }[] };

/**
 * In a child without an event loop to return to: has everything that is printed leave this process before the
 * call returns. @internal
 */
export function blockOutput(): void {
  blocking.on = true;
  for (const name of STREAMS) if (streams[name]) block(name);
}

/** Others who share the streams find them as they were. @internal */
export function unblockOutput(): void {
  if (blocking.restore.length === 0) return;
  for (const { fd, flags } of blocking.restore.splice(0)) setStatusFlags(fd, flags);
}

function block(name: 'stdout' | 'stderr'): void {
  const fd = name === 'stdout' ? 1 : 2;
  const flags = makeBlocking(fd);
  if (flags !== undefined) blocking.restore.push({ fd, flags });
}

/** Notes which of the lazily made standard streams the program has used: making one costs 2 ms. */
function watchStream(name: 'stdout' | 'stderr'): void {
  const original = Object.getOwnPropertyDescriptor(process, name);
  if (original?.get === undefined || !original.configurable) {
    streams[name] = true;
    return;
  }
  calledByChildren(original.get);
  Object.defineProperty(process, name, {
    ...original,
    get() {
      if (isFfiLoading()) return original.get?.call(process) as unknown; // nobody's use of it
      streams[name] = true;
      Object.defineProperty(process, name, original);
      const stream = process[name]; // made now, and non-blocking
      noteWrites(stream);
      if (blocking.on) block(name);
      return stream;
    },
  });
}

watchStream('stdout');
watchStream('stderr');

/** What a forked child has inherited of each stream's waiting output, which its parent writes. */
const inherited = new Map<NodeJS.WriteStream, number>();

/** The standard streams that hold data which the kernel did not take at once (a full pipe). */
function unflushed(): NodeJS.WriteStream[] {
  const found: NodeJS.WriteStream[] = [];
  for (const name of STREAMS) {
    const stream = streams[name] ? process[name] : undefined;
    if (stream !== undefined && stream.writableLength > 0 && !inherited.has(stream)) {
      found.push(stream);
    }
  }
  return found;
}

interface Chunk {
  chunk: Uint8Array | string;
  encoding?: string;
}

type Done = (error?: Error | null) => void;

/** A pipe's stream, as Node has it. */
interface Internals {
  fd?: number;
  _handle?: { writeQueueSize?: number } | null;
  _writableState?: { getBuffer?(): Chunk[] };
  _write(chunk: Uint8Array | string, encoding: string, done: Done): void;
  _writev(chunks: Chunk[], done: Done): void;
}

const asInternals = (stream: NodeJS.WriteStream) => stream as unknown as Internals;

function backlog(stream: NodeJS.WriteStream): Chunk[] {
  return asInternals(stream)._writableState?.getBuffer?.() ?? [];
}

/** What libuv has been given to write and has not written to its end yet. */
const underWay = new Map<NodeJS.WriteStream, Chunk[]>();

function noteWrites(stream: NodeJS.WriteStream): void {
  const internals = asInternals(stream);
  // Files and terminals are written synchronously.
  if (internals._handle?.writeQueueSize === undefined || stream.isTTY) return;
  const { _write, _writev } = internals;
  const noted = (chunks: Chunk[], done: Done): Done => {
    underWay.set(stream, chunks);
    return (error) => {
      underWay.delete(stream);
      done(error);
    };
  };
  internals._write = (chunk, encoding, done) =>
    _write.call(stream, chunk, encoding, noted([{ chunk, encoding }], done));
  internals._writev = (chunks, done) => _writev.call(stream, chunks, noted([...chunks], done));
}

function bytesOf({ chunk, encoding }: Chunk): Buffer {
  if (typeof chunk !== 'string') return Buffer.from(chunk);
  return Buffer.from(chunk, Buffer.isEncoding(encoding ?? '') ? (encoding as 'utf8') : 'utf8');
}

/**
 * Writes what the kernel did not take yet of what this process has printed, and waits for its readers as Python's flush does.
 * For a process that does not come back to its event loop. @internal
 */
export function flushNow(): void {
  writeOwnOutput();
  for (const stream of unflushed()) {
    const { fd = 1, _handle } = asInternals(stream);
    const begun = Buffer.concat((underWay.get(stream) ?? []).map(bytesOf));
    writeWaiting(fd, begun.subarray(begun.length - (_handle?.writeQueueSize ?? 0)));
    for (const chunk of backlog(stream)) writeWaiting(fd, bytesOf(chunk));
  }
}

/** The standard streams that are in use. @internal */
export function outputStreams(): NodeJS.WriteStream[] {
  const found: NodeJS.WriteStream[] = [];
  for (const name of STREAMS) if (streams[name]) found.push(process[name]); // no function that each child compiles
  return found;
}

/** In a forked child: what its parent had still to write is not written here again. @internal */
export function forgetOutput(): void {
  for (const stream of unflushed()) inherited.set(stream, backlog(stream).length);
}

/** In a forked child: writes what it has itself put behind its parent's waiting output. @internal */
export function writeOwnOutput(): void {
  if (inherited.size === 0) return;
  for (const [stream, count] of inherited) {
    for (const chunk of backlog(stream).slice(count)) {
      writeWaiting(asInternals(stream).fd ?? 1, bytesOf(chunk));
    }
    inherited.set(stream, backlog(stream).length);
  }
}

/** Writes everything, also to a pipe that is full and does not block; a broken one is ignored. */
function writeWaiting(fd: number, chunk: Uint8Array): void {
  let rest = chunk;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(write(fd, rest));
    } catch (error) {
      if ((error as { code?: string }).code !== 'EAGAIN') return;
      poll([fd], undefined, POLLOUT);
    }
  }
}

/** Whether `_flushStdStreams` has to wait. @internal */
export function needsFlush(): boolean {
  return unflushed().length > 0;
}

/**
 * Waits until everything printed has left this process; Python's `util._flush_std_streams`. Broken streams
 * are ignored.
 * @internal
 */
export async function _flushStdStreams(): Promise<void> {
  await Promise.all(
    unflushed().map((stream) => {
      return new Promise<void>((resolve) => {
        stream.once('error', () => resolve());
        stream.once('close', resolve);
        stream.write('', () => resolve());
      });
    }),
  );
}

//
// Starting a program with only the specified fds kept open
//

/**
 * Starts a program with only stdin, stdout, stderr and these fds; it finds them as 3, 4, 5 ... in their order.
 * Python's `util.spawnv_passfds`.
 * @param directory where it starts, if not in this process's working directory
 * @returns the pid
 * @throws OSError when the program cannot be started
 */
export function spawnvPassfds(
  path: string,
  args: readonly string[],
  passfds: readonly number[],
  directory?: string,
): number {
  return posixSpawn(path, args, { passFds: passfds, directory });
}

/** Closes each fd; Python's `util.close_fds`. @internal */
export function closeFds(...fds: number[]): void {
  for (const fd of fds) close(fd);
}

flushBeforeExit(flushNow);
registerExitFunction();
watchForFatalErrors();

calledByChildren(
  _runAfterForkers,
  _exitFunction,
  exitOrLater,
  endDaemons,
  resetExit,
  _closeStdin,
  blockOutput,
  block,
  unblockOutput,
  unflushed,
  forgetOutput,
  outputStreams,
  writeOwnOutput,
  needsFlush,
  flushNow,
  outputStreams,
);
writtenByChildren(state, blocking);
