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
}

let sharer: FdSharer | undefined;

/** @internal */
export function setFdSharer(given: FdSharer): void {
  sharer = given;
}

/** Keeps a copy of an fd until another process fetches it. @throws OSError @internal */
export function shareFd(fd: number): SharedHandle {
  if (sharer === undefined) {
    throw new RuntimeError('fds cannot be sent before multiprocessing/connection is loaded');
  }
  return sharer.share(fd);
}

/** Where a session begins. @internal */
export function beginSession(): number {
  return sharer === undefined ? 0 : sharer.mark();
}

/** Takes back what a session that failed has done. @internal */
export function undoSession(mark: number): void {
  sharer?.undoSince(mark);
}
