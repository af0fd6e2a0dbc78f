/**
 * @multiprocessing/posix: the kernel, typed. It knows nothing of Process.
 */
if (process.platform === 'win32') {
  throw Object.assign(
    new Error('multiprocessing needs Linux or macOS: on Windows use it inside WSL 2'),
    { code: 'ERR_MP_PLATFORM' },
  );
}

export { type Background, setBackground } from './background.ts';
export { calledByChildren, compile, writtenByChildren } from './compiled.ts';
export { type Doorbell, makeDoorbell, Ringer } from './doorbell.ts';
export {
  BrokenPipeError,
  ChildProcessError,
  ForkUnavailableError,
  OSError,
  osError,
  ProcessLookupError,
} from './errors.ts';
export {
  close,
  dup,
  dupAbove,
  inWorker,
  makeBlocking,
  memfdCreate,
  POLLIN,
  POLLOUT,
  pipe,
  poll,
  punchHole,
  read,
  readAt,
  readInto,
  replaceByNeverReady,
  sealedMemfd,
  setCloexec,
  setStatusFlags,
  signalOnChange,
  write,
  writeAll,
  writeAt,
} from './fd.ts';
export { isFfiLoaded, isFfiLoading } from './ffi.ts';
export { fork, forkAvailable, forkStatistics } from './fork.ts';
export { atFork, replaceExitHandlers } from './forked_child.ts';
export { ALL, futexWait, futexWake } from './futex.ts';
export {
  dropInheritedWork,
  type InheritedLoop,
  inheritedLoop,
  prepareToQuiet,
  quietInheritedLoop,
} from './inherited_loop.ts';
export { fenceAll } from './membarrier.ts';
export {
  blank,
  bufferOver,
  keepFreedMemory,
  mapShared,
  PAGE_SIZE,
  roundup,
  unmap,
  wantLargePages,
} from './memory.ts';
export {
  _exit,
  getpid,
  getppid,
  ignoreSignal,
  kill,
  pidExists,
  pidfdOpen,
  setParentDeathSignal,
  urandom,
  WNOHANG,
  waitpid,
  waitstatusToExitcode,
} from './process.ts';
export { closeRaw, openRaw } from './raw_fd.ts';
export { onReady, watchReadable } from './readiness.ts';
export {
  checkSegmentName,
  type Segment,
  shmCreate,
  shmInode,
  shmLink,
  shmOpen,
  shmUnlink,
} from './shm.ts';
export { MAX_FDS_PER_MESSAGE, recvmsg, sendmsg, socketpair, streamPair } from './socket.ts';
export {
  AF_INET,
  AF_INET6,
  inetAddress,
  inetAddressSync,
  type SocketAddress,
  unixAddress,
} from './socket_address.ts';
export { execve, FIRST_PASSED_FD, posixSpawn } from './spawn.ts';
export { Stream, WOULD_WAIT } from './stream.ts';
export {
  acceptStream,
  connectStream,
  connectStreamSync,
  listenStream,
  peerPid,
  socketName,
} from './stream_socket.ts';
export { StreamWatch } from './stream_watch.ts';
export { copyBytes } from './streaming_copy.ts';
export { isAlive, myToken, self, tidOf } from './thread_token.ts';
export { reportUncaught, writeStderr } from './uncaught.ts';
