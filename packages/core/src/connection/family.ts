/**
 * Of which user a process of the family can be: an abstract socket has no permissions, and every user of the machine can connect
 * to it.
 */
import type { Peer } from '@multiprocessing/posix';
import { table } from '../base/process_table.ts';
import { isTrustedUser } from '../base/users.ts';

/**
 * Whether a process can be one of the family: it is this user's or root's, or a child of this process, which may have become
 * another user.
 * @internal
 */
export function canBeOfFamily({ pid, uid }: Peer): boolean {
  if (isTrustedUser(uid)) return true;
  for (const child of table.children) if (child._popen?.pid === pid) return true;
  return false;
}
