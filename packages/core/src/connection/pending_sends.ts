/**
 * The messages that a Connection has been given, in the order of the calls, and has not written yet.
 */
import type { Stream, StreamWatch } from '@multiprocessing/posix';
import { LoopTurns, nextTurn } from '../wait/loop_turns.ts';
import { FrameWriter, IN_ONE_WRITE } from './frames.ts';

interface Send {
  readonly bytes: Uint8Array;
  /** Keeps the connection from being collected. */
  readonly owner: object;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A short message that has to wait is copied, as one that goes at once is. */
function keep(bytes: Uint8Array): Uint8Array {
  return bytes.length > IN_ONE_WRITE ? bytes : Uint8Array.from(bytes);
}

/** @internal */
export class PendingSends {
  readonly #stream: Stream;
  readonly #watch: () => StreamWatch;
  readonly #writer = new FrameWriter();
  #queue: Send[] = [];
  /** Whether the first of the queue has been begun. */
  #begun = false;
  readonly #turns = new LoopTurns();

  constructor(stream: Stream, watch: () => StreamWatch) {
    this.#stream = stream;
    this.#watch = watch;
  }

  /**
   * Sends a message, after those that were given before.
   * @param bytes more than 16 KiB are not copied: they must stay as they are until then
   * @returns a promise, unless it goes at once and the event loop is not due
   * @throws OSError, BrokenPipeError
   */
  send(owner: object, bytes: Uint8Array): Promise<void> | undefined {
    if (this.#queue.length === 0) {
      if (this.#writer.begin(this.#stream, bytes, false)) {
        return this.#turns.due() ? nextTurn() : undefined;
      }
      this.#begun = true;
    }
    return new Promise<void>((resolve, reject) => {
      const kept = this.#begun && this.#queue.length === 0 ? bytes : keep(bytes);
      this.#queue.push({ bytes: kept, owner, resolve, reject });
      if (this.#queue.length === 1) this.#listen();
    });
  }

  /** The blocking twin of `send`. */
  sendSync(bytes: Uint8Array): void {
    if (this.#queue.length > 0) this.#finishAll();
    this.#writer.begin(this.#stream, bytes, true);
  }

  #listen(): void {
    try {
      this.#watch().whenWritable(this.#writer.next, this.#onWritable);
    } catch (error) {
      this.fail(error);
    }
  }

  #onWritable = (gone: number, error?: Error): void => {
    if (this.#queue.length === 0) return;
    this.#writer.skip(gone);
    if (error !== undefined) this.#end(error);
    while (this.#queue.length > 0) {
      if (!this.#advance(false)) {
        this.#listen();
        return;
      }
    }
  };

  #finishAll(): void {
    this.#writer.skip(this.#watch().cancelWritable());
    while (this.#queue.length > 0) this.#advance(true);
  }

  /** Goes on with the first one. @returns false when it would have to wait */
  #advance(wait: boolean): boolean {
    const { bytes } = this.#queue[0] as Send;
    try {
      const gone = this.#begun
        ? this.#writer.advance(this.#stream, wait)
        : this.#writer.begin(this.#stream, bytes, wait);
      this.#begun = true;
      if (!gone) return false;
      this.#end();
    } catch (error) {
      this.#end(error);
    }
    return true;
  }

  #end(error?: unknown): void {
    const send = this.#queue.shift();
    this.#begun = false;
    if (error === undefined) send?.resolve();
    else send?.reject(error);
  }

  /** Ends all with an error. */
  fail(error: unknown): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#begun = false;
    for (const { reject } of queue) reject(error);
  }
}
