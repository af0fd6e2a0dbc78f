/**
 * The handshake of a new connection, which is closed unless it succeeds, and which can have a time limit.
 * CPython has none on POSIX. Deviations: D-084.
 */
import { POLLIN, POLLOUT, poll, Stream } from '@multiprocessing/posix';
import { drive, driveSync, type Handshake, type MessageChannelSync } from './authentication.ts';
import type { Connection } from './connection.ts';
import { TimeoutError } from './errors.ts';
import { FrameReader, FrameWriter } from './frames.ts';

/** setTimeout's limit. */
const LONGEST_TIMER = 0x7fffffff;

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
    driveSync(handshake, new TimedChannel(connection.fileno(), timeout));
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Messages that have to come and go within a time. */
class TimedChannel implements MessageChannelSync {
  readonly #stream: Stream;
  readonly #reader = new FrameReader();
  readonly #writer = new FrameWriter();
  readonly #timeout: number;
  readonly #deadline: number;

  constructor(fd: number, timeout: number) {
    this.#stream = new Stream(fd);
    this.#timeout = timeout;
    this.#deadline = performance.now() + Math.max(timeout, 0) * 1000;
  }

  sendBytesSync(bytes: Uint8Array): void {
    let sent = this.#writer.begin(this.#stream, bytes, false);
    while (!sent) {
      this.#wait(POLLOUT);
      sent = this.#writer.advance(this.#stream, false);
    }
  }

  recvBytesSync(maxlength: number): Uint8Array {
    while (!this.#reader.advance(this.#stream, { maxlength }, false)) this.#wait(POLLIN);
    return this.#reader.message;
  }

  #wait(events: number): void {
    const left = (this.#deadline - performance.now()) / 1000;
    const seconds = left === Infinity ? undefined : left;
    if (poll([this.#stream.fd], seconds, events).length === 0) throw tooLate(this.#timeout);
  }
}

function tooLate(timeout: number): TimeoutError {
  return new TimeoutError(
    `the other side has not proved within ${timeout} s that it holds the key (authTimeout)`,
  );
}
