/**
 * A client's connection at the server: its requests, and the answers. Nothing waits for anything: a method that takes its time is
 * answered when it is done, behind others of the same client that came later.
 */
import { close, closeRaw } from '@multiprocessing/posix';
import { info } from '../util/logging.ts';
import { behindThis } from '../wait/loop_turns.ts';
import type { Caller } from './caller.ts';
import { Channel } from './channel.ts';
import { isGone } from './errors.ts';
import { SpinOdds } from './spin_odds.ts';

/** What a client asks: of an object by its name, or of the server itself (null). @internal */
export interface Request {
  /** By which the answer is known; undefined where answers come in the order of the requests, 0 for none. */
  readonly serial: number | undefined;
  readonly ident: string | null;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly kwds: object | undefined;
}

/** What becomes of it. @internal */
export interface Answer {
  readonly kind: '#RETURN' | '#ERROR' | '#PROXY' | '#TRACEBACK';
  readonly result: unknown;
}

/** How requests and answers look in bytes. @internal */
export interface ServerWire {
  /** Whether a request waits for the answer of the one before. */
  readonly inOrder: boolean;
  decode(message: Buffer): Request | Promise<Request>;
  /** The serial of a request that cannot be read. */
  serialOf(message: Buffer): number | undefined;
  /** What cannot be sent is replaced by what says so. */
  encode(
    link: ServerLink,
    request: Pick<Request, 'serial' | 'method'>,
    answer: Answer,
  ): {
    readonly body: Uint8Array /** Behind the number, if answers have one. */;
    readonly kind: number;
  };
}

/** What a link asks of its server. @internal */
export interface Handler {
  handle(link: ServerLink, request: Request): Answer | Promise<Answer>;
  failed(error: unknown): Answer;
  /** Whether nobody else asks meanwhile: then its next request is worth a moment. */
  isAlone(link: ServerLink): boolean;
  /** It has ended. */
  left(link: ServerLink): void;
}

/** A client that does not take its answers is not heard beyond so many bytes of them. */
const MOST_UNSENT = 1 << 24;
/** Reads in one turn of the event loop. */
const READS = 32;

/** @internal */
export class ServerLink implements Caller {
  name = 'client';
  isGone = false;
  readonly atEnd = new Set<() => void>();
  /** Whether it is closed behind the answer that is under way. */
  closes = false;
  readonly #fd: number;
  readonly #channel: Channel;
  readonly #wire: ServerWire;
  readonly #handler: Handler;
  /** Whether a request is read or answered that others have to wait for. */
  #isBusy = false;
  #isFlushing = false;
  #isWriting = false;
  #isListening = false;
  readonly #hope = new SpinOdds();
  readonly #fill = () => this.#channel.fill();

  /** @param longest request, in bytes */
  constructor(fd: number, longest: number, wire: ServerWire, handler: Handler) {
    this.#fd = fd;
    this.#channel = new Channel(fd, longest);
    this.#wire = wire;
    this.#handler = handler;
  }

  /** Begins to read. */
  listen(): void {
    this.#read();
  }

  #onReadable = (): void => {
    this.#isListening = false;
    try {
      this.#channel.fill();
    } catch (error) {
      this.end(error);
      return;
    }
    this.#read();
  };

  #read(): void {
    try {
      for (let i = 0; i < READS; i++) {
        if (!this.#handleAll()) return;
        this.#flush();
        if (this.isGone) return;
        if (this.#handler.isAlone(this) && this.#hope.spin(this.#fill)) continue;
        // The event loop says so if there is something: looking costs as much.
        this.#listen();
        return;
      }
      if (!this.#handleAll()) return;
      this.#flush();
      this.#listen();
    } catch (error) {
      this.end(error);
    }
  }

  #listen(): void {
    if (this.#isBusy || this.#channel.unsent > MOST_UNSENT) return;
    this.#watch();
  }

  #watch(): void {
    if (this.isGone || this.#isListening) return;
    this.#isListening = true;
    this.#channel.whenReadable(this.#onReadable);
  }

  /** Handles the requests that have come. @returns whether others may be read now */
  #handleAll(): boolean {
    while (!this.#isBusy && !this.isGone) {
      if (this.#channel.unsent > MOST_UNSENT) {
        this.#flush();
        return false;
      }
      const message = this.#channel.next();
      if (message === undefined) return true;
      this.#take(message);
    }
    return false;
  }

  #take(message: Buffer): void {
    try {
      const request = this.#wire.decode(message);
      if (request instanceof Promise) this.#takeLater(this.#wire.serialOf(message), request);
      else this.#handle(request);
    } catch (error) {
      this.#answer(
        { serial: this.#wire.serialOf(message), method: '' },
        this.#handler.failed(error),
      );
    }
  }

  /** Modules have to be imported first. What came behind it waits, too. */
  #takeLater(serial: number | undefined, later: Promise<Request>): void {
    this.#isBusy = true;
    const go = (then: () => void) => {
      this.#isBusy = false;
      if (this.isGone) return;
      then();
      this.#read();
    };
    later.then(
      (request) => go(() => this.#handle(request)),
      (error) => go(() => this.#answer({ serial, method: '' }, this.#handler.failed(error))),
    );
  }

  #handle(request: Request): void {
    const answer = this.#handler.handle(this, request);
    if (!(answer instanceof Promise)) {
      this.#answer(request, answer);
      return;
    }
    const { inOrder } = this.#wire;
    if (inOrder) {
      this.#isBusy = true;
      // Once, for its end: who waits and is killed must not get what others wait for.
      this.#watch();
    }
    void answer.then((done) => {
      this.#answer(request, done);
      this.#flushSoon();
      if (!inOrder) return;
      this.#isBusy = false;
      behindThis(() => this.#read());
    });
  }

  #answer(request: Pick<Request, 'serial' | 'method'>, answer: Answer): void {
    if (this.isGone || request.serial === 0) return;
    const { body, kind } = this.#wire.encode(this, request, answer);
    this.#channel.add(body, request.serial ?? -1, kind);
    if (this.closes) {
      this.#flush();
      if (this.#channel.unsent === 0) this.end();
    }
  }

  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    behindThis(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.isGone || this.#isWriting) return;
    try {
      if (this.#channel.flush()) return;
      this.#isWriting = true;
      this.#channel.whenWritable((error) => {
        this.#isWriting = false;
        if (error !== undefined) this.end(error);
        this.#flush();
        if (this.isGone || this.#isWriting) return;
        if (this.closes) this.end();
        else this.#read();
      });
    } catch (error) {
      this.end(error);
    }
  }

  /** Writes what there is, and closes. @internal */
  finish(): void {
    this.closes = true;
    this.#flush();
    if (this.#channel.unsent === 0) this.end();
  }

  /** In a forked child: it is the parent's. */
  leaveToParent(): void {
    this.isGone = true;
    closeRaw(this.#fd);
  }

  /** Closes it: what the client holds goes back. A second call does nothing. */
  end(error?: unknown): void {
    if (this.isGone) return;
    this.isGone = true;
    if (error !== undefined && !isGone(error)) info('manager: a connection was closed: %s', error);
    this.#channel.close();
    close(this.#fd);
    for (const atEnd of [...this.atEnd]) atEnd();
    this.atEnd.clear();
    this.#handler.left(this);
  }
}
