/**
 * Numbers of the C headers, in one table per platform. What differs between architectures of Linux
 * stands under its architecture; x64 and arm64 share the rest (asm-generic).
 */

interface PlatformNumbers {
  F_DUPFD_CLOEXEC: number;
  O_CLOEXEC: number;
  O_NONBLOCK: number;
  SOL_SOCKET: number;
  MSG_CMSG_CLOEXEC: number;
  MSG_NOSIGNAL: number;
  MSG_DONTWAIT: number;
  MSG_WAITALL: number;
  /** Linux only: more of the same message follows at once. */
  MSG_MORE: number;
  SO_SNDBUF: number;
  SO_RCVBUF: number;
  SOCK_DGRAM: number;
  SOCK_SEQPACKET: number;
  SOCK_CLOEXEC: number;
  MAP_ANONYMOUS: number;
  MAP_NORESERVE: number;
  POSIX_SPAWN_SETSIGDEF: number;
  POSIX_SPAWN_SETSIGMASK: number;
  /** macOS only: close everything that no file action names. */
  POSIX_SPAWN_CLOEXEC_DEFAULT: number;
  /** Bytes; the largest of the libcs we know, rounded up. */
  sizeofSpawnAttributes: number;
  sizeofFileActions: number;
  sizeofSigset: number;
}

const linux: PlatformNumbers = {
  F_DUPFD_CLOEXEC: 1030,
  O_CLOEXEC: 0o2000000,
  O_NONBLOCK: 0o4000,
  SOL_SOCKET: 1,
  MSG_CMSG_CLOEXEC: 0x40000000,
  MSG_NOSIGNAL: 0x4000,
  MSG_DONTWAIT: 0x40,
  MSG_WAITALL: 0x100,
  MSG_MORE: 0x8000,
  SO_SNDBUF: 7,
  SO_RCVBUF: 8,
  SOCK_DGRAM: 2,
  SOCK_SEQPACKET: 5,
  SOCK_CLOEXEC: 0o2000000,
  MAP_ANONYMOUS: 0x20,
  MAP_NORESERVE: 0x4000,
  POSIX_SPAWN_SETSIGDEF: 0x04,
  POSIX_SPAWN_SETSIGMASK: 0x08,
  POSIX_SPAWN_CLOEXEC_DEFAULT: 0,
  sizeofSpawnAttributes: 512,
  sizeofFileActions: 256,
  sizeofSigset: 128,
};

const darwin: PlatformNumbers = {
  F_DUPFD_CLOEXEC: 67,
  O_CLOEXEC: 0x1000000,
  O_NONBLOCK: 0x4,
  SOL_SOCKET: 0xffff,
  MSG_CMSG_CLOEXEC: 0,
  MSG_NOSIGNAL: 0,
  MSG_DONTWAIT: 0x80,
  MSG_WAITALL: 0x40,
  MSG_MORE: 0,
  SO_SNDBUF: 0x1001,
  SO_RCVBUF: 0x1002,
  SOCK_DGRAM: 2,
  SOCK_SEQPACKET: 5,
  SOCK_CLOEXEC: 0,
  MAP_ANONYMOUS: 0x1000,
  MAP_NORESERVE: 0x40,
  POSIX_SPAWN_SETSIGDEF: 0x04,
  POSIX_SPAWN_SETSIGMASK: 0x08,
  POSIX_SPAWN_CLOEXEC_DEFAULT: 0x4000,
  sizeofSpawnAttributes: 512,
  sizeofFileActions: 256,
  sizeofSigset: 128,
};

/** The numbers of this platform. */
export const platform: PlatformNumbers = process.platform === 'darwin' ? darwin : linux;

/** fcntl commands that are the same on Linux and macOS. */
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;

/** Linux only: who gets which signal when an O_ASYNC descriptor changes. */
export const F_SETOWN = 8;
export const F_SETSIG = 10;
export const O_ASYNC = 0o20000;

/** memfd_create(2) and file seals, Linux. */
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;
export const F_ADD_SEALS = 1033;
export const F_SEAL_SEAL = 1;
export const F_SEAL_SHRINK = 2;
export const F_SEAL_GROW = 4;
export const F_SEAL_WRITE = 8;

/** open(2) and linkat(2), Linux: a file without a name. O_TMPFILE is this bit and O_DIRECTORY. */
export const O_TMPFILE_ALONE = 0o20000000;
export const AT_FDCWD = -100;
export const AT_SYMLINK_FOLLOW = 0x400;
export const AT_EMPTY_PATH = 0x1000;

/** posix_spawn(3), Linux and macOS. */
export const POSIX_SPAWN_SETPGROUP = 0x02;

export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
export const SCM_RIGHTS = 1;

/** prctl(2), Linux. */
export const PR_SET_PDEATHSIG = 1;

/** madvise(2), Linux: let fork(2) copy the range after all. */
export const MADV_DOFORK = 11;

/** System call numbers that libc has no function for, per architecture of Linux. */
interface SyscallNumbers {
  pidfd_open: number;
  futex: number;
  gettid: number;
  tgkill: number;
  membarrier: number;
  getdents64: number;
  get_robust_list: number;
}

export const syscallNumbers: Record<string, SyscallNumbers> = {
  x64: {
    pidfd_open: 434,
    futex: 202,
    gettid: 186,
    tgkill: 234,
    membarrier: 324,
    getdents64: 217,
    get_robust_list: 274,
  },
  arm64: {
    pidfd_open: 434,
    futex: 98,
    gettid: 178,
    tgkill: 131,
    membarrier: 283,
    getdents64: 61,
    get_robust_list: 100,
  },
};
