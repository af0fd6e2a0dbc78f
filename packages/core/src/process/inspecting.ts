/**
 * Children that a debugger can look at. Those of a program under `--inspect` are not by themselves: all would want its port. With
 * MULTIPROCESSING_INSPECT in the environment each child opens one of its own. No counterpart in CPython.
 */
import { writeStderr } from '@multiprocessing/posix';
import { ValueError } from '../base/errors.ts';

const VARIABLE = 'MULTIPROCESSING_INSPECT';

/**
 * In a child, before its target: opens the inspector if it is asked for, says where, and with `brk` waits for a debugger and
 * stops in it.
 * @throws ValueError for another value than `1`, `brk`, or `0` and nothing for none
 * @internal
 */
export function inspectIfAsked(name: string): void {
  const value = process.env[VARIABLE];
  if (value === undefined || value === '' || value === '0') return;
  if (value !== '1' && value !== 'brk') {
    throw new ValueError(`${VARIABLE} must be 1 or brk, not '${value}'`);
  }
  const inspector = process.getBuiltinModule('node:inspector');
  const reason = open(inspector);
  if (reason !== undefined) {
    writeStderr(`Process ${name} (${process.pid}): no debugger can look at it: ${reason}\n`);
    return;
  }
  writeStderr(`Process ${name} (${process.pid}): debugger at ${inspector.url()}\n`);
  if (value !== 'brk') return;
  inspector.waitForDebugger();
  // biome-ignore lint/suspicious/noDebugger: it is asked for; the target comes next
  debugger;
}

/** @returns why there is none */
function open(inspector: typeof import('node:inspector')): string | undefined {
  try {
    inspector.open(0);
  } catch (error) {
    return (error as Error).message; // a fork of a process that has its own open
  }
  return inspector.url() === undefined ? 'no port could be opened' : undefined;
}
