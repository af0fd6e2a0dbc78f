/**
 * The handshake of a new connection, which is closed unless it succeeds, and which can have a time limit.
 * CPython has none on POSIX. Deviations: D-085.
 */
import {
  clearTimeout,
  now,
  POLLIN,
  POLLOUT,
  poll,
  Stream,
  setTimeout,
} from '@multiprocessing/posix';
import { TimeoutError } from '../base/errors.ts';
import { drive, type Handshake, MAX_HANDSHAKE_MESSAGE } from './authentication.ts';
import type { Connection } from './connection.ts';
import { FrameReader, FrameWriter } from './frames.ts';

/** setTimeout's limit, in milliseconds. @internal */
export const LONGEST_TIMER = 0x7fffffff;

/**
 * Does a handshake.
 * @param timeout seconds; undefined and Infinity wait for ever
 * @throws TimeoutError, AuthenticationError, EOFError, OSError
 * @internal
 */
export async function authenticate(
  connection: Connection,
  handshake: Handshake,
  timeout = Infinity,
): Promise<void> {
  let late = false;
  const expire = () => {
    late = true;
    connection.close();
  };
  const milliseconds = Math.max(timeout, 0) * 1000;
  const timer = milliseconds <= LONGEST_TIMER ? setTimeout(expire, milliseconds) : undefined;
  try {
    await drive(handshake, connection);
  } catch (error) {
    connection.close();
    throw late ? tooLate(timeout) : error;
  } finally {
    clearTimeout(timer);
  }
  if (late) throw tooLate(timeout);
}

/** The blocking twin of `authenticate`. @internal */
export function authenticateSync(
  connection: Connection,
  handshake: Handshake,
  timeout = Infinity,
): void {
  try {
    exchangeSync(connection.fileno(), handshake, timeout);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** A handshake in steps that do not wait. @internal */
export class Exchange {
  readonly #stream: Stream;
  readonly #reader = new FrameReader();
  readonly #writer = new FrameWriter();
  readonly #handshake: Handshake;
  #step: IteratorResult<Uint8Array | undefined, void>;
  #sending = false;

  constructor(fd: number, handshake: Handshake) {
    this.#stream = new Stream(fd);
    this.#handshake = handshake;
    this.#step = handshake.next();
  }

  /**
   * Goes on as far as possible.
   * @returns what the fd has to be before it can go on, POLLIN or POLLOUT; 0 when it is done
   * @throws what the handshake throws, EOFError, OSError
   */
  advance(): number {
    while (!this.#step.done) {
      const message = this.#step.value;
      if (message === undefined) {
        const wish = { maxlength: MAX_HANDSHAKE_MESSAGE };
        if (!this.#reader.advance(this.#stream, wish, false)) return POLLIN;
        this.#step = this.#handshake.next(this.#reader.message);
      } else {
        const sent = this.#sending
          ? this.#writer.advance(this.#stream, false)
          : this.#writer.begin(this.#stream, message, false);
        this.#sending = !sent;
        if (!sent) return POLLOUT;
        this.#step = this.#handshake.next();
      }
    }
    return 0;
  }
}

/**
 * Does a handshake on an fd, which stays open.
 * @param timeout seconds
 * @throws TimeoutError, and what the handshake throws
 * @internal
 */
export function exchangeSync(fd: number, handshake: Handshake, timeout: number): void {
  const exchange = new Exchange(fd, handshake);
  const deadline = now() + Math.max(timeout, 0) * 1000;
  for (let events = exchange.advance(); events !== 0; events = exchange.advance()) {
    const left = (deadline - now()) / 1000;
    const ready = poll([fd], left === Infinity ? undefined : left, events);
    if (ready.length === 0) throw tooLate(timeout);
  }
}

/** @internal */
export function tooLate(timeout: number): TimeoutError {
  return new TimeoutError(
    `the other side has not proved within ${timeout} s that it holds the key (authTimeout)`,
  );
}
