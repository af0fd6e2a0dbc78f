/**
 * A forked child has a copy of its parent's event loop: timers, servers, sockets, pending calls. They
 * stay the parent's: this module keeps them from doing anything in the child, so that its own
 * asynchronous code finds a clean loop.
 *
 * Three layers, each where the thing lives. In libuv: every handle is unreferenced, and the fds of
 * streams and sockets are replaced by one that is never ready, so that the child neither accepts nor
 * reads what is the parent's (closing the handles would run the parent's 'close' listeners, and unlink the
 * path of a listening UNIX socket). Finished thread-pool work not yet delivered is dropped. In Node:
 * whatever else the parent began (timers, immediates, close callbacks) is recognised by its async
 * id when it is about to run, and its callback taken out.
 */

import {
  type AsyncHook,
  AsyncResource,
  createHook,
  executionAsyncResource,
} from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { calledByChildren, compile, writtenByChildren } from '../ffi/compiled.ts';
import { callback, native, readInt, readPointer, syscall } from '../ffi/ffi.ts';

const uvDefaultLoop = native('uintptr_t uv_default_loop()');
const uvWalk = native('void uv_walk(uintptr_t loop, uintptr_t callback, void *arg)');
const uvUnref = native('void uv_unref(uintptr_t handle)');
const uvFileno = native('int uv_fileno(uintptr_t handle, _Out_ int *fd)');
const uvHandleGetType = native('int uv_handle_get_type(uintptr_t handle)');
const uvHasRef = native('int uv_has_ref(uintptr_t handle)');
const uvIsClosing = native('int uv_is_closing(uintptr_t handle)');
const uvReadStop = native('int uv_read_stop(uintptr_t handle)');
const uvPollStop = native('int uv_poll_stop(uintptr_t handle)');
const uvFsEventStop = native('int uv_fs_event_stop(uintptr_t handle)');
const uvFsPollStop = native('int uv_fs_poll_stop(uintptr_t handle)');
const uvMutexLock = native('void uv_mutex_lock(uintptr_t mutex)');
const uvMutexUnlock = native('void uv_mutex_unlock(uintptr_t mutex)');
const memcpy = native('void memcpy(uintptr_t to, void *from, size_t length)');
const uvBackendFd = native('int uv_backend_fd(uintptr_t loop)');
const epollCreate = syscall('int epoll_create1(int flags)');
const dup2 = syscall('int dup3(int fd, int newfd, int flags)');

/** uv_handle_type (uv.h). */
const UV = {
  ASYNC: 1,
  FS_EVENT: 3,
  FS_POLL: 4,
  NAMED_PIPE: 7,
  POLL: 8,
  PROCESS: 10,
  TCP: 12,
  TTY: 14,
  UDP: 15,
  SIGNAL: 16,
} as const;
const UNREFERENCED = new Set<number>(Object.values(UV).filter((type) => type !== UV.ASYNC));
const STREAMS = new Set<number>([UV.NAMED_PIPE, UV.TCP, UV.TTY, UV.UDP]);
const O_CLOEXEC = 0o2000000;

/** Which part of the event loop came from the parent. */
export interface InheritedLoop {
  /** Addresses of uv_handle_t. */
  handles: bigint[];
  /**
   * Those that did not keep the loop alive. One that does later is used by the child: a worker thread
   * references a handle that Node has made at its own start.
   */
  idle: ReadonlySet<bigint>;
  /** The handles for messages from other threads that do keep it alive. */
  busyAsyncs: readonly bigint[];
  /** Address of the list of finished thread-pool work; undefined if the layout is not as we know it. */
  finishedWork: number | undefined;
  /** Every async id up to this one is the parent's. */
  lastAsyncId: number;
}

// Offsets in uv_loop_t and uv_handle_t (uv.h, uv/unix.h): the same since libuv 1.0 on 64-bit Unix.
const LOOP_HANDLE_QUEUE = 16n;
const LOOP_BACKEND_FD = 64n;
const LOOP_WQ = 120n;
const LOOP_WQ_MUTEX = 136n;
const HANDLE_LOOP = 8n;
const HANDLE_QUEUE = 32n;

/** Notes what the loop holds now. To be called in the parent, right before the fork. */
export function inheritedLoop(): InheritedLoop {
  const loop = BigInt(uvDefaultLoop());
  const lastAsyncId = new AsyncResource('multiprocessing.fork').asyncId();
  const known = isKnownLayout(loop);
  const handles = (known ? listHandles(loop) : undefined) ?? walkHandles(loop);
  const idle = new Set(handles.filter((handle) => !uvHasRef(handle)));
  const busyAsyncs = handles.filter(
    (handle) => !idle.has(handle) && uvHandleGetType(handle) === UV.ASYNC && !uvIsClosing(handle),
  );
  const finishedWork = known ? Number(loop + LOOP_WQ) : undefined;
  noWork.fill(loop + LOOP_WQ);
  if (finishedWork !== undefined) memcpy(finishedWork, noWork, 0); // the first call, which no child has to make
  return { handles, idle, busyAsyncs, finishedWork, lastAsyncId };
}

/** Follows the loop's list of handles; undefined if one is not as we know it. */
function listHandles(loop: bigint): bigint[] | undefined {
  const handles: bigint[] = [];
  const head = loop + LOOP_HANDLE_QUEUE;
  for (let node = readPointer(head); node !== head; node = readPointer(node)) {
    const handle = node - HANDLE_QUEUE;
    if (readPointer(handle + HANDLE_LOOP) !== loop) return undefined;
    handles.push(handle);
  }
  return handles;
}

function isKnownLayout(loop: bigint): boolean {
  return readInt(loop + LOOP_BACKEND_FD) === uvBackendFd(loop);
}

/** The same by libuv's own means; a callback from C costs half a millisecond more. */
function walkHandles(loop: bigint): bigint[] {
  const handles: bigint[] = [];
  const visit = callback('void UvWalk(uintptr_t handle, void *arg)', (handle: number | bigint) => {
    handles.push(BigInt(handle));
  });
  uvWalk(loop, visit.pointer, null);
  visit.free();
  return handles;
}

/**
 * Lets go of what the child's own first lines would otherwise be mixed up with: thread-pool work that is done, and
 * the reference that the parent's handles for messages from other threads hold. To be called in the child
 * before any of its own code runs.
 */
export function dropInheritedWork({ finishedWork, busyAsyncs }: InheritedLoop): void {
  if (finishedWork !== undefined) memcpy(finishedWork, noWork, 16);
  for (const handle of busyAsyncs) uvUnref(handle);
}

/**
 * Takes the lock of the list of finished thread-pool work: a thread that had it at the fork would have it in the child for
 * ever, where that thread is not. To be called right before the fork; nothing that waits for the event loop may come between.
 * @returns for `releaseFinishedWork`
 */
export function holdFinishedWork(): bigint | undefined {
  const loop = BigInt(uvDefaultLoop());
  if (!isKnownLayout(loop)) return undefined;
  const mutex = loop + LOOP_WQ_MUTEX;
  uvMutexLock(mutex);
  return mutex;
}

/** Gives it back: in the parent, and in the child its copy. */
export function releaseFinishedWork(mutex: bigint | undefined): void {
  if (mutex !== undefined) uvMutexUnlock(mutex);
}

/**
 * A list without entries: its next and its previous are itself. Thread-pool work that was finished but not delivered at
 * the fork would call back in the child too.
 */
const noWork = new BigUint64Array(2);

/**
 * Keeps everything that came from the parent from running here.
 * @param keepFds fds whose handles go on to work in the child
 */
export function quietInheritedLoop(loop: InheritedLoop, keepFds: ReadonlySet<number>): void {
  const never = epollCreate(O_CLOEXEC);
  for (const handle of loop.handles) quietHandle(handle, loop.idle.has(handle), never, keepFds);
  quiet.lastAsyncId = loop.lastAsyncId;
  quiet.keepFds = keepFds;
  prepareToQuiet().enable();
}

/** What is the parent's, to the hook. */
const quiet = { lastAsyncId: 0, keepFds: new Set() as ReadonlySet<number> };
let hook: AsyncHook | undefined;

/** Makes the hook, and loads in the process that forks what enabling it needs (internal/promise_hooks, by node:v8). */
export function prepareToQuiet(): AsyncHook {
  if (hook === undefined) {
    process.getBuiltinModule('node:v8');
    hook = createHook({ before });
    compile(hook.enable);
  }
  return hook;
}

function before(asyncId: number): void {
  if (asyncId > quiet.lastAsyncId || asyncId <= 1) return;
  const resource = executionAsyncResource() as { fd?: unknown };
  // The handle of a socket or server that stays in use has an fd.
  if (quiet.keepFds.has(resource.fd as number)) return;
  takeCallbackOut(resource);
}

function quietHandle(
  handle: bigint,
  wasIdle: boolean,
  never: number,
  keepFds: ReadonlySet<number>,
): void {
  const type = uvHandleGetType(handle);
  if (!UNREFERENCED.has(type) || uvIsClosing(handle)) return;
  if (STREAMS.has(type)) {
    const fd = [-1];
    uvFileno(handle, fd);
    const number = fd[0] as number;
    if (keepFds.has(number)) return;
    // The child's stdin is another file, which epoll need not take.
    if (number > 2) dup2(never, number, O_CLOEXEC);
    else if (type !== UV.UDP) uvReadStop(handle);
  }
  if (type === UV.POLL) uvPollStop(handle);
  if (type === UV.FS_EVENT) uvFsEventStop(handle);
  if (type === UV.FS_POLL) uvFsPollStop(handle);
  if (!wasIdle) uvUnref(handle);
}

const nothing = () => false;

/**
 * A timer, immediate, handle or request of the parent is about to call back: leave it nothing to call,
 * and its socket or server nobody to tell.
 */
function takeCallbackOut(resource: object): void {
  if (resource instanceof Promise) return;
  const target = resource as Record<string | symbol, unknown>;
  for (const key of Reflect.ownKeys(target)) {
    const value = target[key];
    if (typeof value === 'function') target[key] = nothing;
    else if (value instanceof EventEmitter) value.emit = nothing;
  }
  if ('_repeat' in target) target._repeat = null;
}

calledByChildren(
  releaseFinishedWork,
  dropInheritedWork,
  quietInheritedLoop,
  quietHandle,
  takeCallbackOut,
  before,
);
writtenByChildren(quiet);
