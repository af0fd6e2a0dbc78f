/**
 * A process of ours leaves the terminal as it is. Node notes the terminal's modes at its start, and puts them back at its end and
 * when SIGINT or SIGTERM ends it: under a shell or a program that has set other modes since then.
 */
import { closeSync, openSync } from 'node:fs';
import { calledByChildren, writtenByChildren } from '../ffi/compiled.ts';
import { fstat } from '../ffi/fstat.ts';
import { handlesSignalByDefault } from './process.ts';

const STANDARD_STREAMS = [0, 1, 2];
/** Those for which Node has handlers of its own. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

interface Exits {
  reallyExit: (code: unknown) => never;
}

const state = {
  isLeft: false,
  flush: undefined as (() => void) | undefined,
};

const nothing = () => {};

/** Linux's number of /dev/null and its like (admin-guide/devices.txt), which are no terminals: as stdin they are common. */
const MEMORY_DEVICES = 1n;

/** Whether an fd is a terminal, or another device that has modes to put back. To ask isatty would load Node's sockets. */
function isTerminal(fd: number): boolean {
  try {
    const stat = fstat(fd);
    return stat.isCharacterDevice() && stat.rdev >> 8n !== MEMORY_DEVICES;
  } catch {
    return false; // it is closed
  }
}

/** Whether Node has modes to put back. @internal */
export function hasTerminal(): boolean {
  return !state.isLeft && STANDARD_STREAMS.some(isTerminal);
}

/**
 * Makes this process, a spawned child or a server, one of ours: what it has printed leaves it before it ends, and the terminal
 * stays as it is.
 * @internal
 */
export function becomeOwnProcess(): void {
  const exits = process as unknown as Exits;
  const { reallyExit } = exits;
  exits.reallyExit = (code) => {
    state.flush?.();
    letTerminalGo();
    return reallyExit.call(process, code);
  };
  if (!hasTerminal()) return;
  state.isLeft = true;
  for (const signal of SIGNALS) {
    // libuv has the kernel's default action back when nobody listens any more.
    process.on(signal, nothing);
    process.off(signal, nothing);
  }
}

/** Node passes over a stream that is not the file any more that it was at the start. */
function letTerminalGo(): void {
  for (const fd of STANDARD_STREAMS.filter(isTerminal)) {
    closeSync(fd);
    while (openSync('/dev/null', 'r+') < fd); // it takes the lowest free number
  }
}

/** In a forked child of a program that is not ours: its parent's handlers are Node's. @internal */
export function leaveTerminalToParent(): void {
  for (const signal of SIGNALS) {
    if (process.listenerCount(signal) === 0) handlesSignalByDefault(signal);
  }
}

/** Has this called in children before they end. @internal */
export function flushBeforeExit(flush: () => void): void {
  state.flush = flush;
}

/** @internal */
export function flushOutput(): void {
  state.flush?.();
}

calledByChildren(leaveTerminalToParent, flushOutput);
writtenByChildren(state);
