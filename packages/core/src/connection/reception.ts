/**
 * The proofs of those who come to a listener with a key, beside each other: one who says nothing keeps nobody out.
 *
 * Who answers at once is not joined by others, so that of several processes with one listener each takes only those that
 * it serves. Once some have been silent for a moment more are let in, and the more the more of them are silent. A proof goes on
 * while somebody waits in `accept`. CPython has one after the other. Deviations: D-086, D-116.
 */
import {
  clearTimeout,
  close,
  closeRaw,
  now,
  onReady,
  orClose,
  POLLIN,
  poll,
  setTimeout,
} from '@multiprocessing/posix';
import { info } from '../util/logging.ts';
import { generation } from '../wait/hub.ts';
import type { Address } from './addresses.ts';
import type { Handshake } from './authentication.ts';
import { Exchange, LONGEST_TIMER, tooLate } from './handshake.ts';
import { closedListener, type SocketListener } from './socket_listener.ts';

/** How many may be at their proof, at most: then the one who has been so for longest has to go. */
const MOST = 64;
/** How long those who have come are waited for alone, in milliseconds. */
const PATIENCE = 100;

interface Visitor {
  readonly fd: number;
  readonly peer: Address;
  readonly exchange: Exchange;
  /** Whether there is something to wait for; one who takes nothing in is given up when its time is over. */
  hears: boolean;
  /** When it was taken in, as now() tells the time; moved on by the time in which nobody accepted. */
  since: number;
  stop?: (() => void) | undefined;
}

interface Waiting {
  resolve(fd: number): void;
  reject(error: unknown): void;
}

type Outcome = { readonly fd: number } | { readonly error: unknown };

/** @internal */
export class Reception {
  readonly #socket: SocketListener;
  readonly #handshake: () => Handshake;
  readonly #timeout: number;
  #visitors = new Set<Visitor>();
  #waiting: Waiting[] = [];
  #stopWatch: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Since when nobody accepts. */
  #restsSince: number | undefined;
  #generation = generation();

  /** @param timeout seconds for a proof, Infinity without limit */
  constructor(socket: SocketListener, handshake: () => Handshake, timeout: number) {
    this.#socket = socket;
    this.#handshake = handshake;
    this.#timeout = timeout;
  }

  /** Those who are at their proof: when one of these fds is readable, `accept` has something to do. */
  get fds(): number[] {
    return [...this.#visitors].map(({ fd }) => fd);
  }

  /** The next one who has proved to hold the key. @returns its fd @throws what the proof of one of them throws */
  accept(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#forgetParents();
      this.#waiting.push({ resolve, reject });
      this.#serve();
    });
  }

  /** The blocking twin of `accept`. */
  acceptSync(): number {
    this.#forgetParents();
    for (;;) {
      const outcome = this.#next(this.#waiting.length + 1);
      if (outcome !== undefined) {
        if (this.#waiting.length === 0) this.#rest();
        if ('error' in outcome) throw outcome.error;
        return outcome.fd;
      }
      const hearing = [...this.#visitors].filter(({ hears }) => hears).map(({ fd }) => fd);
      const isRoom = this.#visitors.size < this.#places(this.#waiting.length + 1);
      const fds = isRoom ? [this.#socket.fd, ...hearing] : hearing;
      const left = this.#untilNextLook();
      poll(fds, left === Infinity ? undefined : left / 1000);
    }
  }

  /** Gives those who wait what there is, and looks again when there may be more. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const outcome = this.#next(this.#waiting.length);
      if (outcome === undefined) {
        this.#watch();
        return;
      }
      const waiting = this.#waiting.shift();
      if ('error' in outcome) waiting?.reject(outcome.error);
      else waiting?.resolve(outcome.fd);
    }
    this.#rest();
  }

  /** Goes on with all proofs as far as possible, until one of them has an end. @param wanted how many are waited for */
  #next(wanted: number): Outcome | undefined {
    this.#goOn();
    for (const visitor of this.#visitors) {
      const outcome = this.#advance(visitor);
      if (outcome !== undefined) return outcome;
    }
    try {
      while (this.#visitors.size < this.#places(wanted)) {
        const visitor = this.#take();
        if (visitor === undefined) break;
        const outcome = this.#advance(visitor);
        if (outcome !== undefined) return outcome;
      }
    } catch (error) {
      return { error };
    }
    return undefined;
  }

  #advance(visitor: Visitor): Outcome | undefined {
    try {
      const events = visitor.exchange.advance();
      if (events === 0) {
        this.#remove(visitor);
        this.#socket.lastAccepted = visitor.peer;
        return { fd: visitor.fd };
      }
      visitor.hears = events === POLLIN;
      if (now() - visitor.since < this.#timeout * 1000) return undefined;
      throw tooLate(this.#timeout);
    } catch (error) {
      this.#remove(visitor);
      close(visitor.fd);
      return { error };
    }
  }

  /** @throws OSError */
  #take(): Visitor | undefined {
    const accepted = this.#socket.tryAccept();
    if (accepted === undefined) return undefined;
    const { fd, peer } = accepted;
    return orClose(fd, () => {
      const exchange = new Exchange(fd, this.#handshake());
      const visitor: Visitor = { fd, peer, exchange, hears: true, since: now() };
      if (this.#visitors.size >= MOST) this.#sendAway();
      this.#visitors.add(visitor);
      this.#socket.guests.add(fd);
      return visitor;
    });
  }

  #sendAway(): void {
    const [first] = this.#visitors;
    if (first === undefined) return;
    this.#remove(first);
    close(first.fd);
    info('listener: %d are at their proof, the first of them had to go', MOST);
  }

  #remove(visitor: Visitor): void {
    visitor.stop?.();
    visitor.stop = undefined;
    this.#visitors.delete(visitor);
    this.#socket.guests.delete(visitor.fd);
  }

  /** How many may be at their proof now. */
  #places(wanted: number): number {
    const time = now();
    let silent = 0;
    for (const { since } of this.#visitors) if (time - since >= PATIENCE) silent++;
    return Math.min(wanted + 2 * silent, MOST + 1);
  }

  /** Milliseconds until somebody's time or the patience with somebody is over. */
  #untilNextLook(): number {
    const time = now();
    let left = Infinity;
    for (const { since } of this.#visitors) {
      left = Math.min(left, since + this.#timeout * 1000 - time);
      if (time - since < PATIENCE) left = Math.min(left, since + PATIENCE - time);
    }
    return Math.max(left, 0);
  }

  #watch(): void {
    try {
      const again = () => this.#serve();
      for (const visitor of this.#visitors) {
        visitor.stop?.();
        visitor.stop = visitor.hears ? onReady(visitor.fd, again) : undefined;
      }
      this.#stopWatch?.();
      const isRoom = this.#visitors.size < this.#places(this.#waiting.length);
      this.#stopWatch = isRoom ? onReady(this.#socket.fd, again) : undefined;
      clearTimeout(this.#timer);
      const left = this.#untilNextLook();
      this.#timer = left <= LONGEST_TIMER ? setTimeout(again, Math.ceil(left)) : undefined;
    } catch (error) {
      this.#stopWatching();
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    }
  }

  #stopWatching(): void {
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    clearTimeout(this.#timer);
    for (const visitor of this.#visitors) {
      visitor.stop?.();
      visitor.stop = undefined;
    }
  }

  #rest(): void {
    this.#stopWatching();
    this.#restsSince = now();
  }

  /** The time in which nobody accepted is not the visitors' fault. */
  #goOn(): void {
    if (this.#restsSince === undefined) return;
    const rested = now() - this.#restsSince;
    this.#restsSince = undefined;
    for (const visitor of this.#visitors) visitor.since += rested;
  }

  /** In a forked child: who waits, and who is at a proof, is the parent's. */
  #forgetParents(): void {
    if (this.#generation === generation()) return;
    this.#generation = generation();
    for (const { fd } of this.#visitors) {
      closeRaw(fd);
      this.#socket.guests.delete(fd);
    }
    this.#visitors = new Set();
    this.#waiting = [];
    this.#stopWatch = undefined;
    this.#timer = undefined;
  }

  /** Rejects those who wait, and sends those away who are at their proof. */
  close(): void {
    this.#forgetParents();
    this.#stopWatching();
    for (const visitor of [...this.#visitors]) {
      this.#remove(visitor);
      close(visitor.fd);
    }
    for (const { reject } of this.#waiting.splice(0)) reject(closedListener());
  }
}
