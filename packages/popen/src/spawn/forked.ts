/**
 * The way out of a forked child: bootstrap, then `_exit`, with or without a turn of the event loop.
 */
import { inspect } from 'node:util';
import { type BaseProcess, bootstrap, currentProcess, util } from '@multiprocessing/core';
import {
  calledByChildren,
  type InheritedLoop,
  leaveProcess,
  quietInheritedLoop,
  writeStderr,
} from '@multiprocessing/posix';

const { blockOutput, outputStreams, unblockOutput } = util; // the getters of a namespace are functions that a child would have to compile

/** @internal */
export interface ForkedOptions {
  /** What of the event loop is the parent's. */
  inherited: InheritedLoop;
  /** False when the stack below is the parent's own: then there is no loop to return to. */
  canWait: boolean;
}

/**
 * Runs the process object to its end. A synchronous target ends the process inside this call. For an
 * asynchronous one it returns, and the caller must let the stack unwind into the event loop.
 * @internal
 */
export function leaveForked(
  processObject: BaseProcess,
  parentSentinel: number,
  { inherited, canWait }: ForkedOptions,
): void {
  const keep = fdsIn(processObject._args ?? []);
  // Without a loop to return to, whatever it prints must have left when it returns.
  if (!canWait) blockOutput();
  const result = guardedBootstrap(processObject, parentSentinel, canWait);
  unblockOutput();
  if (typeof result === 'number') leaveProcess(result);
  if (!canWait) {
    writeStderr(
      `Process ${processObject.name}:\nRuntimeError: startSync() cannot fork an asynchronous target:` +
        ' use `await process.start()`\n',
    );
    leaveProcess(1);
  }
  // A terminal's stream has an fd of its own.
  quietInheritedLoop(inherited, new Set([...keep, ...fdsIn(outputStreams())]));
  exitWithoutWork();
  result.then(leaveProcess, reportAndExit);
}

/**
 * Ends a child whose event loop has nothing left to do while its target is still waiting.
 * @internal
 */
export function exitWithoutWork(): void {
  process.once('beforeExit', () => {
    writeStderr(
      `Process ${currentProcess().name}:\nits target's promise never settled, and nothing is left to do\n`,
    );
    process.exit(13); // Node's own code for an unsettled top-level await
  });
}

function guardedBootstrap(
  self: BaseProcess,
  parentSentinel: number,
  canWait: boolean,
): number | Promise<number> {
  try {
    return bootstrap(self, parentSentinel, canWait ? 'turn' : 'parent');
  } catch (error) {
    return reportAndExit(error);
  }
}

/** The end of a child that fails outside of its target. @internal */
export function reportAndExit(error: unknown): never {
  writeStderr(`Process ${currentProcess().name}:\n${inspect(error)}\n`);
  try {
    process.exit(1);
  } finally {
    leaveProcess(1); // a test runner's process.exit() throws
  }
}

const NONE: ReadonlySet<number> = new Set();

/** Sockets and servers among the arguments go on to work in the child. */
function fdsIn(args: readonly unknown[]): ReadonlySet<number> {
  if (args.length === 0) return NONE;
  const fds = new Set<number>();
  for (const arg of args) {
    const fd = (arg as { _handle?: { fd?: unknown } } | null | undefined)?._handle?.fd;
    if (typeof fd === 'number') fds.add(fd);
  }
  return fds;
}

calledByChildren(leaveForked, guardedBootstrap, fdsIn, exitWithoutWork, process.once);
