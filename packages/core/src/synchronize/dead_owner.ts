/**
 * The warning for a lock whose owner has died.
 */
import { tidOf } from '@multiprocessing/posix';
import { table } from '../base/process_table.ts';

/**
 * Warns as `process.emitWarning` does, but at once: a child that runs a synchronous target may have no later.
 * @param what the lock's name
 * @param owner the dead thread's token
 * @internal
 */
export function warnOfDeadOwner(what: string, owner: number): void {
  const pid = tidOf(owner);
  const child = [...table.children].find(({ _popen }) => _popen?.pid === pid);
  const name = child === undefined ? '' : ` (${child.name})`;
  const warning = new Error(
    `process ${pid}${name} ended while it held ${what}; process ${process.pid} has it now.` +
      ' What it protects may be half changed.',
  );
  warning.name = 'DeadOwnerWarning';
  warning.stack = `${warning.name}: ${warning.message}`;
  process.emit('warning', warning);
}
