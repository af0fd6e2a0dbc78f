/**
 * Counterpart of multiprocessing/resource_sharer.py: fds that other processes fetch from this one.
 *
 * Who pickles an fd keeps a copy of it in a table and sends its number there, and an address. Who unpickles it connects,
 * proves that it is of the same family (authkey), and gets the copy, once. Deviations: D-076, D-077, D-078.
 */
import {
  acceptStream,
  atFork,
  clearTimeout,
  close,
  closeRaw,
  connectStreamSync,
  dup,
  inWorker,
  listenStream,
  orClose,
  POLLIN,
  peerPid,
  replaceByNeverReady,
  StreamWatch,
  sendmsg,
  setBackground,
  setTimeout,
  unixAddress,
  urandom,
  watchReadable,
} from '@multiprocessing/posix';
import {
  AuthenticationError,
  RuntimeError,
  TimeoutError,
  UnpicklingError,
} from '../base/errors.ts';
import { nameExports } from '../base/names.ts';
import { currentProcess } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import { recvfdsSync, sendfdsSync } from '../fds/send_fds.ts';
import { setFdSharer } from '../pickle/session.ts';
import { debug, info } from '../util/logging.ts';
import { clientHandshake, type Handshake, listenerHandshake } from './authentication.ts';
import { Exchange, exchangeSync } from './handshake.ts';

/** How long somebody who fetches may take to say what, in seconds. */
const REQUEST_LIMIT = 20;
/** How long this process waits for an owner that does not answer, in seconds: it may be computing. */
const ANSWER_LIMIT = 60;
/** Who connects must not have to wait for a place, whatever the owner does. Linux has no more unless asked to. */
const BACKLOG = 4096;

/** Somebody who fetches. */
interface Visit {
  readonly fd: number;
  readonly exchange: Exchange;
  readonly watch: StreamWatch;
  readonly timer: NodeJS.Timeout;
}

interface Listening {
  readonly address: string;
  readonly fd: number;
  close(): void;
}

const sharer = processWide('resourceSharer', () => ({
  key: 0,
  fds: new Map<number, number>(),
  visits: new Set<Visit>(),
  listening: undefined as Listening | undefined,
}));

// What the parent shares is the parent's: a copy of its socket would keep others waiting after its end.
atFork(() => {
  for (const fd of sharer.fds.values()) closeRaw(fd);
  for (const { fd } of sharer.visits) closeRaw(fd);
  if (sharer.listening !== undefined) replaceByNeverReady(sharer.listening.fd);
  sharer.fds = new Map();
  sharer.visits = new Set();
  sharer.listening = undefined;
  setBackground(undefined);
});

/** Stands for an fd of this process in a message, for any process of the family; Python's `resource_sharer.DupFd`. */
export class SharedFd {
  private readonly address: string;
  private readonly key: number;

  /**
   * Keeps a copy of the fd until it is fetched, `stop` is called, or this process ends.
   * @throws OSError EBADF; RuntimeError on other systems than Linux
   */
  constructor(fd: number) {
    if (process.platform !== 'linux') {
      throw new RuntimeError('an fd can only be passed to a process that is being started');
    }
    const { address } = listening();
    const copy = dup(fd);
    this.address = address;
    this.key = ++sharer.key;
    sharer.fds.set(this.key, copy);
    serveWhileBlocked();
  }

  /**
   * Fetches the fd, which the caller closes. It can be done once, by one process. Until the owner answers this blocks,
   * unless the owner is this process.
   * @throws UnpicklingError when the owner is gone, has stopped sharing, or somebody has fetched the fd
   * @throws TimeoutError when the owner does not answer for a minute, AuthenticationError when it is of another family
   */
  detach(): number {
    if (this.address !== sharer.listening?.address) return fetchFd(this.address, this.key);
    const fd = take(this.key);
    if (fd === undefined) throw fetchedAlready();
    return fd;
  }
}

nameExports(import.meta.url, { SharedFd });

/**
 * Stops sharing and closes what nobody has fetched; Python's `resource_sharer.stop`. The next fd that is sent begins anew.
 * @param timeout seconds; unused, there is no thread to wait for
 */
export function stop(timeout?: number): void;
export function stop(): void {
  sharer.listening?.close();
  sharer.listening = undefined;
  for (const fd of sharer.fds.values()) close(fd);
  sharer.fds.clear();
  for (const visit of sharer.visits) end(visit);
}

/** Closes what has been shared since the one with this number: the message that it was for has failed. */
function unshareSince(key: number): void {
  for (let later = key + 1; later <= sharer.key; later++) {
    const fd = take(later);
    if (fd !== undefined) close(fd);
  }
}

setFdSharer({
  share: (fd) => new SharedFd(fd),
  mark: () => sharer.key,
  undoSince: unshareSince,
});

//
// The owner
//

function listening(): Listening {
  sharer.listening ??= listen();
  return sharer.listening;
}

/** Listens without keeping the event loop going. */
function listen(): Listening {
  debug('starting listener for sending fds');
  const address = `\0multiprocessing-sharer-${urandom(16).toString('hex')}`;
  const fd = listenStream(unixAddress(address), BACKLOG);
  if (inWorker) return { address, fd, close: listenInWorker(fd) };
  const watch = orClose(fd, () => watchReadable(fd, () => serve));
  watch.unref();
  const stop = () => {
    watch.close();
    close(fd);
  };
  return { address, fd, close: stop };
}

/** By node:net: koffi's watch of an fd ends the process when it calls back into a worker that is being terminated. */
function listenInWorker(fd: number): () => void {
  const { createServer } = process.getBuiltinModule('node:net');
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    try {
      visit(dup((socket as unknown as { _handle: { fd: number } })._handle.fd));
    } catch (error) {
      info('resource sharer: %s', error);
    } finally {
      socket.destroy();
    }
  });
  server.on('error', (error) => info('resource sharer: %s', error));
  server.listen({ fd }, BACKLOG).unref();
  return () => server.close();
}

function visit(fd: number): void {
  const guest: Visit = orClose(fd, () => ({
    fd,
    exchange: new Exchange(fd, answer(fd)),
    watch: StreamWatch(fd),
    timer: setTimeout(() => end(guest), REQUEST_LIMIT * 1000).unref(),
  }));
  sharer.visits.add(guest);
  serveWhileBlocked();
  goOn(guest);
}

function goOn(guest: Visit): void {
  if (!sharer.visits.has(guest)) return;
  try {
    if (guest.exchange.advance() === POLLIN) {
      guest.watch.whenReadable(() => goOn(guest));
      return;
    }
  } catch (error) {
    info('resource sharer: %s', error);
  }
  end(guest);
}

function end(guest: Visit): void {
  clearTimeout(guest.timer);
  guest.watch.close();
  close(guest.fd);
  sharer.visits.delete(guest);
  serveWhileBlocked();
}

/** Each thread that has loaded the library by itself has a key of its own, and none has secrets before the others. */
function isOfThisProcess(fd: number): boolean {
  return peerPid(fd) === process.pid;
}

function* answer(fd: number): Handshake {
  if (!isOfThisProcess(fd)) yield* listenerHandshake(currentProcess().authkey);
  const request = yield undefined;
  const shared = take(Number(Buffer.from(request).toString('latin1')));
  if (shared === undefined) {
    sendmsg(fd, Buffer.of(0), [], false);
    return;
  }
  try {
    sendfdsSync(fd, [shared]);
  } finally {
    close(shared);
  }
}

function take(key: number): number | undefined {
  const fd = sharer.fds.get(key);
  sharer.fds.delete(key);
  serveWhileBlocked();
  return fd;
}

/** While there is something to fetch, it can be, also when this thread is blocked. */
function serveWhileBlocked(): void {
  const needed = sharer.fds.size + sharer.visits.size > 0;
  setBackground(needed ? { fds: watched, serve } : undefined);
}

function watched(): number[] {
  const visits = [...sharer.visits].map(({ fd }) => fd);
  return sharer.listening === undefined ? visits : [sharer.listening.fd, ...visits];
}

function serve(): void {
  for (const guest of [...sharer.visits]) goOn(guest);
  try {
    for (;;) {
      const accepted = sharer.listening && acceptStream(sharer.listening.fd);
      if (accepted === undefined) return;
      visit(accepted.fd);
    }
  } catch (error) {
    info('resource sharer: %s', error);
  }
}

//
// Who fetches
//

function* ask(fd: number, key: number): Handshake {
  if (!isOfThisProcess(fd)) yield* clientHandshake(currentProcess().authkey);
  yield Buffer.from(String(key), 'latin1');
}

function fetchFd(address: string, key: number): number {
  let socket: number | undefined;
  try {
    socket = connectStreamSync(unixAddress(address), ANSWER_LIMIT);
    exchangeSync(socket, ask(socket, key), ANSWER_LIMIT);
    return recvfdsSync(socket, 1)[0] as number;
  } catch (error) {
    throw explain(error);
  } finally {
    if (socket !== undefined) close(socket);
  }
}

function explain(error: unknown): unknown {
  if (error instanceof AuthenticationError) return error;
  if (error instanceof RuntimeError) return fetchedAlready();
  if (error instanceof TimeoutError || (error as { code?: unknown }).code === 'EAGAIN') {
    return new TimeoutError(
      `the process that has sent this fd has not answered for ${ANSWER_LIMIT} s: its event loop has to turn until then`,
    );
  }
  return new UnpicklingError(
    'the process that has sent this fd has ended, or has stopped sharing, before the fd was fetched:' +
      ' have it wait for an answer',
    { cause: error },
  );
}

function fetchedAlready(): UnpicklingError {
  return new UnpicklingError(
    'this fd is not there any more: it can be fetched once, before its owner stops sharing',
  );
}
