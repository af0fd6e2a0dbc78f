/**
 * Counterpart of multiprocessing/resource_sharer.py: fds that other processes fetch from this one.
 *
 * Who pickles an fd keeps a copy of it in a table and sends its number there, and an address. Who unpickles it connects,
 * proves that it is of the same family (authkey), and gets the copy, once. In a message both are a name, so that they are
 * fetched before it is read, as modules are. Deviations: D-076, D-077, D-078, D-117.
 *
 *     family.ts      of which user a process of the family can be
 *     fd_fetcher.ts  who fetches
 */
import {
  acceptStream,
  atFork,
  clearTimeout,
  close,
  closeRaw,
  dup,
  inWorker,
  listenStream,
  now,
  OSError,
  orClose,
  type Peer,
  POLLIN,
  peerCredentials,
  replaceByNeverReady,
  StreamWatch,
  sendmsg,
  setBackground,
  setTimeout,
  unixAddress,
  urandom,
  watchReadable,
} from '@multiprocessing/posix';
import { RuntimeError } from '../base/errors.ts';
import { nameExports, remember, SHARED_FDS } from '../base/names.ts';
import { currentProcess } from '../base/process_table.ts';
import { processWide } from '../base/state.ts';
import { sendfdsSync } from '../fds/send_fds.ts';
import { setFdSharer } from '../pickle/session.ts';
import { debug, info } from '../util/logging.ts';
import { type Handshake, listenerHandshake } from './authentication.ts';
import { canBeOfFamily } from './family.ts';
import {
  fetchedAlready,
  fetchFd,
  fetchFdSync,
  makeAddress,
  nameOf,
  placeOf,
} from './fd_fetcher.ts';
import { Exchange } from './handshake.ts';

/** How long somebody who fetches may take to say what, in seconds. */
const REQUEST_LIMIT = 20;
/** How many may be at their proof at a time. Others wait for a place; one who has been silent for a second gives up his. */
const MOST_VISITS = 64;
const PATIENCE = 1000;
/** How long nobody is let in when this process has no fd for another one, in milliseconds: the kernel tells nobody when it has. */
const REST = 50;
/** Who connects must not have to wait for a place, whatever the owner does. Linux has no more unless asked to. */
const BACKLOG = 4096;

/** Somebody who fetches. */
interface Visit {
  readonly fd: number;
  readonly exchange: Exchange;
  readonly watch: StreamWatch;
  readonly timer: NodeJS.Timeout;
  readonly since: number;
}

interface Fetched {
  fd: number | undefined;
  /** Whether the message holds it. */
  isFound: boolean;
  /** Who fetched it: in a forked child the number may be another file's. */
  readonly pid: number;
}

interface Listening {
  readonly address: string;
  readonly fd: number;
  /** Whether visitors are let in. */
  open(on: boolean): void;
  close(): void;
}

const sharer = processWide('resourceSharer', () => ({
  key: 0,
  fds: new Map<number, number>(),
  visits: new Set<Visit>(),
  listening: undefined as Listening | undefined,
  /** Until when nobody is let in, as now() tells the time. */
  restsUntil: 0,
  /** Fetched from others for a message that is about to be read, by name. */
  fetched: new Map<string, Fetched>(),
}));

// What the parent shares is the parent's: a copy of its socket would keep others waiting after its end.
atFork(() => {
  for (const fd of sharer.fds.values()) closeRaw(fd);
  for (const { fd } of sharer.visits) closeRaw(fd);
  for (const { fd } of sharer.fetched.values()) if (fd !== undefined) closeRaw(fd);
  if (sharer.listening !== undefined) replaceByNeverReady(sharer.listening.fd);
  sharer.fds = new Map();
  sharer.visits = new Set();
  sharer.fetched = new Map();
  sharer.listening = undefined;
  sharer.restsUntil = 0;
  setBackground(undefined);
});

/** Stands for an fd of this process in a message, for any process of the family; Python's `resource_sharer.DupFd`. */
export class SharedFd {
  /** A function with a name of its own, by which it travels. */
  private readonly get: () => number;

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
    const key = ++sharer.key;
    const name = nameOf({ address, key });
    this.get = () => find(name)();
    remember(this.get, { module: SHARED_FDS, qualname: name });
    sharer.fds.set(key, copy);
    serveWhileBlocked();
  }

  /**
   * Fetches the fd, which the caller closes. It can be done once, by one process. Until the owner answers this blocks,
   * unless the owner is this process, or the message has been received asynchronously: then it is here already.
   * @throws UnpicklingError when the owner is gone, has stopped sharing, or somebody has fetched the fd
   * @throws TimeoutError when the owner does not answer for a minute, AuthenticationError when it is of another family
   */
  detach(): number {
    return this.get();
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
  sharer.restsUntil = 0;
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
  isHere: (name) => placeOf(name).address === sharer.listening?.address,
  fetch: async (name) => {
    const fd = await fetchFd(placeOf(name));
    settle(name, false); // of a message that names the same twice
    sharer.fetched.set(name, { fd, isFound: false, pid: process.pid });
  },
  find,
  settle,
});

/** What gets the fd of a name, wherever it is. @throws UnpicklingError for what is no such name */
function find(name: string): () => number {
  const place = placeOf(name);
  const fetched = sharer.fetched.get(name);
  const get = () => {
    if (fetched?.fd !== undefined) return letGo(fetched);
    if (place.address !== sharer.listening?.address) return fetchFdSync(place);
    const fd = take(place.key);
    if (fd === undefined) throw fetchedAlready();
    return fd;
  };
  if (fetched !== undefined) {
    fetched.isFound = true;
    forgotten.register(get, fetched);
  }
  return get;
}

/** Closes what was fetched for a message that has failed, or that does not hold it. */
function settle(name: string, isRead: boolean): void {
  const fetched = sharer.fetched.get(name);
  sharer.fetched.delete(name);
  if (fetched?.fd !== undefined && !(isRead && fetched.isFound)) close(letGo(fetched));
}

function letGo(fetched: Fetched): number {
  const { fd } = fetched;
  fetched.fd = undefined;
  return fd as number;
}

/** What nobody will take any more. */
const forgotten = new FinalizationRegistry<Fetched>((fetched) => {
  if (fetched.fd !== undefined && fetched.pid === process.pid) close(letGo(fetched));
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
  const address = makeAddress(urandom(16));
  const fd = listenStream(unixAddress(address), BACKLOG);
  if (inWorker) return { address, fd, ...listenInWorker(fd) };
  let watch: ReturnType<typeof watchReadable> | undefined;
  const open = (on: boolean) => {
    if (on === (watch !== undefined)) return;
    watch?.close();
    watch = on ? watchReadable(fd, () => serve) : undefined;
    watch?.unref();
  };
  orClose(fd, () => open(true));
  const stop = () => {
    open(false);
    close(fd);
  };
  return { address, fd, open, close: stop };
}

/** By node:net: koffi's watch of an fd ends the process when it calls back into a worker that is being terminated. */
function listenInWorker(fd: number): Pick<Listening, 'open' | 'close'> {
  const { createServer } = process.getBuiltinModule('node:net');
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    try {
      if (sharer.visits.size >= MOST_VISITS) endSilent();
      if (sharer.visits.size < MOST_VISITS)
        letIn(dup((socket as unknown as { _handle: { fd: number } })._handle.fd));
    } catch (error) {
      info('resource sharer: %s', error);
    } finally {
      socket.destroy();
    }
  });
  server.on('error', (error) => info('resource sharer: %s', error));
  server.listen({ fd }, BACKLOG).unref();
  return { open: () => {}, close: () => server.close() };
}

/** Looks first at who it is. */
function letIn(fd: number): void {
  const peer = orClose(fd, () => peerCredentials(fd));
  if (canBeOfFamily(peer)) {
    visit(fd, peer);
    return;
  }
  info('resource sharer: process %d of user %d is turned away', peer.pid, peer.uid);
  close(fd);
}

function visit(fd: number, peer: Peer): void {
  const guest: Visit = orClose(fd, () => ({
    fd,
    exchange: new Exchange(fd, answer(fd, peer)),
    watch: StreamWatch(fd),
    timer: setTimeout(() => end(guest), REQUEST_LIMIT * 1000).unref(),
    since: now(),
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
  if (sharer.visits.size === MOST_VISITS - 1) openAgain();
}

/** Ends the visit of who has been silent for longest, if it is long. @returns the milliseconds until it is */
function endSilent(): number {
  const [oldest] = sharer.visits;
  const left = oldest === undefined ? 0 : oldest.since + PATIENCE - now();
  if (oldest !== undefined && left <= 0) end(oldest);
  return left;
}

/** Lets nobody in for some milliseconds. */
function restFor(milliseconds: number): void {
  sharer.restsUntil = now() + milliseconds;
  sharer.listening?.open(false);
  setTimeout(openAgain, milliseconds).unref();
}

function openAgain(): void {
  sharer.restsUntil = 0;
  sharer.listening?.open(true);
  serveWhileBlocked();
}

function* answer(fd: number, { pid }: Peer): Handshake {
  // Each thread that has loaded the library by itself has a key of its own, and none has secrets before the others.
  if (pid !== process.pid) yield* listenerHandshake(currentProcess().authkey);
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
  setBackground(needed ? { fds: watched, rest: untilOpen, serve } : undefined);
}

function untilOpen(): number {
  return Math.max(0, sharer.restsUntil - now()) / 1000;
}

function watched(): number[] {
  const visits = [...sharer.visits].map(({ fd }) => fd);
  const isOpen = sharer.listening !== undefined && untilOpen() === 0;
  return isOpen ? [(sharer.listening as Listening).fd, ...visits] : visits;
}

/** A visit takes two numbers, its socket's and its watch's: who cannot have both stays where he is, and waits. */
function acceptWithRoom(fd: number): number | undefined {
  const room = dup(fd);
  try {
    return acceptStream(fd)?.fd;
  } finally {
    close(room);
  }
}

function serve(): void {
  for (const guest of [...sharer.visits]) goOn(guest);
  try {
    for (;;) {
      if (sharer.listening === undefined || untilOpen() > 0) return;
      if (sharer.visits.size >= MOST_VISITS) {
        const left = endSilent();
        if (left > 0) restFor(left);
        continue;
      }
      const accepted = acceptWithRoom(sharer.listening.fd);
      if (accepted === undefined) return;
      letIn(accepted);
    }
  } catch (error) {
    info('resource sharer: %s', error);
    // The one who waits would be announced again at once.
    if (error instanceof OSError) restFor(REST);
  }
}
