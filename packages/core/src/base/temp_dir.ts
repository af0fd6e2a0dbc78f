/**
 * Where temporary files go: `gettempdir` and `mkdtemp` of CPython's tempfile.py. Node's os.tmpdir() looks at the environment
 * only, and a TMPDIR can be a folder of a session that has ended, or another user's. Deviations: D-106.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { osError } from '@multiprocessing/posix';

/** What mkdtemp(3) puts in the place of its six X. */
const RANDOM_LENGTH = 6;

/**
 * Makes a folder for temporary files, in the first of TMPDIR, TEMP, TMP, /tmp, /var/tmp, /usr/tmp and the working directory
 * in which a file can be written.
 * @param prefix what its name begins with
 * @param maxLength bytes that its path can have. A folder where it would be longer is taken only if there is no other
 * @throws OSError ENOENT when there is none, as Python's FileNotFoundError
 */
export function makeTempDir(prefix: string, maxLength = Infinity): string {
  const folders = candidates();
  const isLong = (folder: string) =>
    Buffer.byteLength(join(folder, prefix)) + RANDOM_LENGTH > maxLength;
  const inOrder = [...folders.filter((folder) => !isLong(folder)), ...folders.filter(isLong)];
  for (const folder of inOrder) {
    const made = tryMake(join(folder, prefix));
    if (made !== undefined) return made;
  }
  const detail = `no usable temporary directory in ${folders.join(', ')}: set TMPDIR to one that can be written`;
  throw osError(2 /* ENOENT */, 'mkdtemp', detail);
}

/** tempfile's `_candidate_tempdir_list`. */
function candidates(): string[] {
  const { TMPDIR, TEMP, TMP } = process.env;
  const named = [TMPDIR, TEMP, TMP].flatMap((folder) => folder || []);
  const all = [...named, '/tmp', '/var/tmp', '/usr/tmp', '.'].map(absolute);
  return [...new Set(all)];
}

/** The program may go to another directory later; if its own is gone already, there is no path to it. */
function absolute(folder: string): string {
  try {
    return resolve(folder);
  } catch {
    return folder;
  }
}

/** @returns its path; undefined where none can be made */
function tryMake(prefix: string): string | undefined {
  let folder: string | undefined;
  try {
    folder = mkdtempSync(prefix);
    const file = join(folder, 'blat');
    writeFileSync(file, 'blat'); // where a disk is full, a folder can still be made
    rmSync(file);
    return folder;
  } catch (error) {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    const { code, errno = 0, syscall = 'open' } = error as NodeJS.ErrnoException;
    // That is this process's own trouble, in every folder.
    if (code === 'EMFILE' || code === 'ENFILE') throw osError(-errno, syscall, prefix);
    return undefined;
  }
}
