/**
 * @multiprocessing/posix: the kernel, typed. It knows nothing of Process. Its rooms, from the ground up:
 *
 *     ffi      the foreign function interface, the C headers' numbers, OSError
 *     node     timers, clocks, flags and directory, as they were when this library was loaded
 *     fds      pipe, read, write, dup, poll
 *     memory   mmap, futex, named segments
 *     process  waitpid, kill, posix_spawn, and a fork that works in Node
 *     loop     readiness of fds in Node's event loop
 *     sockets  byte streams, messages with fds, listening and connecting
 */
if (process.platform === 'win32') {
  throw Object.assign(
    new Error('multiprocessing needs Linux or macOS: on Windows use it inside WSL 2'),
    { code: 'ERR_MP_PLATFORM' },
  );
}

export { type Background, setBackground } from './fds/background.ts';
export {
  close,
  dup,
  dupAbove,
  inWorker,
  makeBlocking,
  memfdCreate,
  noSignalOnChange,
  orClose,
  POLLIN,
  POLLOUT,
  pipe,
  poll,
  positionOf,
  punchHole,
  read,
  readAt,
  readInto,
  replaceByNeverReady,
  sealedCopy,
  sealedMemfd,
  setCloexec,
  setStatusFlags,
  signalOnChange,
  write,
  writeAll,
  writeAt,
} from './fds/fd.ts';
export { closeRaw, openRaw } from './fds/raw_fd.ts';
export { calledByChildren, compile, writtenByChildren } from './ffi/compiled.ts';
export {
  BrokenPipeError,
  byNode,
  ChildProcessError,
  ForkUnavailableError,
  OSError,
  osError,
  ProcessLookupError,
} from './ffi/errors.ts';
export { isFfiLoaded, isFfiLoading } from './ffi/ffi.ts';
export { onReady, onReadyUnref, watchReadable } from './loop/readiness.ts';
export { StreamWatch } from './loop/stream_watch.ts';
export { ALL, futexWait, futexWake } from './memory/futex.ts';
export { fenceAll } from './memory/membarrier.ts';
export {
  blank,
  bufferOver,
  keepFreedMemory,
  mapShared,
  PAGE_SIZE,
  roundup,
  unmap,
  wantLargePages,
} from './memory/memory.ts';
export {
  checkSegmentName,
  type Segment,
  shmCreate,
  shmInode,
  shmLink,
  shmOpen,
  shmUnlink,
} from './memory/shm.ts';
export { copyBytes } from './memory/streaming_copy.ts';
export {
  clearInterval,
  clearTimeout,
  fromSharedClock,
  hrtime,
  nextTick,
  now,
  setImmediate,
  setInterval,
  setTimeout,
  toSharedClock,
} from './node/clocks.ts';
export { describeInspectorDenied, isInspectorDenied } from './node/permission.ts';
export {
  argv,
  execArgv,
  hasFlag,
  isSingleExecutable,
  nodeOptions,
  scriptAsGiven,
  setStartDirectory,
  startDirectory,
  wordsAsGiven,
  workingDirectory,
} from './node/program.ts';
export { warnAtOnce } from './node/warning.ts';
export {
  leaveCoverageToChildren,
  leaveProcess,
  savedBeforeLeaving,
  writesCoverage,
} from './process/coverage.ts';
export { afterFatalError, watchForFatalErrors } from './process/fatal.ts';
export { fork, forkAvailable, forkStatistics } from './process/fork.ts';
export { atFork, replaceExitHandlers } from './process/forked_child.ts';
export {
  dropInheritedWork,
  type InheritedLoop,
  inheritedLoop,
  prepareToQuiet,
  quietInheritedLoop,
} from './process/inherited_loop.ts';
export { becomeOwnProcess, flushBeforeExit } from './process/own_process.ts';
export {
  _exit,
  getpid,
  getppid,
  hasPidfd,
  ignoreSignal,
  isSignalIgnored,
  kill,
  pidExists,
  pidfdOpen,
  setParentDeathSignal,
  urandom,
  WNOHANG,
  waitpid,
  waitstatusToExitcode,
} from './process/process.ts';
export { execve, FIRST_PASSED_FD, posixSpawn } from './process/spawn.ts';
export { isAlive, isOwnThread, isToken, myToken, self, tidOf } from './process/thread_token.ts';
export {
  describeThreads,
  expectThreads,
  ForeignThreadsError,
  foreignThreads,
  knownForeignThreads,
  warnOfThreads,
} from './process/threads.ts';
export { reportUncaught, writeStderr } from './process/uncaught.ts';
export {
  AF_INET,
  AF_INET6,
  inetAddress,
  inetAddressSync,
  type SocketAddress,
  unixAddress,
} from './sockets/address.ts';
export { type Doorbell, makeDoorbell, Ringer } from './sockets/doorbell.ts';
export {
  MAX_FDS_PER_MESSAGE,
  type Message,
  receive,
  recvmsg,
  sendmsg,
  socketpair,
  streamPair,
} from './sockets/message_socket.ts';
export { Stream, WOULD_WAIT } from './sockets/stream.ts';
export {
  acceptStream,
  connectStream,
  connectStreamSync,
  listenStream,
  type Peer,
  peerCredentials,
  socketName,
} from './sockets/stream_socket.ts';
