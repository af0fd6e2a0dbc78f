/**
 * What a Connection has been asked to receive, in the order of the calls, and has not received yet.
 */
import {
  clearTimeout,
  now,
  poll,
  type Stream,
  type StreamWatch,
  setTimeout,
} from '@multiprocessing/posix';
import { SpinHope } from '../base/spin.ts';
import { LoopTurns } from '../wait/loop_turns.ts';
import { FrameReader, type Wish } from './frames.ts';

interface Receive extends Wish {
  /** Whether it only looks whether there is something. */
  readonly looks: boolean;
  /** Keeps the connection from being collected. */
  readonly owner: object;
  readonly resolve: (result: Uint8Array | boolean) => void;
  readonly reject: (error: unknown) => void;
  timer?: NodeJS.Timeout | undefined;
}

/** The longest timeout of a Node timer, in milliseconds. */
const LONGEST = 0x7fffffff;
/** So many messages are served in one turn of the event loop. */
const IN_A_ROW = 64;
/** As each look asks the kernel, there are fewer: for the time that a peer takes to answer which has to wake up first. */
const RARELY = 5;

/** @internal */
export class PendingReceives {
  readonly #stream: Stream;
  readonly #watch: () => StreamWatch;
  readonly #reader = new FrameReader();
  #queue: Receive[] = [];
  readonly #turns = new LoopTurns();
  readonly #hope = new SpinHope();

  constructor(stream: Stream, watch: () => StreamWatch) {
    this.#stream = stream;
    this.#watch = watch;
  }

  /**
   * Receives a message, after those that were asked for before.
   * @returns a promise of it, unless it is there or comes within microseconds
   * @throws EOFError, OSError, BadMessageLength
   */
  receive(owner: object, wish: Wish): Uint8Array | Promise<Uint8Array> {
    if (this.#queue.length === 0 && !this.#turns.due()) {
      const come = () => this.#reader.advance(this.#stream, wish, false);
      // An answer that comes within microseconds is not worth a turn of the event loop.
      if (come() || this.#hope.spin(come, RARELY)) return this.#reader.message;
    }
    this.#turns.taken();
    return this.#later({ ...wish, looks: false, owner }) as Promise<Uint8Array>;
  }

  /** The blocking twin of `receive`. */
  receiveSync(wish: Wish): Uint8Array {
    if (this.#queue.length > 0) this.#serveAll();
    this.#reader.advance(this.#stream, wish, true);
    return this.#reader.message;
  }

  /** Whether there is something to receive that nobody has asked for. @param timeout seconds; 0 only looks */
  async look(owner: object, timeout: number | undefined): Promise<boolean> {
    if (this.lookSync(0)) return true;
    if (timeout !== undefined && timeout <= 0) return false;
    return (await this.#later({ looks: true, owner }, timeout)) as boolean;
  }

  /** The blocking twin of `look`. */
  lookSync(timeout: number | undefined): boolean {
    const deadline = now() + (timeout ?? Infinity) * 1000;
    for (;;) {
      if (this.#queue.length > 0) this.#serve();
      const left = Math.max(deadline - now(), 0) / 1000;
      const ready = poll([this.#stream.fd], left === Infinity ? undefined : left).length > 0;
      if (!ready || this.#queue.length === 0) return ready;
    }
  }

  #later(receive: Omit<Receive, 'resolve' | 'reject'>, timeout?: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const pending: Receive = { ...receive, resolve, reject };
      this.#queue.push(pending);
      if (timeout !== undefined && timeout * 1000 <= LONGEST) {
        pending.timer = setTimeout(() => this.#giveUp(pending), timeout * 1000);
      }
      if (this.#queue.length === 1) this.#listen();
    });
  }

  #giveUp(pending: Receive): void {
    const place = this.#queue.indexOf(pending);
    if (place < 0) return;
    this.#queue.splice(place, 1);
    if (this.#queue.length === 0) this.#watch().cancelReadable();
    pending.resolve(false);
  }

  #listen(): void {
    try {
      this.#watch().whenReadable(this.#onReadable);
    } catch (error) {
      this.fail(error);
    }
  }

  #onReadable = (): void => {
    this.#serve();
    if (this.#queue.length > 0) this.#listen();
  };

  /** Serves those for whom something is there. */
  #serve(): void {
    for (let i = 0; i < IN_A_ROW && this.#queue.length > 0; i++) {
      if (!this.#serveFirst(false)) break;
    }
    if (this.#queue.length === 0) this.#watch().cancelReadable();
  }

  /** Serves all, however long it takes. */
  #serveAll(): void {
    while (this.#queue.length > 0) this.#serveFirst(true);
    this.#watch().cancelReadable();
  }

  #serveFirst(wait: boolean): boolean {
    const first = this.#queue[0] as Receive;
    try {
      if (first.looks) {
        if (poll([this.#stream.fd], wait ? undefined : 0).length === 0) return false;
        first.resolve(true);
      } else {
        if (!this.#reader.advance(this.#stream, first, wait)) return false;
        first.resolve(this.#reader.message);
      }
    } catch (error) {
      first.reject(error);
    }
    clearTimeout(first.timer);
    this.#queue.shift();
    return true;
  }

  /** Ends all with an error. */
  fail(error: unknown): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const { timer, reject } of queue) {
      clearTimeout(timer);
      reject(error);
    }
  }
}
