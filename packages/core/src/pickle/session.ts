/**
 * What pickling does beside writing bytes: fds that other processes will fetch. Who keeps them for those
 * (connection/resource_sharer.ts) is loaded later and enters itself here.
 */
import { RuntimeError } from '../base/errors.ts';

/** An fd that another process can fetch. @internal */
export interface SharedHandle {
  detach(): number;
}

/** Who keeps fds until they are fetched. @internal */
export interface FdSharer {
  /** Keeps a copy of an fd, for one process of the family. */
  share(fd: number): SharedHandle;
  /** A number that tells what has been shared up to now from what will be. */
  mark(): number;
  /** Closes what has been shared since the mark: the message that it was for has failed. */
  undoSince(mark: number): void;
  /** Whether an fd, by the name that it has in messages, is here without asking another process. */
  isHere(qualname: string): boolean;
  /** Fetches it from the process that has it, for `find`. @throws UnpicklingError, TimeoutError, AuthenticationError */
  fetch(qualname: string): Promise<void>;
  /** What gets it, to be called once; it blocks when `fetch` was not called. */
  find(qualname: string): () => number;
  /** Says that the message was read, or has failed: what was fetched and is not in it is closed. */
  settle(qualname: string, isRead: boolean): void;
}

let sharer: FdSharer | undefined;

/** @internal */
export function setFdSharer(given: FdSharer): void {
  sharer = given;
}

/** @throws RuntimeError @internal */
export function fdSharer(): FdSharer {
  if (sharer !== undefined) return sharer;
  throw new RuntimeError('fds cannot be sent before multiprocessing/connection is loaded');
}

/** Keeps a copy of an fd until another process fetches it. @throws OSError @internal */
export function shareFd(fd: number): SharedHandle {
  return fdSharer().share(fd);
}

/** Where a session begins. @internal */
export function beginSession(): number {
  return sharer === undefined ? 0 : sharer.mark();
}

/** Takes back what a session that failed has done. @internal */
export function undoSession(mark: number): void {
  sharer?.undoSince(mark);
}
