/**
 * Timers and clocks as Node made them, taken when this library is loaded: a program may put others in their place (a
 * test's fake timers), and what waits in here waits all the same.
 *
 * They are taken from node:timers, since most fakes replace the globals alone. node:test's mock.timers replaces both. Where it
 * came first, Node's own class of timers is found in a socket, which nobody replaces: a new timer of it starts by refresh().
 */
import * as timers from 'node:timers';
import { calledByChildren } from '../ffi/compiled.ts';
import { native } from '../ffi/ffi.ts';

/** The arguments of Node's internal class: a delay of milliseconds, whether it repeats, whether it keeps the loop alive. */
type TimerClass = new (
  callback: (...args: never[]) => void,
  delay: number,
  args: unknown[],
  repeats: boolean,
  keepsAlive: boolean,
) => NodeJS.Timeout;

type Timers = Pick<
  typeof globalThis,
  'setTimeout' | 'setInterval' | 'setImmediate' | 'clearTimeout' | 'clearInterval'
>;

const FAR = 0x7fffffff;

/** Node's own have something of node:util that fakes do not, or have another name; asking them for a timer would cost more. */
function areReplaced(): boolean {
  const symbol = Symbol.for('nodejs.util.promisify.custom');
  const isNodes = (timer: object) =>
    Object.getOwnPropertyDescriptor(timer, symbol)?.get !== undefined;
  return (
    !isNodes(timers.setTimeout) ||
    !isNodes(timers.setImmediate) ||
    timers.setInterval.name !== 'setInterval'
  );
}

function ofNodesClass(): Timers {
  const socket = new (process.getBuiltinModule('node:net').Socket)();
  socket.setTimeout(FAR);
  const held = socket as unknown as Record<symbol, unknown>;
  const timer = Object.getOwnPropertySymbols(held)
    .map((key) => held[key])
    .find((value) => value?.constructor?.name === 'Timeout') as NodeJS.Timeout;
  socket.setTimeout(0);
  const Timer = timer.constructor as TimerClass;
  const make =
    (repeats: boolean) =>
    (callback: (...args: never[]) => void, delay = 1, ...args: unknown[]) =>
      new Timer(callback, delay, args, repeats, true).refresh();
  const clear = (timeout?: NodeJS.Timeout) => void timeout?.close();
  const setTimeout = make(false);
  return {
    setTimeout,
    setInterval: make(true),
    // Not the next turn of the loop, but a later one.
    setImmediate: (callback: (...args: never[]) => void, ...args: unknown[]) =>
      setTimeout(callback, 1, ...args),
    clearTimeout: clear,
    clearInterval: clear,
  } as unknown as Timers;
}

const taken: Timers = areReplaced() ? ofNodesClass() : timers;

/** @internal */
export const setTimeout: Timers['setTimeout'] = taken.setTimeout;
/** @internal */
export const setInterval: Timers['setInterval'] = taken.setInterval;
/** @internal */
export const setImmediate: Timers['setImmediate'] = taken.setImmediate;
/** @internal */
export const clearTimeout: Timers['clearTimeout'] = taken.clearTimeout;
/** @internal */
export const clearInterval: Timers['clearInterval'] = taken.clearInterval;

/** @internal */
export const nextTick: typeof process.nextTick = process.nextTick;

const uvHrtime = native('uint64_t uv_hrtime()');

/** Seconds on CLOCK_MONOTONIC, which all processes share, and the nanoseconds behind them. @internal */
export function monotonic(): [seconds: number, nanoseconds: number] {
  const all = BigInt(uvHrtime());
  return [Number(all / 1_000_000_000n), Number(all % 1_000_000_000n)];
}

/** The same clock, without a foreign call. @internal */
export const hrtime: typeof process.hrtime = process.hrtime;

let clock: (() => number) | undefined;

/**
 * Node's performance.now, from the prototype: what a fake replaces is the global. Taken at its first use, since loading
 * it costs a process that never waits 0.7 ms.
 */
function takeClock(): () => number {
  const { performance } = process.getBuiltinModule('node:perf_hooks');
  const { now } = Object.getPrototypeOf(performance) as typeof performance;
  clock = now.bind(performance);
  return clock;
}

/** Milliseconds since this process began, on a clock that nobody sets. @internal */
export function now(): number {
  return (clock ?? takeClock())();
}

let offset: number | undefined;

/**
 * The same moment on the clock that all processes share: for what another process is going to read.
 * @param time as now() tells it
 * @internal
 */
export function toSharedClock(time: number): number {
  if (offset === undefined) {
    const [seconds, nanoseconds] = hrtime();
    offset = seconds * 1000 + nanoseconds / 1e6 - now();
  }
  return time + offset;
}

/** What another process has written down, as now() tells it here. @internal */
export function fromSharedClock(time: number): number {
  return time - toSharedClock(0);
}

calledByChildren(now);
