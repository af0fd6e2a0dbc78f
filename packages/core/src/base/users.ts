/**
 * Whose processes and files are trusted: this user's, and root's, who can do everything anyway.
 */

/** @param uid of whom a process or a file is @internal */
export function isTrustedUser(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.() || uid === process.getuid?.();
}
