/**
 * The warning for a lock whose owner has died.
 */
import { tidOf, warnAtOnce } from '@multiprocessing/posix';
import { table } from '../base/process_table.ts';

/**
 * Warns that a lock has been taken from who died with it.
 * @param what the lock's name
 * @param owner the dead thread's token
 * @internal
 */
export function warnOfDeadOwner(what: string, owner: number): void {
  const pid = tidOf(owner);
  const child = [...table.children].find(({ _popen }) => _popen?.pid === pid);
  const name = child === undefined ? '' : ` (${child.name})`;
  warnAtOnce(
    'DeadOwnerWarning',
    `process ${pid}${name} ended while it held ${what}; process ${process.pid} has it now.` +
      ' What it protects may be half changed.',
  );
}
