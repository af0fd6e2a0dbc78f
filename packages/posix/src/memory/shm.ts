/**
 * Named shared memory of Linux: Python's `_posixshmem`. A segment is a file in /dev/shm, where CPython and every other
 * program that calls shm_open(3) finds it under the same name.
 *
 * A segment gets its name last. Whoever can open it finds it whole, with all of its memory, and a process that is
 * killed before leaves nothing.
 */
import { constants, fstatSync, lstatSync } from 'node:fs';
import { constants as os } from 'node:os';
import { aboveStandardStreams, orClose } from '../fds/fd.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_FOLLOW,
  O_TMPFILE_ALONE,
  platform,
} from '../ffi/constants.ts';
import { byNode, osError } from '../ffi/errors.ts';
import { errno, native, syscall } from '../ffi/ffi.ts';

const cOpen = native('int open(const char *path, int flags, ...)');
const cFtruncate = syscall('int ftruncate(int fd, int64_t length)');
const cFallocate = syscall('int fallocate(int fd, int mode, int64_t offset, int64_t length)');
const cLinkat = native(
  'int linkat(int olddir, const char *oldpath, int newdir, const char *newpath, int flags)',
);
const cUnlink = native('int unlink(const char *path)');

const FOLDER = '/dev/shm';
const MODE = 0o600;
const NAME_MAX = 255;

/** An open segment. */
export interface Segment {
  /** Not to survive exec; the caller closes it. */
  readonly fd: number;
  /** Bytes. */
  readonly size: number;
  /** The number that no other segment of this system has. */
  readonly inode: bigint;
  /** The user that it belongs to. */
  readonly uid: bigint;
}

/**
 * The path of a segment. One leading slash, as shm_open(3) wants it, is no part of the name.
 * @throws OSError EINVAL for what is no name of a file, ENAMETOOLONG for more than 255 bytes
 */
function pathOf(name: string): string {
  const own = name.startsWith('/') ? name.slice(1) : name;
  if (own === '' || own === '.' || own === '..' || /[/\0]/.test(own)) {
    throw osError(os.errno.EINVAL, 'shm_open', `${JSON.stringify(name)} is no name of a segment`);
  }
  const length = Buffer.byteLength(own);
  if (length > NAME_MAX) {
    const detail = `the name has ${length} bytes, ${NAME_MAX} is the most`;
    throw osError(os.errno.ENAMETOOLONG, 'shm_open', detail);
  }
  return `${FOLDER}/${own}`;
}

/** @throws OSError as the functions that take a name */
export function checkSegmentName(name: string): void {
  pathOf(name);
}

function open(path: string, flags: number): number {
  const fd = cOpen(path, flags | platform.O_CLOEXEC, 'int', MODE);
  if (fd === -1) throw osError(errno(), 'shm_open', path);
  return aboveStandardStreams(fd);
}

/**
 * Makes a segment that has no name yet. Its memory is reserved: a full /dev/shm is told here, and does not kill whoever
 * writes later.
 * @param size bytes, more than 0
 * @throws OSError, ENOSPC when there is not so much memory
 */
export function shmCreate(size: number): Segment {
  const fd = open(FOLDER, O_TMPFILE_ALONE | constants.O_DIRECTORY | constants.O_RDWR);
  return orClose(fd, () => {
    reserve(fd, size);
    const { ino, uid } = byNode(() => fstatSync(fd, { bigint: true }));
    return { fd, size, inode: ino, uid };
  });
}

function reserve(fd: number, size: number): void {
  try {
    cFtruncate(fd, size);
    cFallocate(fd, 0, 0, size);
  } catch (error) {
    const { errno: number = 0, syscall: call = '' } = error as NodeJS.ErrnoException;
    throw osError(number, call, `${size} bytes in ${FOLDER}`);
  }
}

/**
 * Gives the segment its name.
 * @throws OSError, EEXIST when the name is taken
 */
export function shmLink({ fd }: Segment, name: string): void {
  const path = pathOf(name);
  if (cLinkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW) === 0) return;
  const failed = errno();
  if (failed !== os.errno.ENOENT) throw osError(failed, 'shm_open', path);
  // There is no /proc. By the fd alone root may do it, from Linux 6.10 on everybody.
  if (cLinkat(fd, '', AT_FDCWD, path, AT_EMPTY_PATH) === 0) return;
  if (errno() === os.errno.EEXIST) throw osError(os.errno.EEXIST, 'shm_open', path);
  throw osError(
    failed,
    'linkat',
    `${path} cannot be given its name without /proc, which is not mounted`,
  );
}

/**
 * Opens the segment of that name for reading and writing.
 * @throws OSError; ENOENT when there is none, EINVAL when what has the name is no regular file
 */
export function shmOpen(name: string): Segment {
  const path = pathOf(name);
  const fd = open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  return orClose(fd, () => {
    const stat = byNode(() => fstatSync(fd, { bigint: true }));
    if (!stat.isFile()) throw osError(os.errno.EINVAL, 'shm_open', `${path} is no segment`);
    return { fd, size: Number(stat.size), inode: stat.ino, uid: stat.uid };
  });
}

/** The inode of the segment that has the name now. @throws OSError for an impossible name */
export function shmInode(name: string): bigint | undefined {
  const path = pathOf(name);
  return byNode(() => lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino);
}

/**
 * Takes the name away; the memory goes when nobody has it mapped or open any more.
 * @throws OSError, ENOENT when nothing has the name
 */
export function shmUnlink(name: string): void {
  const path = pathOf(name);
  if (cUnlink(path) === -1) throw osError(errno(), 'shm_unlink', path);
}
