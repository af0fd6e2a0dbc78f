/**
 * Who fetches an fd of another process: connects to the address in the message, proves to be of the family, and says which one.
 * Where it can be waited for the event loop goes on meanwhile. Deviations: D-076, D-117, D-118.
 */
import {
  clearTimeout,
  close,
  connectStream,
  connectStreamSync,
  onReady,
  POLLIN,
  peerCredentials,
  setTimeout,
  unixAddress,
} from '@multiprocessing/posix';
import {
  AssertionError,
  AuthenticationError,
  RuntimeError,
  TimeoutError,
  UnpicklingError,
} from '../base/errors.ts';
import { currentProcess } from '../base/process_table.ts';
import { recvfdsSync } from '../fds/send_fds.ts';
import { clientHandshake, type Handshake } from './authentication.ts';
import { canBeOfFamily } from './family.ts';
import { Exchange, exchangeSync } from './handshake.ts';

/** How long this process waits for an owner that does not answer, in seconds: it may be computing. */
const ANSWER_LIMIT = 60;

/** Where an fd is kept. @internal */
export interface Place {
  /** The address that its owner listens at. */
  readonly address: string;
  /** Which one of the owner's it is. */
  readonly key: number;
}

const PREFIX = '\0multiprocessing-sharer-';
const NAME = /^([0-9a-f]{32})\/([1-9]\d{0,14})$/;

/** An address that nobody guesses. @internal */
export function makeAddress(random: Buffer): string {
  return PREFIX + random.toString('hex');
}

/** How an fd is called in messages. @internal */
export function nameOf({ address, key }: Place): string {
  return `${address.slice(PREFIX.length)}/${key}`;
}

/** @throws UnpicklingError for what is no such name @internal */
export function placeOf(name: string): Place {
  const [, random, key] = NAME.exec(name) ?? [];
  if (random === undefined) {
    throw new UnpicklingError('the message is damaged: where it says that an fd is, none can be');
  }
  return { address: PREFIX + random, key: Number(key) };
}

function* ask(socket: number, key: number): Handshake {
  const owner = peerCredentials(socket);
  if (!canBeOfFamily(owner)) {
    throw new UnpicklingError(
      `this fd is offered by a process of the user ${owner.uid}, which is not of this program: it is not fetched`,
    );
  }
  // Each thread that has loaded the library by itself has a key of its own, and none has secrets before the others.
  if (owner.pid !== process.pid) yield* clientHandshake(currentProcess().authkey);
  yield Buffer.from(String(key), 'latin1');
}

/**
 * Fetches an fd, which the caller closes, and blocks until its owner has answered.
 * @throws UnpicklingError, TimeoutError, AuthenticationError
 * @internal
 */
export function fetchFdSync({ address, key }: Place): number {
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

/** As `fetchFdSync`, and leaves the event loop free. @internal */
export async function fetchFd({ address, key }: Place): Promise<number> {
  let socket: number | undefined;
  try {
    socket = await connectStream(unixAddress(address));
    const exchange = new Exchange(socket, ask(socket, key));
    for (let events = exchange.advance(); events !== 0; events = exchange.advance()) {
      await ready(socket, events === POLLIN ? 'readable' : 'writable');
    }
    await ready(socket, 'readable');
    return recvfdsSync(socket, 1)[0] as number;
  } catch (error) {
    throw explain(error);
  } finally {
    if (socket !== undefined) close(socket);
  }
}

function ready(fd: number, events: 'readable' | 'writable'): Promise<void> {
  return new Promise((resolve, reject) => {
    const expire = () => {
      stop();
      reject(new TimeoutError());
    };
    const timer = setTimeout(expire, ANSWER_LIMIT * 1000);
    const stop = onReady(
      fd,
      () => {
        clearTimeout(timer);
        resolve();
      },
      events,
    );
  });
}

function explain(error: unknown): unknown {
  if (error instanceof AuthenticationError || error instanceof UnpicklingError) return error;
  if (error instanceof RuntimeError) return fetchedAlready();
  if (error instanceof AssertionError) {
    return new UnpicklingError('the process that has this fd has sent something else', {
      cause: error,
    });
  }
  const { code } = error as { code?: unknown };
  if (error instanceof TimeoutError || code === 'EAGAIN') {
    return new TimeoutError(
      `the process that has sent this fd has not answered for ${ANSWER_LIMIT} s: its event loop has to turn until then`,
    );
  }
  if (isOwnLimit(code)) return error;
  return new UnpicklingError(
    'the process that has sent this fd has ended, or has stopped sharing, before the fd was fetched:' +
      ' have it wait for an answer',
    { cause: error },
  );
}

/** What the kernel says of this process, and not of the other one. */
function isOwnLimit(code: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'].includes(code as string);
}

/** @internal */
export function fetchedAlready(): UnpicklingError {
  return new UnpicklingError(
    'this fd is not there any more: it can be fetched once, before its owner stops sharing',
  );
}
