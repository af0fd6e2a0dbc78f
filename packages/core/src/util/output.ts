/**
 * The standard streams: what has been printed and has not left this process yet, and stdin of a child.
 */
import { closeSync, openSync } from 'node:fs';
import {
  calledByChildren,
  closeRaw,
  flushBeforeExit,
  isFfiLoaded,
  isFfiLoading,
  makeBlocking,
  openRaw,
  POLLOUT,
  poll,
  setStatusFlags,
  write,
  writtenByChildren,
} from '@multiprocessing/posix';

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

flushBeforeExit(flushNow);

calledByChildren(
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
);
writtenByChildren(blocking);
