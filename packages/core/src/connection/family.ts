/**
 * Of which user a process of the family can be: an abstract socket has no permissions, and every user of the machine can connect
 * to it.
 */
import { peerCredentials } from '@multiprocessing/posix';
import { table } from '../base/process_table.ts';

/** What the kernel says of who is at the other end of a Unix socket. @internal */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
}

/** @throws OSError @internal */
export function peerOf(fd: number): Peer {
  return peerCredentials(fd);
}

/**
 * Whether a process can be one of the family: it is this user's or root's, or a child of this process, which may have become
 * another user.
 * @internal
 */
export function canBeOfFamily({ pid, uid }: Peer): boolean {
  if (uid === 0 || uid === process.geteuid?.() || uid === process.getuid?.()) return true;
  for (const child of table.children) if (child._popen?.pid === pid) return true;
  return false;
}
