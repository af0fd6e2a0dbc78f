/**
 * "Look again": how processes learn that shared memory has changed. Who waits looks at the memory itself; nothing is
 * handed over, so nothing is lost with a process that was woken and killed.
 */
import { ALL, fenceAll, futexWait, futexWake, now } from '@multiprocessing/posix';
import { IS_STRONGLY_ORDERED, load, spin } from '../base/spin.ts';
import { AsyncWaits } from './async_waits.ts';
import { MEMBER_SET_WORDS, MemberSet, type MemberTable } from './hub.ts';

/** Changes with each signal; sleepers sleep on it. */
const SEQ = 0;
/** Whether somebody sleeps, or is about to. */
const SLEEPING = 1;
const MEMBERS = 2;

/** 32-bit words that a signal takes. @internal */
export const SIGNAL_WORDS = MEMBERS + MEMBER_SET_WORDS;

/** A spin looks less often than it could: each look takes the memory from who is about to change it. */
const RARELY = 80;
/** Seconds after which a sleeper looks again, in case that who changed something was killed before it woke anybody. */
const LOOK = 0.5;

/** @internal */
export class ChangeSignal {
  readonly #words: Int32Array;
  readonly #address: number;
  readonly #members: MemberSet;
  readonly #waits: AsyncWaits;

  /**
   * @param words SIGNAL_WORDS of them, in shared memory
   * @param address of the first
   */
  constructor(words: Int32Array, address: number, table: MemberTable) {
    this.#words = words;
    this.#address = address;
    this.#members = new MemberSet(words.subarray(MEMBERS), table);
    this.#waits = new AsyncWaits((on) => {
      this.#members.listen(on);
      if (on) fenceBeforeLook();
    });
  }

  /**
   * Says that something has changed, before this call: by an atomic operation or, where those who wait make a fence
   * (`self.fenced`), by a store.
   * @param count how many sleepers it is of use to
   */
  notify(count = 1): void {
    const words = this.#words;
    if (load(words, SLEEPING) !== 0) this.#wake(count);
    if (load(words, MEMBERS) !== 0) this.#members.ringAll(() => this.#waits.soon());
  }

  /**
   * The same for what is of use to so many only, whoever they are. Who is rung and does not come (it is stopped, say) is
   * no help: the others look within half a second.
   */
  notifySome(count: number): void {
    const words = this.#words;
    const left = load(words, SLEEPING) === 0 ? count : count - this.#wake(count);
    if (left > 0 && load(words, MEMBERS) !== 0)
      this.#members.ringSome(left, () => this.#waits.soon());
  }

  notifyAll(): void {
    this.notify(ALL);
  }

  /** @returns how many were woken */
  #wake(count: number): number {
    const words = this.#words;
    Atomics.store(words, SLEEPING, 0);
    Atomics.add(words, SEQ, 1);
    const woken = futexWake(this.#address, count);
    if (woken > 0) Atomics.store(words, SLEEPING, 1); // others may sleep who were not woken
    return woken;
  }

  /**
   * Spins for a moment, then sleeps, until `done`, which looks at the memory, and has to say yes when it cannot be seen for a moment.
   * @param deadline as now() tells the time
   * @param look is called after each half second without a signal
   * @returns false when the time was over first
   */
  waitSync(done: () => boolean, deadline: number, look?: () => void): boolean {
    return spin(done, RARELY) || this.sleepSync(done, deadline, look);
  }

  /** The same without a spin before. */
  sleepSync(done: () => boolean, deadline: number, look?: () => void): boolean {
    const words = this.#words;
    for (;;) {
      // In this order: a signal between these lines finds SLEEPING, or has changed SEQ, or `done` sees what it tells.
      const seq = Atomics.load(words, SEQ);
      Atomics.store(words, SLEEPING, 1);
      fenceBeforeLook();
      if (done()) return true;
      const left = (deadline - now()) / 1000;
      if (left <= 0) return false;
      if (!futexWait(this.#address, seq, Math.min(left, LOOK))) look?.();
    }
  }

  /** Has this thread's own waits look again. */
  recheck(): void {
    this.#waits.soon();
  }

  /** The event loop does not go on for this thread's waits. */
  unref(): void {
    this.#waits.unref();
  }

  /** Whether the event loop goes on for this thread's waits. */
  keepAlive(on: boolean): void {
    this.#waits.keepAlive(on);
  }

  /** The same without blocking the event loop. @param timeout seconds, Infinity without limit */
  wait(done: () => boolean, timeout: number): Promise<boolean> {
    return this.#waits.wait(done, timeout);
  }
}

/** From here on who changes something sees that it is waited for, or who looks sees the change. */
function fenceBeforeLook(): void {
  if (IS_STRONGLY_ORDERED) fenceAll();
}
