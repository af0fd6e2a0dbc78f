/**
 * The workers of a pool: their start, their end, and who comes in their place. `Pool._repopulate_pool` and `_join_exited_workers` of
 * multiprocessing/pool.py, which looks ten times a second; here the kernel says that a worker has ended.
 */
import {
  clearTimeout,
  fromSharedClock,
  now,
  onReadyUnref,
  setTimeout,
  toSharedClock,
} from '@multiprocessing/posix';
import { trace } from '../base/trace.ts';
import type { BaseProcess } from '../process/process.ts';
import { BUSY, LEFT, LEFT_BEHIND, PID, READY_AT, RSS, STARTED_IN, TASKS } from './cells.ts';
import { BrokenProcessPool, endInWords, WorkerLostError } from './errors.ts';
import type { WorkerPort } from './port.ts';
import type { KillReason } from './tasks.ts';
import { work } from './worker.ts';

/** Workers that end one after the other without having done anything, until a pool is given up. */
const MOST_VAIN = 5;
/** Seconds until the next is started, after the second of them; then twice as many each time. */
const BACK_OFF = 0.05;
/** Milliseconds between looks that nothing has asked for. */
const LOOK = 400;
/** Seconds after SIGTERM until SIGKILL. */
const PATIENCE = 2;

/** Makes the process of a worker. @internal */
export type MakeProcess = (
  options: { target: typeof work; args: [WorkerPort, number, number] },
  sync: boolean,
) => BaseProcess;

/** A worker, from its start to its end. @internal */
export interface Member {
  readonly place: number;
  readonly process: BaseProcess;
  readonly startedAt: number;
  isRunning: boolean;
  killed: KillReason | undefined;
  /** Of the time between the signal and SIGKILL. */
  grace: NodeJS.Timeout | undefined;
  /** The task that has left something behind last. */
  leftBy: string | undefined;
  stopWatching: () => void;
}

/** What a crew tells its pool. @internal */
export interface CrewHooks {
  /** A worker has ended; its place is free after this. @returns whether it had a task in hand */
  ended(member: Member, lost: WorkerLostError): boolean;
  /** Nothing can be done any more. */
  broken(error: Error): void;
  /** How many workers are of use now: none at the end; where they come as tasks do, no more than there are tasks. */
  wanted(): number;
}

/** What a worker has done, in seconds and bytes. */
export interface WorkerStats {
  readonly pid: number | undefined;
  readonly tasks: number;
  /** Those that it has in hand. */
  readonly running: number;
  readonly busy: number;
  readonly idle: number;
  readonly startup: number;
  /** Timers, sockets and the like that tasks have left in its event loop, when it last had nothing to do. */
  readonly leftBehind: number;
  /** The function after which that number has grown last. */
  readonly leftBy: string | undefined;
  /** Its resident memory when it last looked; it looks where the pool has `maxMemory`. */
  readonly rss: number | undefined;
}

/** @internal */
export class Crew {
  readonly #port: WorkerPort;
  readonly #make: MakeProcess;
  readonly #hooks: CrewHooks;
  /** How many there should be. */
  size: number;
  /** By their place. */
  readonly members: (Member | undefined)[];
  #vain = 0;
  readonly #restarts = new Set<NodeJS.Timeout>();
  /** While a caller blocks nothing that is awaited goes on. */
  isBlocked = false;
  #lookedAt = 0;
  readonly #waiting: (() => void)[] = [];
  /** Why workers ended, and how many. */
  readonly replaced = new Map<string, number>();

  constructor(port: WorkerPort, size: number, make: MakeProcess, hooks: CrewHooks) {
    this.#port = port;
    this.#make = make;
    this.#hooks = hooks;
    this.size = size;
    this.members = new Array<Member | undefined>(port.places).fill(undefined);
  }

  /** Those that are there, or on their way. */
  get living(): Member[] {
    return this.members.filter((member) => member !== undefined);
  }

  /** Starts those that are missing. */
  fill(): void {
    if (this.isBlocked) {
      this.fillSync();
      return;
    }
    const wanted = Math.min(this.#hooks.wanted(), this.size);
    while (this.living.length + this.#restarts.size < wanted && this.members.includes(undefined))
      this.#start();
  }

  /** The same for a caller that blocks. What is about to start cannot do so now, but one has to run. */
  fillSync(): void {
    const useful = Math.min(this.#hooks.wanted(), this.size);
    const running = () => this.living.filter((member) => member.isRunning).length;
    const isMissing = () => running() < Math.min(1, useful) || this.living.length < useful;
    while (isMissing() && this.members.includes(undefined)) {
      const member = this.#enlist(true);
      try {
        member.process.startSync();
        this.#running(member);
      } catch (error) {
        this.#notStarted(member, error as Error);
        return;
      }
    }
  }

  #enlist(sync: boolean): Member {
    const place = this.members.indexOf(undefined);
    this.#port.cells.fieldsOf(place).fill(0);
    const startedAt = toSharedClock(now());
    const process = this.#make({ target: work, args: [this.#port, place, startedAt] }, sync);
    const member: Member = {
      place,
      process,
      startedAt,
      isRunning: false,
      killed: undefined,
      grace: undefined,
      leftBy: undefined,
      stopWatching: () => {},
    };
    this.members[place] = member;
    return member;
  }

  #start(): void {
    const member = this.#enlist(false);
    member.process.start().then(
      () => this.#running(member),
      (error: Error) => this.#notStarted(member, error),
    );
  }

  #running(member: Member): void {
    member.isRunning = true;
    trace('pool', 'worker', member.process.name, () => ({ child: member.process.pid }));
    // It closes its end before it can be reaped.
    member.stopWatching = onReadyUnref(member.process.sentinel, () => {
      member.process.join().then(
        () => this.look(),
        () => this.look(), // it was reaped meanwhile
      );
    });
    if (member.killed !== undefined) this.#signal(member, 0); // meanwhile
    this.#tellWaiting();
  }

  #notStarted(member: Member, error: Error): void {
    this.members[member.place] = undefined;
    this.#tellWaiting();
    if (this.#hooks.wanted() === 0) return;
    const others = this.living.some(({ isRunning }) => isRunning);
    if (others && isPassing(error)) this.#again();
    else if (!others && isPassing(error) && ++this.#vain < MOST_VAIN) this.#again();
    else this.#hooks.broken(error);
  }

  /** The same now and then, in case that somebody else holds the other end of a sentinel. */
  lookSometimes(): void {
    if (now() - this.#lookedAt > LOOK) this.look();
  }

  /** Looks which workers have ended. */
  look(): void {
    this.#lookedAt = now();
    for (const member of this.living) {
      if (member.isRunning && member.process.exitcode !== undefined) this.#ended(member);
    }
  }

  #ended(member: Member): void {
    const { process, place, killed } = member;
    this.#port.cells.endSpin(place);
    const { exitcode } = process;
    const { pid } = process;
    member.stopWatching();
    clearTimeout(member.grace);
    member.isRunning = false; // what its end brings about must not signal it
    trace('pool', 'lost', process.name, () => ({ child: pid, exitcode }));
    const fields = this.#port.cells.fieldsOf(place);
    const hasLeft = fields[LEFT] === 1;
    const isVain = !hasLeft && fields[TASKS] === 0 && killed === undefined;
    const lost = new WorkerLostError(`a worker ${endInWords(exitcode)}`, {
      ...(pid !== undefined && { pid }),
      ...(exitcode !== undefined && { exitcode }),
    });
    const wasAtWork = this.#hooks.ended(member, lost);
    this.members[place] = undefined;
    process.close();
    this.#tellWaiting();
    if (this.#hooks.wanted() === 0) return;
    const why = killed ?? (hasLeft ? 'done' : 'lost');
    this.replaced.set(why, (this.replaced.get(why) ?? 0) + 1);
    this.#vain = isVain && !wasAtWork ? this.#vain + 1 : 0;
    if (this.#vain >= MOST_VAIN) {
      const broken = new BrokenProcessPool(
        `${MOST_VAIN} workers one after the other have ended without having done anything: the last one ${endInWords(exitcode)}`,
        { cause: lost },
      );
      this.#hooks.broken(broken);
    } else if (this.#vain > 1) this.#again();
    else this.fill();
  }

  /** Starts another one, after a time. */
  #again(): void {
    const seconds = BACK_OFF * 2 ** Math.max(0, this.#vain - 2);
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      this.fill();
      this.#tellWaiting();
    }, seconds * 1000);
    this.#restarts.add(timer);
  }

  /** A worker does no more: it has `seconds` between what it is told and SIGKILL. */
  kill(place: number, why: KillReason, seconds: number): void {
    const member = this.members[place];
    if (member === undefined || member.killed === 'terminate') return;
    member.killed ??= why;
    if (!member.isRunning) return; // it is when it runs
    this.#signal(member, seconds);
  }

  #signal(member: Member, seconds: number): void {
    if (member.killed === 'terminate') {
      member.process.terminate();
      member.grace ??= setTimeout(() => member.process.kill(), PATIENCE * 1000);
      member.grace.unref();
    } else if (seconds > 0) {
      this.#port.tasks._channel.items.notifyAll();
      member.grace ??= setTimeout(() => member.process.kill(), seconds * 1000);
    } else member.process.kill();
  }

  /** Ends all of them. */
  terminate(): void {
    for (const timer of this.#restarts) clearTimeout(timer);
    this.#restarts.clear();
    for (const member of this.living) {
      member.killed = 'terminate';
      if (isThere(member)) this.#signal(member, 0);
    }
  }

  /** SIGKILL for all of them. */
  killAll(): void {
    this.terminate();
    for (const member of this.living) if (isThere(member)) member.process.kill();
  }

  /** Waits until none is there. */
  async gone(): Promise<void> {
    while (this.living.length > 0 || this.#restarts.size > 0) {
      const next = new Promise<void>((resolve) => this.#waiting.push(resolve));
      const running = this.living.filter(({ isRunning }) => isRunning);
      // Their watches do not keep the event loop alive; these do.
      for (const { process } of running) void process.join().then(() => this.look());
      await next;
    }
  }

  /** The blocking twin. */
  goneSync(): void {
    for (const member of this.living) {
      if (this.members[member.place] !== member) continue; // it has ended with another one
      if (member.process.pid === undefined) {
        member.killed = 'terminate'; // when it runs
        continue;
      }
      member.process.joinSync(member.killed === undefined ? undefined : PATIENCE);
      if (member.process.exitcode === undefined) {
        member.process.kill();
        member.process.joinSync();
      }
      this.look();
    }
  }

  /** A task has left something in the event loop of a worker. */
  left(place: number, task: string): void {
    const member = this.members[place];
    if (member !== undefined) member.leftBy = task;
  }

  #tellWaiting(): void {
    for (const tell of this.#waiting.splice(0)) tell();
  }

  /** @param running how many tasks a worker has in hand, by its place */
  stats(running: (place: number) => number): WorkerStats[] {
    return this.living.map(({ place, process, leftBy }) => {
      const fields = this.#port.cells.fieldsOf(place);
      const field = (index: number) => fields[index] as number;
      const since = field(READY_AT) === 0 ? 0 : (now() - fromSharedClock(field(READY_AT))) / 1000;
      return {
        pid: process.pid ?? (field(PID) || undefined), // it may be at work already
        tasks: field(TASKS),
        running: running(place),
        busy: field(BUSY),
        idle: Math.max(0, since - field(BUSY)),
        startup: field(STARTED_IN),
        leftBehind: field(LEFT_BEHIND),
        leftBy,
        rss: field(RSS) || undefined,
      };
    });
  }
}

/** Whether there is a process to be ended; that it runs may not be known yet. */
function isThere({ process }: Member): boolean {
  return process.pid !== undefined && process.exitcode === undefined;
}

/** Whether the kernel may well say yes the next time. */
function isPassing(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(String(code));
}
